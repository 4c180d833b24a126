// A server that comes back at another address behind its name is found soon. A name server of the test says where it is.

import { NameServer } from "./names.js";
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { Guard } from "../src/guard.js";
import { FakeAuthServer, until } from "./auth_server.js";
import { AUDIENCE, ISSUER } from "./issuer.js";

let opened: { close(): void }[] = [];

afterEach(() => {
  for (const each of opened.reverse()) each.close();
  opened = [];
});

async function begin(names: NameServer): Promise<[FakeAuthServer, FakeAuthServer, Guard]> {
  const resolver = await names.listen();
  const first = await FakeAuthServer.start("127.0.0.2:0");
  const port = first.address.split(":")[1];
  const second = await FakeAuthServer.start(`127.0.0.3:${port}`);
  const guard = new Guard({
    authServer: `dns://${resolver}/auth.test:${port}`, credentials: grpc.credentials.createInsecure(),
    issuer: ISSUER, audience: AUDIENCE, services: [], observer: {},
  });
  opened.push(names, { close: () => first.stop() }, { close: () => second.stop() }, guard);
  return [first, second, guard];
}

for (const changesLate of [false, true]) {
  test(`a server that moves is found soon, where ${changesLate ? "the server goes" : "the name moves"} first`, async () => {
    const names = new NameServer();
    names.answers = ["127.0.0.2"];
    const [first, second, guard] = await begin(names);
    await first.inform();
    await until(() => guard.viewAge < Infinity);
    const before = names.asked;
    if (!changesLate) names.answers = ["127.0.0.3"];
    const gone = performance.now();
    first.stop();
    if (changesLate) {
      await until(() => names.asked > before);
      names.answers = ["127.0.0.3"];
    }
    await second.watched();
    const took = (performance.now() - gone) / 1000;
    // grpc-js by itself asks for the name no earlier than 30 s after it did last.
    assert.ok(took < 15, `it took ${took} s`);
  });
}

test("a name that comes up later is found soon", async () => {
  const names = new NameServer();
  const [first] = await begin(names);
  setTimeout(() => (names.answers = ["127.0.0.2"]), 3000);
  await first.watched();
});
