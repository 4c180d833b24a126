import assert from "node:assert/strict";
import { test } from "node:test";
import { Questions } from "../src/questions.js";
import { refusal } from "../src/refusal.js";
import { until } from "./auth_server.js";

const ANSWER = refusal("SESSION_ENDED");

/** Questions whose clock and answers a test moves. */
function setUp() {
  const world = { now: 1000, asked: [] as string[], answers: [] as ((failed?: Error) => void)[], highest: 0 };
  const clock = { wall: () => 0, monotonic: () => world.now };
  const questions = new Questions((token) => {
    world.asked.push(token);
    return new Promise((resolve, reject) => {
      world.answers.push((failed) => (failed ? reject(failed) : resolve(ANSWER)));
      world.highest = Math.max(world.highest, world.answers.length);
    });
  }, clock, 10);
  const answered = () => { for (const answer of world.answers.splice(0)) answer(); };
  return { world, questions, answered };
}

test("each token is asked about once, and few at a time", async () => {
  const { world, questions, answered } = setUp();
  const tokens = Array.from({ length: 30 }, (_, index) => `token ${index}`);
  const all = Promise.all([...tokens, ...tokens, ...tokens].map((token) => questions.about(token, 0, 10)));
  while (world.asked.length < tokens.length || world.answers.length > 0) {
    await until(() => world.answers.length > 0);
    answered();
  }
  assert.equal((await all).length, 90);
  assert.deepEqual(world.asked, tokens);
  assert.equal(world.highest, 8);
});

test("an answer counts from when it was asked for, and serves until it is too old or there is news", async () => {
  const { world, questions, answered } = setUp();
  const about = async (news: number, limit: number) => {
    const answer = questions.about("token", news, limit);
    await new Promise(setImmediate);
    world.now += 1; // on its way
    answered();
    return (await answer).askedAt;
  };
  assert.equal(await about(0, 10), 1000);
  assert.equal(await about(0, 10), 1000);
  world.now = 1010;
  assert.equal(await about(0, 10), 1000);
  world.now = 1010.5;
  assert.equal(await about(0, 10), 1010.5);
  assert.equal(await about(1011, 10), 1011.5);
  world.now = 1013;
  assert.equal(await about(0, 1), 1013);
});

test("who is not answered in five seconds is refused, asked about or not", { timeout: 20_000 }, async () => {
  const { world, questions } = setUp();
  const began = performance.now();
  const tokens = Array.from({ length: 20 }, (_, index) => `token ${index}`);
  const settled = await Promise.allSettled(tokens.map((token) => questions.about(token, 0, 10)));
  assert.ok(settled.every(({ status }) => status === "rejected"));
  assert.ok(performance.now() - began < 10_000, "as if the second batch had waited five seconds more");
  assert.ok(world.asked.length >= 8);
});

test("what throws is no answer, and others are still asked about", async () => {
  const { world, questions, answered } = setUp();
  const first = questions.about("token", 0, 10);
  await until(() => world.answers.length > 0);
  world.answers.splice(0)[0]!(new Error());
  await assert.rejects(first);
  const throwing = new Questions(() => { throw new Error("odd"); }, { wall: () => 0, monotonic: () => 0 }, 10);
  for (let times = 0; times < 20; times++) await assert.rejects(throwing.about(`token ${times}`, 0, 10), /odd/);
  world.now += 2;
  const second = questions.about("token", 0, 10);
  await until(() => world.answers.length > 0);
  answered();
  assert.equal((await second).answer, ANSWER);
});
