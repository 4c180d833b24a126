import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { AuthServer } from "../src/auth_server.js";
import { KeySetSchema, WatchPart } from "../src/gen/authapi/v1/trust_service_pb.js";
import { statusOf } from "../src/refusal.js";
import { SYSTEM_CLOCK, type Clock } from "../src/time.js";
import { PACE, Watch } from "../src/watch.js";
import { anyRevocation, duration, FakeAuthServer, momentOf, sessionRevoked, tokensOutdated, until, type Watching } from "./auth_server.js";
import { keySet, SigningKeyPair } from "./issuer.js";

const { SNAPSHOT, SNAPSHOT_END, DELTA } = WatchPart;
const QUICK = { ...PACE, firstWait: 0.01, longestWait: 0.02 };

let fake: FakeAuthServer;
let opened: { close(): void }[] = [];
let keySetsRefused: string[] = [];
let lost: string[] = [];
let timesOpened = 0;
let subjects: string[] = [];
let keyChanges = 0;

beforeEach(async () => {
  fake = await FakeAuthServer.start();
  keySetsRefused = [];
  lost = [];
  timesOpened = 0;
  subjects = [];
  keyChanges = 0;
});

afterEach(() => {
  for (const each of opened) each.close();
  opened = [];
  fake.stop();
});

function startWatch(pace: Partial<typeof PACE> = {}, clock: Clock = SYSTEM_CLOCK): Watch {
  const server = new AuthServer(fake.address);
  const watch = new Watch(server, {
    onRules: (changed) => subjects.push(...changed),
    onKeys: () => keyChanges++,
    onKeySetRefused: (why) => keySetsRefused.push(why),
    onWatchLost: (why) => lost.push(why),
    onWatchOpened: () => timesOpened++,
  }, clock, { ...QUICK, ...pace });
  opened.push(watch, server);
  return watch;
}

function revokes(watch: Watch, sessionId: string): boolean {
  return watch.view?.reasonAgainst({ sessionId, userId: randomUUID() }, 0) === "SESSION_ENDED";
}

/** Fails where what has that age is of another moment than it was: where it got younger meanwhile, or older. */
function mustStillBeOf([earliest, latest]: [number, number], age: () => number): void {
  const [from, until] = momentOf(age);
  assert.ok(from <= latest && until >= earliest, `of ${from} to ${until} s, and before of ${earliest} to ${latest} s`);
}

test("a snapshot counts when its last part has come", async () => {
  const watch = startWatch();
  const [first, second] = [randomUUID(), randomUUID()];
  const stream = await fake.watched();
  stream.send(SNAPSHOT, [sessionRevoked(first)], { keySet: keySet(fake.key) });
  await until(() => watch.keys !== undefined);
  assert.equal(watch.view, undefined);
  assert.equal(watch.viewAge, Infinity);

  stream.send(SNAPSHOT_END, [sessionRevoked(second)]);
  await until(() => watch.view !== undefined);
  assert.ok(revokes(watch, first) && revokes(watch, second) && watch.viewAge < 1);
  assert.deepEqual(subjects, [first, second]);
});

test("a delta adds rules to those there are", async () => {
  const watch = startWatch();
  const [first, second] = [randomUUID(), randomUUID()];
  const stream = await fake.inform(sessionRevoked(first));
  stream.send(DELTA, [sessionRevoked(second)]);
  await until(() => revokes(watch, second));
  assert.ok(revokes(watch, first));
});

test("a rule that is already there changes nothing", async () => {
  const watch = startWatch();
  const rule = anyRevocation();
  const stream = await fake.inform(rule);
  const { resumePoint } = stream.send(DELTA, [rule, anyRevocation()]);
  await until(() => watch.view?.size === 2);
  stream.fail({ code: grpc.status.UNAVAILABLE });
  assert.deepEqual((await fake.watched()).resumePoint, resumePoint);
});

test("a rule is dropped when its last token has expired", async () => {
  const watch = startWatch();
  const [short, long] = [sessionRevoked(randomUUID(), 60), anyRevocation()];
  const stream = await fake.inform(short, long);
  await until(() => watch.view?.size === 2);
  stream.send(DELTA, [], { readTime: short.expireTime!, ruleCount: 1 });
  await until(() => watch.view?.size === 1);
  assert.ok(!revokes(watch, short.subject.value as string) && revokes(watch, long.subject.value as string));
});

test("the age counts from before the stream was opened, however long an answer waited", async () => {
  let now = 1000;
  const clock = { wall: () => 5, monotonic: () => now };
  const watch = startWatch({}, clock);
  const stream = await fake.watched();
  now = 1060;
  const times = { openUptime: duration(7), readUptime: duration(9.5), readTime: duration(5_000) };
  stream.send(SNAPSHOT_END, [], { ...times, keySet: keySet(fake.key) });
  await until(() => watch.view !== undefined);
  assert.equal(watch.viewAge, 57.5);
  assert.equal(watch.keyAge, 57.5);
  assert.equal(watch.now, 5_057.5);
  now = 1061;
  assert.equal(watch.viewAge, 58.5);
});

test("the time is that of the local clock until the first answer", () => {
  assert.equal(startWatch({}, { wall: () => 123, monotonic: () => 0 }).now, 123);
});

test("a stream that was cut is resumed, and the view stays meanwhile", async () => {
  const watch = startWatch();
  const [first, second] = [anyRevocation(), anyRevocation()];
  const stream = await fake.inform(first);
  await until(() => watch.view !== undefined);
  stream.fail({ code: grpc.status.UNAVAILABLE });
  const resumed = (await fake.watched()).continueFrom(first);
  assert.ok(revokes(watch, first.subject.value as string));
  assert.deepEqual([resumed.resumePoint?.history, resumed.resumePoint?.seq], ["h", first.seq]);
  resumed.send(DELTA, [second], { keySet: keySet(fake.key) });
  await until(() => revokes(watch, second.subject.value as string));
});

test("a resume point that is unknown is not sent again", async () => {
  const watch = startWatch();
  const stream = await fake.inform();
  await until(() => watch.view !== undefined);
  stream.fail({ code: grpc.status.UNAVAILABLE });
  const unknown = { code: grpc.status.OUT_OF_RANGE, reason: "RESUME_POINT_UNKNOWN", message: "" };
  (await fake.watched()).fail(statusOf(unknown));
  assert.equal((await fake.watched()).resumePoint, undefined);
});

test("after a wrong count the view ages, keeps its rules and is taken anew", async () => {
  const watch = startWatch();
  const [first, second] = [anyRevocation(), anyRevocation()];
  const stream = await fake.inform(first);
  await until(() => watch.view !== undefined);
  const asOf = momentOf(() => watch.viewAge);
  stream.send(DELTA, [second], { ruleCount: 3 });
  const again = await fake.watched();
  assert.equal(again.resumePoint, undefined);
  mustStillBeOf(asOf, () => watch.viewAge);
  assert.ok(revokes(watch, first.subject.value as string) && revokes(watch, second.subject.value as string));
});

test("a snapshot with a wrong count is no view", async () => {
  const watch = startWatch();
  (await fake.watched()).send(SNAPSHOT_END, [anyRevocation()], { ruleCount: 2 });
  await fake.watched();
  assert.equal(watch.view, undefined);
});

for (const [what, send] of [
  ["of no kind", (stream) => stream.send(WatchPart.UNSPECIFIED, [anyRevocation()])],
  ["of an unknown kind", (stream) => stream.send(99 as WatchPart, [anyRevocation()])],
  ["of the future", (stream) => stream.send(DELTA, [anyRevocation()], { readUptime: duration(performance.now() / 1000 + 1.5) })],
  ["about nobody", (stream) => stream.send(DELTA, [anyRevocation(), { ...anyRevocation(), subject: { case: undefined } }])],
  ["about a session without a name", (stream) => stream.send(DELTA, [sessionRevoked("")])],
  ["about a user without a name", (stream) => stream.send(DELTA, [tokensOutdated("", 1)])],
  ["about no tokens of a user", (stream) => stream.send(DELTA, [tokensOutdated(randomUUID(), 0)])],
] as [string, (stream: Watching) => void][]) {
  test(`an answer ${what} ends the stream, which is opened anew from the start`, async () => {
    const watch = startWatch();
    const rule = anyRevocation();
    const stream = await fake.inform(rule);
    await until(() => watch.view !== undefined);
    const { view } = watch;
    const asOf = momentOf(() => watch.viewAge);
    send(stream);
    assert.equal((await fake.watched()).resumePoint, undefined);
    mustStillBeOf(asOf, () => watch.viewAge);
    assert.ok(watch.view === view && view?.size === 1 && revokes(watch, rule.subject.value as string));
  });
}

test("a stream that does not say when it was opened is opened anew, from the start", async () => {
  const watch = startWatch();
  const rule = anyRevocation();
  const stream = await fake.inform(rule);
  await until(() => watch.view !== undefined);
  const asOf = momentOf(() => watch.viewAge);
  stream.fail({ code: grpc.status.UNAVAILABLE });
  const resumed = (await fake.watched()).continueFrom(rule);
  resumed.send(DELTA, [], { openUptime: undefined as never });
  assert.equal((await fake.watched()).resumePoint, undefined);
  mustStillBeOf(asOf, () => watch.viewAge);
});

test("an answer that is ahead by the drift of clocks was read now", async () => {
  let now = 1000;
  const watch = startWatch({}, { wall: () => 0, monotonic: () => now });
  const times = { openUptime: duration(7), readUptime: duration(8) };
  (await fake.watched()).send(SNAPSHOT_END, [], { ...times, keySet: keySet(fake.key) });
  await until(() => watch.view !== undefined);
  assert.deepEqual([watch.viewAge, watch.keyAge], [0, 0]);
  now = 1001;
  assert.deepEqual([watch.viewAge, watch.keyAge], [1, 1]);
});

test("a delta without a view to add it to ends the stream", async () => {
  const watch = startWatch();
  (await fake.watched()).send(DELTA);
  await fake.watched();
  assert.equal(watch.view, undefined);
});

test("a bad key set is refused as a whole and the last good one stays", async () => {
  const watch = startWatch();
  const stream = await fake.inform();
  await until(() => watch.view !== undefined);
  const asOf = momentOf(() => watch.keyAge);
  const bad = create(KeySetSchema, { keys: [new SigningKeyPair("new").message, { ...fake.key.message, alg: "none" }] });
  stream.send(DELTA, [anyRevocation()], { keySet: bad });
  await until(() => watch.view?.size === 1);
  assert.equal(keySetsRefused.length, 1);
  assert.ok(watch.keys?.find(fake.key.kid) && !watch.keys.find("new"));
  mustStillBeOf(asOf, () => watch.keyAge);
});

test("a key set replaces the earlier one", async () => {
  const watch = startWatch();
  const stream = await fake.inform();
  stream.send(DELTA, [], { keySet: keySet(new SigningKeyPair("next")) });
  await until(() => watch.keys?.find("next") !== undefined);
  assert.equal(watch.keys?.find(fake.key.kid), undefined);
  assert.equal(keyChanges, 2);
});

test("a key set that comes again is no change", async () => {
  const watch = startWatch();
  const stream = await fake.inform();
  stream.send(DELTA, [anyRevocation()], { keySet: keySet(fake.key) });
  await until(() => watch.view?.size === 1);
  assert.equal(keyChanges, 1);
});

test("a stream of an hour is opened anew, and the view stays meanwhile", async () => {
  let now = 1000;
  const watch = startWatch({}, { wall: () => 0, monotonic: () => now });
  const rule = anyRevocation();
  const stream = await fake.inform();
  await until(() => watch.view !== undefined);
  now += 3599;
  stream.send(DELTA, [rule]);
  await until(() => watch.view?.size === 1);
  assert.equal(fake.waitingWatches, 0);
  now += 1;
  stream.send(DELTA);
  const resumed = (await fake.watched()).continueFrom(rule);
  assert.equal(resumed.resumePoint?.seq, rule.seq);
  assert.deepEqual(lost, []);
  assert.ok(revokes(watch, rule.subject.value as string));
  resumed.send(DELTA, [anyRevocation()]);
  await until(() => watch.view?.size === 2);
});

test("a stream that falls silent is cancelled and opened again", async () => {
  startWatch({ silence: 0.1 });
  const silent = await fake.watched();
  await silent.cancelled;
  await fake.watched();
  // Where connecting took as long as that, this was told before.
  assert.equal(lost.at(-1), "nothing was heard for 0.1 s");
});

test("each stream tells once that it is complete, and each that ends that it is lost", async () => {
  startWatch();
  const stream = await fake.watched();
  stream.send(SNAPSHOT, [], { keySet: keySet(fake.key) });
  await until(() => keyChanges === 1);
  assert.equal(timesOpened, 0);
  stream.send(SNAPSHOT_END);
  stream.send(DELTA);
  stream.send(DELTA, [anyRevocation()]);
  await until(() => subjects.length === 1);
  assert.deepEqual([timesOpened, lost], [1, []]);
  stream.fail({ code: grpc.status.UNAVAILABLE });
  (await fake.watched()).fail({ code: grpc.status.UNAVAILABLE });
  await fake.inform();
  await until(() => timesOpened === 2);
  assert.equal(lost.length, 2);
});

test("a stream that is heard of is not cancelled", async () => {
  const silence = 1.5;
  const watch = startWatch({ silence });
  const stream = await fake.inform();
  const begin = performance.now() / 1000;
  while (performance.now() / 1000 < begin + 1.5 * silence) {
    await pause(40);
    stream.send(DELTA);
  }
  const viewAge = () => watch.viewAge;
  const [, last] = momentOf(viewAge);
  stream.send(DELTA);
  await until(() => momentOf(viewAge)[0] > last);
  assert.equal(fake.waitingWatches, 0);
});

test("after a complete view the next attempt comes soon", async () => {
  startWatch({ longestWait: 2 });
  for (let failures = 0; failures < 8; failures++) (await fake.watched()).fail({ code: grpc.status.UNAVAILABLE });
  const stream = await fake.inform();
  stream.fail({ code: grpc.status.UNAVAILABLE });
  const cut = performance.now();
  await fake.watched();
  assert.ok(performance.now() - cut < 1_000, "a second at least without the complete view");
});

test("it starts without the authentication service and catches up when it comes", async () => {
  fake.stop();
  const watch = startWatch();
  await fake.restart();
  await fake.inform();
  await until(() => watch.view !== undefined);
});

test("it finds a restarted authentication service again", async () => {
  const watch = startWatch();
  const rule = anyRevocation();
  await fake.inform(rule);
  await until(() => watch.view !== undefined);
  fake.stop();
  await fake.restart();
  const resumed = await fake.watched();
  assert.equal(resumed.resumePoint?.seq, rule.seq);
});

test("closing ends the stream", async () => {
  const watch = startWatch();
  const stream = await fake.watched();
  watch.close();
  await stream.cancelled;
});
