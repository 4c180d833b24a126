import assert from "node:assert/strict";
import { randomInt, randomUUID } from "node:crypto";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { RevocationSchema, type Revocation } from "../src/gen/authapi/v1/trust_service_pb.js";
import { RevocationView } from "../src/view.js";
import { duration } from "./auth_server.js";

const MINUTE = 60;
const [userId, sessionId] = [randomUUID(), randomUUID()];

function outdated(seq: number, minGeneration: number, expireTime: number): Revocation {
  const subject = { case: "outdatedTokens" as const, value: { userId, minGeneration } };
  return create(RevocationSchema, { seq: BigInt(seq), subject, expireTime: duration(expireTime) });
}

test("a user's tokens are judged by all rules that are left", () => {
  for (let round = 0; round < 200; round++) {
    const view = new RevocationView();
    const rules = Array.from({ length: 12 }, () => ({ generation: randomInt(1, 9), minute: randomInt(8) }));
    rules.forEach(({ generation, minute }, seq) => view.add([outdated(seq, generation, minute * MINUTE)]));
    for (let now = -1; now < 9; now++) {
      view.dropExpired(now * MINUTE);
      const left = rules.filter(({ minute }) => minute > now);
      const highest = Math.max(0, ...left.map(({ generation }) => generation));
      assert.equal(view.size, left.length);
      assert.equal(view.reasonAgainst({ userId, sessionId }, highest), undefined);
      if (highest > 0) assert.equal(view.reasonAgainst({ userId, sessionId }, highest - 1), "TOKEN_OUTDATED");
    }
    assert.deepEqual([...view.subjects], []);
  }
});

test("a session is over until its last rule is dropped", () => {
  const view = new RevocationView();
  for (const minute of [1, 2]) {
    const subject = { case: "sessionId" as const, value: sessionId };
    view.add([create(RevocationSchema, { seq: BigInt(minute), subject, expireTime: duration(minute * MINUTE) })]);
  }
  view.dropExpired(MINUTE);
  assert.equal(view.reasonAgainst({ userId, sessionId }, 0), "SESSION_ENDED");
  view.dropExpired(2 * MINUTE);
  assert.equal(view.reasonAgainst({ userId, sessionId }, 0), undefined);
});

test("dropping many rules about one user takes no time", () => {
  const view = new RevocationView();
  const many = 100_000;
  view.add(Array.from({ length: many }, (_, index) => outdated(index, index + 1, Math.floor(index / 1000) * MINUTE)));
  const began = performance.now();
  view.dropExpired(many * MINUTE);
  assert.equal(view.size, 0);
  assert.ok(performance.now() - began < 3_000);
});
