// What is not encrypted goes to nobody but the service, whatever the environment says about proxies.

import assert from "node:assert/strict";
import { once } from "node:events";
import * as net from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { AuthService } from "../src/gen/authapi/v1/auth_service_pb.js";
import { Guard } from "../src/guard.js";
import { makeClient, type Client } from "../src/services.js";
import { FakeAuthServer, until } from "./auth_server.js";
import { AUDIENCE, ISSUER } from "./issuer.js";

const VARIABLES = ["grpc_proxy", "https_proxy", "http_proxy"];
const EXCEPTIONS = ["no_grpc_proxy", "no_proxy"];
const before = { ...process.env };

let fake: FakeAuthServer;
let proxy: net.Server;
let connections = 0;
let opened: { close(): void }[] = [];

beforeEach(async () => {
  fake = await FakeAuthServer.start();
  connections = 0;
  proxy = net.createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const { port } = proxy.address() as net.AddressInfo;
  for (const name of VARIABLES) process.env[name] = `http://127.0.0.1:${port}`;
  for (const name of EXCEPTIONS) delete process.env[name];
});

afterEach(() => {
  for (const name of [...VARIABLES, ...EXCEPTIONS]) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  for (const each of [...opened, proxy]) each.close();
  opened = [];
  fake.stop();
});

for (const [name, credentials] of [
  ["that was told nothing", undefined],
  ["that was told to speak plaintext", grpc.credentials.createInsecure()],
] as const) {
  test(`the connection of a guard ${name} passes no proxy`, async () => {
    const guard = new Guard({
      authServer: fake.address, issuer: ISSUER, audience: AUDIENCE, services: [], ...(credentials && { credentials }),
    });
    opened.push(guard);
    await Promise.race([fake.inform(), until(() => connections > 0)]);
    assert.equal(connections, 0);
  });
}

test("a client without TLS passes no proxy", async () => {
  const client = makeClient(AuthService, fake.address, grpc.credentials.createInsecure());
  opened.push(client);
  await verify(client);
  assert.deepEqual([fake.asked, connections], [["token"], 0]);
});

test("a client that is told to takes the proxy", async () => {
  const options = { "grpc.enable_http_proxy": 1 };
  const client = makeClient(AuthService, fake.address, grpc.credentials.createInsecure(), options);
  opened.push(client);
  await verify(client);
  assert.deepEqual(fake.asked, []);
  assert.ok(connections > 0);
});

function verify(client: Client<typeof AuthService>): Promise<unknown> {
  return new Promise((resolve) => client.verify({ accessToken: "token" }, new grpc.Metadata(), {}, resolve));
}
