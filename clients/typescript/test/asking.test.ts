import assert from "node:assert/strict";
import { test } from "node:test";
import { Metadata, status as Code, type ServiceError } from "@grpc/grpc-js";
import { Asking, HEARD_SECONDS, REPEATS } from "../src/asking.js";
import { refusal, statusOf } from "../src/refusal.js";

const ANSWER = refusal("SESSION_ENDED");
const LOST = { code: Code.UNAVAILABLE, metadata: new Metadata() } as unknown as ServiceError;
const CANCELLED = { code: Code.CANCELLED, metadata: new Metadata() } as unknown as ServiceError;
const SAID = said("STORAGE_UNAVAILABLE");
const STOPPING = said("SHUTTING_DOWN");
const BROKEN = { code: Code.INTERNAL, metadata: new Metadata() } as unknown as ServiceError;
const NOW = 1000;

function said(reason: string): ServiceError {
  return statusOf({ ...refusal("VERIFICATION_UNAVAILABLE"), reason }) as unknown as ServiceError;
}

/** How often Verify is asked, and what comes of it, where it fails `times` times. */
async function ask(failure: ServiceError, times: number, heardAt: number, patience = 60_000) {
  const moments: number[] = [];
  const verify = async () => {
    moments.push(performance.now());
    if (moments.length <= times) throw failure;
    return ANSWER;
  };
  const asking = new Asking({ verify }, { heardAt }, { wall: () => 0, monotonic: () => NOW });
  const outcome = await asking.verify("token", Date.now() + patience).catch((error: unknown) => error);
  return { outcome, moments };
}

for (const [kind, failure] of Object.entries({ LOST, CANCELLED, STOPPING })) {
  test(`a question that is lost with its connection or server is asked again a few times: ${kind}`, async () => {
    const { outcome, moments } = await ask(failure, REPEATS, NOW);
    assert.equal(outcome, ANSWER);
    const waits = moments.slice(1).map((moment, index) => moment - moments[index]!);
    assert.equal(waits.length, REPEATS);
    // Timers may be early by a millisecond.
    for (const [index, pause] of [0, 100, 200, 400].entries()) assert.ok(waits[index]! >= pause - 2, String(waits));

    const never = await ask(failure, Infinity, NOW);
    assert.deepEqual([never.outcome, never.moments.length], [failure, 1 + REPEATS]);
  });
}

test("where the service was not heard just now a lost question is asked once more", async () => {
  const { outcome, moments } = await ask(LOST, Infinity, NOW - HEARD_SECONDS);
  assert.deepEqual([outcome, moments.length], [LOST, 2]);
});

test("a service that says that it cannot answer is not asked again", async () => {
  for (const failure of [SAID, BROKEN]) {
    const { outcome, moments } = await ask(failure, Infinity, NOW);
    assert.deepEqual([outcome, moments.length], [failure, 1]);
  }
});

test("a caller is not kept beyond its own deadline by questions that are asked again", async () => {
  const { outcome, moments } = await ask(LOST, Infinity, NOW, 150);
  assert.equal(outcome, LOST);
  assert.ok(moments.length < 1 + REPEATS, String(moments));
});
