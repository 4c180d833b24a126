// A host of its own in front of a server, and the network on the way there: it fails as networks do.

import { once } from "node:events";
import * as net from "node:net";

export class Gateway {
  /** Milliseconds that pass before a new connection leads anywhere. */
  delay = 0;
  port = 0;
  private readonly ways = new Set<{ isSilent: boolean; sockets: net.Socket[] }>();
  private readonly listener = net.createServer((client) => this.lead(client));
  private readonly timers = new Set<NodeJS.Timeout>();

  /** @param target `host:port` of the server. */
  private constructor(private readonly target: string, readonly host: string) {}

  static async start(target: string, host = "127.0.0.1", port = 0): Promise<Gateway> {
    const gateway = new Gateway(target, host);
    await once(gateway.listener.listen(port, host), "listening");
    gateway.port = (gateway.listener.address() as net.AddressInfo).port;
    return gateway;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  /** Swallows what goes over the connections that there are, and closes none of them. */
  silence(): void {
    for (const way of this.ways) way.isSilent = true;
  }

  /** Silence that new connections meet as well. */
  freeze(): void {
    this.delay = 2 ** 31 - 1;
    this.silence();
  }

  close(): void {
    this.listener.close();
    for (const timer of this.timers) clearTimeout(timer);
    for (const { sockets } of this.ways) for (const socket of sockets) socket.destroy();
  }

  private lead(client: net.Socket): void {
    const way = { isSilent: false, sockets: [client] };
    this.ways.add(way);
    client.on("error", () => undefined);
    const timer = setTimeout(() => {
      const [host, port] = this.target.split(":");
      const server = net.connect(Number(port), host);
      way.sockets.push(server);
      for (const [from, to] of [[client, server], [server, client]] as const) {
        from.on("data", (data) => void (way.isSilent || to.write(data)));
        from.on("error", () => undefined);
        from.on("close", () => void (way.isSilent || to.destroy()));
      }
    }, this.delay);
    this.timers.add(timer);
  }
}
