// A customer: logs in, orders, logs out, and sees how soon the shop no longer takes orders.

import * as grpc from "@grpc/grpc-js";
import { AuthService, makeClient, reasonOf, type Client } from "../../src/index.js";
import type { LoginResponse } from "../../src/gen/authapi/v1/auth_service_pb.js";
import { OrdersService, type GetCatalogResponse, type PlaceOrderResponse } from "../../src/gen/orders/v1/orders_pb.js";

const REFUSED_WITHIN_SECONDS = 2;

export interface CallOptions {
  readonly auth: string;
  readonly orders: string;
  readonly user: string;
  readonly password: string;
}

/** Tells whether the shop refused the last order in time, as unauthenticated. */
export async function call({ auth, orders, user, password }: CallOptions): Promise<boolean> {
  const authClient = makeClient(AuthService, auth, grpc.credentials.createInsecure());
  const shop = makeClient(OrdersService, orders, grpc.credentials.createInsecure());
  try {
    const catalog = await answer<GetCatalogResponse>((done) => shop.getCatalog({}, new grpc.Metadata(), deadline(), done));
    console.log(`catalog: ${catalog.articles.join(", ")}`);

    const login = { userNameOrEmail: user, password };
    const { tokens } = await answer<LoginResponse>((done) => authClient.login(login, new grpc.Metadata(), deadline(), done));
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${tokens!.accessToken}`);
    const article = catalog.articles[0]!;
    const { order } = await answer<PlaceOrderResponse>((done) => shop.placeOrder({ article }, metadata, deadline(), done));
    console.log(`placed: order ${order!.id}, ${order!.article}`);
    console.log(`watched: order ${await firstWatched(shop, metadata)}`);

    await answer((done) => authClient.logout({}, metadata, deadline(), done));
    return await orderUntilRefused(shop, article, metadata);
  } finally {
    authClient.close();
    shop.close();
  }
}

async function firstWatched(shop: Client<typeof OrdersService>, metadata: grpc.Metadata): Promise<bigint> {
  const stream = shop.watchOrders({}, metadata, deadline());
  stream.on("error", () => undefined);
  try {
    for await (const { order } of stream) return order.id;
    throw new Error("the stream ended without an order");
  } finally {
    stream.cancel();
  }
}

async function orderUntilRefused(
  shop: Client<typeof OrdersService>, article: string, metadata: grpc.Metadata,
): Promise<boolean> {
  const loggedOut = performance.now();
  const elapsed = () => (performance.now() - loggedOut) / 1000;
  for (let orders = 0; elapsed() < 2 * REFUSED_WITHIN_SECONDS; orders++) {
    try {
      await answer((done) => shop.placeOrder({ article }, metadata, deadline(), done));
    } catch (error) {
      const status = grpc.status[(error as grpc.ServiceError).code];
      console.log(`refused ${elapsed().toFixed(3)} s after the logout, ${orders} orders later: ${status} ${reasonOf(error)}`);
      return status === "UNAUTHENTICATED" && elapsed() <= REFUSED_WITHIN_SECONDS;
    }
  }
  console.log("not refused");
  return false;
}

function answer<T>(start: (callback: grpc.requestCallback<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value!))));
}

function deadline(): grpc.CallOptions {
  return { deadline: Date.now() + 10_000 };
}
