// The service: a small shop. It says nowhere who may call it; orders.proto does.

import * as grpc from "@grpc/grpc-js";
import { addService, Guard, identityOf, type Handlers } from "../../src/index.js";
import { OrdersService, type Order } from "../../src/gen/orders/v1/orders_pb.js";

const ARTICLES = ["apple", "bread", "cheese"];

export interface ServeOptions {
  readonly listen: string;
  readonly auth: string;
  readonly issuer: string;
  readonly audience: string;
}

/** Serves until SIGINT or SIGTERM. */
export async function serve({ listen, auth, issuer, audience }: ServeOptions): Promise<void> {
  const guard = new Guard({ authServer: auth, issuer, audience, services: [OrdersService] });
  const server = guard.createServer();
  addService(server, OrdersService, new Shop().handlers);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(listen, grpc.ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()));
  });
  console.log(`orders: listening on ${listen}`);
  const stop = () => {
    server.forceShutdown();
    guard.close();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
}

class Shop {
  private readonly orders = new Map<bigint, Order>();
  private readonly watchers = new Set<(order: Order) => void>();
  private lastId = 0n;

  readonly handlers: Handlers<typeof OrdersService> = {
    getCatalog: (_call, callback) => callback(null, { articles: ARTICLES }),

    placeOrder: (call, callback) => {
      const { article } = call.request;
      if (!ARTICLES.includes(article)) return callback({ code: grpc.status.INVALID_ARGUMENT, details: "no such article" });
      const userId = identityOf(call)!.userId;
      const order = { $typeName: "orders.v1.Order" as const, id: ++this.lastId, article, userId };
      this.orders.set(order.id, order);
      for (const tell of this.watchers) tell(order);
      return callback(null, { order });
    },

    watchOrders: (call) => {
      const { userId } = identityOf(call)!;
      const tell = (order: Order) => void (order.userId === userId && call.write({ order }));
      for (const order of this.orders.values()) tell(order);
      this.watchers.add(tell);
      call.once("cancelled", () => this.watchers.delete(tell));
    },

    cancelOrder: (call, callback) => {
      if (!this.orders.delete(call.request.id)) return callback({ code: grpc.status.NOT_FOUND, details: "no such order" });
      return callback(null, {});
    },
  };
}
