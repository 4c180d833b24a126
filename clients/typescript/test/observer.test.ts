// What a guard warns of where nobody observes it.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { WatchPart } from "../src/gen/authapi/v1/trust_service_pb.js";
import { ConsoleObserver } from "../src/observer.js";
import { reasonOf } from "../src/refusal.js";
import { FakeAuthServer, until } from "./auth_server.js";
import { bearer, echoService, run, Shop } from "./echo.js";
import { AUDIENCE, ISSUER, SigningKeyPair } from "./issuer.js";

const SIGNED_IN = echoService({ authenticated: true });

let auth: FakeAuthServer;
let shop: Shop | undefined;
let warnings: string[];

beforeEach(async () => {
  warnings = [];
  mock.method(console, "warn", (...what: unknown[]) => warnings.push(what.join(" ")));
  auth = await FakeAuthServer.start();
});

afterEach(() => {
  shop?.close();
  shop = undefined;
  auth.stop();
  mock.restoreAll();
});

/** A shop with the observer that it gets if it asks for none. */
function openUnobserved(): Promise<Shop> {
  return Shop.open([SIGNED_IN], { observer: undefined }, auth);
}

async function refusalOf(token: string): Promise<string | undefined> {
  return reasonOf((await run(shop!.client(SIGNED_IN), "unary", bearer(token))).status);
}

test("without a fault nothing is said", async () => {
  shop = await openUnobserved();
  await auth.inform();
  await until(() => shop!.guard.viewAge < 10);
  assert.equal(await refusalOf(auth.key.token()), undefined);
  assert.equal(await refusalOf("nonsense"), "TOKEN_INVALID");
  assert.deepEqual(warnings, []);
});

test("an authentication service that cannot be reached is warned of once, and its return is told", async () => {
  auth.stop();
  shop = await openUnobserved();
  await until(() => warnings.length > 0);
  const first = performance.now();
  await until(() => performance.now() - first > 200); // ten attempts and more
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /^authservice-client: the authentication service does not say what is revoked \(.*UNAVAILABLE/);

  await auth.restart();
  await auth.inform();
  await until(() => warnings.length > 1);
  assert.deepEqual(warnings.slice(1), ["authservice-client: the authentication service says again what is revoked"]);
});

test("an outage that goes on is warned of once a minute, with the server and the cause", () => {
  let now = 1000;
  const clock = { wall: () => 0, monotonic: () => now };
  const observer = new ConsoleObserver(ISSUER, AUDIENCE, { address: "127.0.0.1:50051", isEncrypted: false }, clock);
  const why = "14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:50051.";
  for (; now < 1125; now++) observer.watchLost(why);
  observer.watchOpened();
  observer.watchOpened();
  assert.equal(warnings.length, 4);
  for (const each of warnings.slice(0, 3)) assert.ok(each.includes("(127.0.0.1:50051, plaintext: nothing listens there; 14 "), each);
});

test("each outage is warned of once", async () => {
  shop = await openUnobserved();
  let watching = await auth.inform();
  for (let outage = 1; outage <= 2; outage++) {
    await until(() => shop!.guard.viewAge < 10);
    watching.fail({ code: grpc.status.UNAVAILABLE });
    for (let attempt = 0; attempt < 3; attempt++) (await auth.watched()).fail({ code: grpc.status.UNAVAILABLE });
    watching = await auth.inform();
    await until(() => warnings.length === 2 * outage);
  }
  const again = warnings.map((warning) => warning.endsWith("says again what is revoked"));
  assert.deepEqual(again, [false, true, false, true]);
});

test("a token for somebody else is warned of once, with both sides and without the token", async () => {
  shop = await openUnobserved();
  await auth.inform();
  await until(() => shop!.guard.viewAge < 10);
  const tokens = [auth.key.token({ aud: "billing" }), auth.key.token({ aud: "billing" }), auth.key.token({ iss: "another" })];
  for (const token of tokens) assert.equal(await refusalOf(token), "TOKEN_INVALID");
  assert.deepEqual(warnings, [
    `authservice-client: tokens are refused, because they are of issuer "${ISSUER}" for audience "billing"; ` +
      `here, only issuer "${ISSUER}" and audience "${AUDIENCE}" are accepted`,
  ]);
});

test("a token whose signature is wrong is not warned of, whatever it says", async () => {
  shop = await openUnobserved();
  await auth.inform();
  await until(() => shop!.guard.viewAge < 10);
  assert.equal(await refusalOf(new SigningKeyPair(auth.key.kid).token({ aud: "billing" })), "TOKEN_INVALID");
  assert.deepEqual(warnings, []);
});

test("a fault inside the guard and a bad key set are warned of", async () => {
  const clock = { wall: () => { throw new Error("the clock stands still"); }, monotonic: () => 0 };
  shop = await Shop.open([SIGNED_IN], { observer: undefined, clock, startWait: 0 }, auth);
  assert.equal(await refusalOf(auth.key.token()), "VERIFICATION_UNAVAILABLE");
  assert.match(warnings[0]!, /^authservice-client: a fault inside the guard: Error: the clock stands still/);

  (await auth.watched()).send(WatchPart.SNAPSHOT_END, [], { keySet: {} });
  await until(() => warnings.length > 1);
  assert.match(warnings[1]!, /^authservice-client: a key set was refused; the last good one stays in use: there is no key/);
});

test("an observer of one's own replaces the warnings, and is told of each attempt and each token", async () => {
  const told: string[] = [];
  const observer = {
    watchLost: () => told.push("lost"),
    watchOpened: () => told.push("opened"),
    foreignToken: (issuer: string, audience: string) => told.push(`${issuer} ${audience}`),
  };
  shop = await Shop.open([SIGNED_IN], { observer }, auth);
  for (let attempt = 0; attempt < 2; attempt++) (await auth.watched()).fail({ code: grpc.status.UNAVAILABLE });
  await auth.inform();
  await until(() => told.includes("opened"));
  for (let call = 0; call < 2; call++) await refusalOf(auth.key.token({ aud: "billing" }));
  assert.deepEqual(told, ["lost", "lost", "opened", `${ISSUER} billing`, `${ISSUER} billing`]);
  assert.deepEqual(warnings, []);
});
