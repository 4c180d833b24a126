// Ways to the authentication service that neither live nor die, and such that take long to set up.

import { NameServer } from "./names.js";
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { Guard } from "../src/guard.js";
import { FakeAuthServer, until } from "./auth_server.js";
import { Gateway } from "./gateway.js";
import { AUDIENCE, ISSUER } from "./issuer.js";

let opened: { close(): void }[] = [];

afterEach(() => {
  for (const each of opened.reverse()) each.close();
  opened = [];
});

async function served(): Promise<FakeAuthServer> {
  const fake = await FakeAuthServer.start();
  opened.push({ close: () => fake.stop() });
  return fake;
}

async function gateway(...where: Parameters<typeof Gateway.start>): Promise<Gateway> {
  const started = await Gateway.start(...where);
  opened.push(started);
  return started;
}

function guardOf(authServer: string): Guard {
  const credentials = grpc.credentials.createInsecure();
  const guard = new Guard({ authServer, credentials, issuer: ISSUER, audience: AUDIENCE, services: [], observer: {} });
  opened.push(guard);
  return guard;
}

test("a connection that dies without a word is left", async (t) => {
  const fake = await served();
  const way = await gateway(fake.address);
  const guard = guardOf(way.address);
  await fake.inform();
  await until(() => guard.viewAge < Infinity);
  way.silence();
  const begin = performance.now();
  await fake.inform();
  t.diagnostic(`after ${(performance.now() - begin) / 1000} s`);
  await until(() => guard.viewAge < 1);
});

test("a server that stands still is left for another one of its name", async (t) => {
  const fake = await served();
  const still = await gateway(fake.address, "127.0.0.2");
  await gateway(fake.address, "127.0.0.3", still.port);
  const names = new NameServer();
  names.answers = ["127.0.0.2", "127.0.0.3"];
  const resolver = await names.listen();
  opened.push(names);
  guardOf(`dns://${resolver}/auth.test:${still.port}`);
  await fake.inform();
  still.freeze();
  const begin = performance.now();
  await fake.inform();
  t.diagnostic(`after ${(performance.now() - begin) / 1000} s`);
});

test("a way that takes seconds to set up is waited for, and makes nothing older", async () => {
  const fake = await served();
  const way = await gateway(fake.address);
  way.delay = 3000;
  const guard = guardOf(way.address);
  await fake.inform();
  await until(() => guard.viewAge < Infinity);
  assert.ok(guard.viewAge < 3, `${guard.viewAge} s`);
});
