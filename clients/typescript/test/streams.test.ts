import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { StreamService } from "../src/gen/authapi/v1/stream_service_pb.js";
import { KeySetSchema, WatchPart, type KeySet, type Revocation } from "../src/gen/authapi/v1/trust_service_pb.js";
import { identityOf } from "../src/metadata.js";
import { reasonOf } from "../src/refusal.js";
import { makeClient } from "../src/services.js";
import { anyRevocation, momentOf, sessionRevoked, tokensOutdated, until, type Watching } from "./auth_server.js";
import { bearer, echoService, Shop, start, type Echo, type Kind, type Outcome, type Running } from "./echo.js";
import { goodClaims, keySet, SigningKeyPair, type ClaimSet } from "./issuer.js";

const { OK, NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE } = grpc.status;
const STREAMS = ["serverStream", "clientStream", "bidi"] as const;
const SIGNED_IN = echoService({ authenticated: true });
/** A second less than the leeway: a token that expired then is good for this second. */
const ALMOST_OVER = 29;

let shop: Shop;
let watching: Watching;

afterEach(() => shop.close());

async function openShop(service: Echo = SIGNED_IN): Promise<void> {
  shop = await Shop.open([service]);
  watching = await shop.auth.inform();
  await until(() => shop.guard.viewAge < 10);
}

/** Opens a stream of that name, and waits until its handler holds it. Throws the status if it ended before. */
async function openStream(kind: Kind, token: string, service: Echo = SIGNED_IN, name = newName()): Promise<Running> {
  const before = shop.streams.length;
  const metadata = bearer(token);
  metadata.set("authclient-stream", name);
  const running = start(shop.client(service), kind, metadata);
  let ended: Outcome | undefined;
  void running.outcome.then((outcome) => (ended = outcome));
  await until(() => shop.streams.length > before || ended !== undefined);
  if (ended && shop.streams.length === before) throw ended.status;
  return running;
}

/** Opens a stream whose token expires within a second: another one, where a busy machine was too late for the first. */
async function openEndingStream(kind: Kind, claims: ClaimSet = {}, name = newName()): Promise<[Running, string]> {
  return withinItsTime(async () => {
    const token = shop.auth.key.token({ ...endingSoon(), ...claims });
    return [await openStream(kind, token, SIGNED_IN, name), token];
  });
}

/** Tries again what came too late for a token that expires within a second. */
async function withinItsTime<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !["TOKEN_EXPIRED", "STREAM_UNKNOWN"].includes(reasonOf(error) ?? "")) throw error;
    }
  }
}

type TokenClaims = { sub: string; sid: string; exp: number };

/** What Verify answers for a token with these claims. */
function identity({ sub, sid, exp }: TokenClaims) {
  const [authTime, expireTime] = [{ seconds: 1n }, { seconds: BigInt(exp) }];
  return { userId: sub, sessionId: sid, userName: "ada", authTime, expireTime };
}

/** Sends a delta and waits until it is known: until the view is surely of a later moment than it was. */
async function sendAndWait(...delta: [Revocation[], { keySet?: KeySet }?]): Promise<void> {
  const viewAge = () => shop.guard.viewAge;
  const [, before] = momentOf(viewAge);
  watching.send(WatchPart.DELTA, ...delta);
  await until(() => momentOf(viewAge)[0] > before);
}

/** Rejects what comes later than by the news itself: each stream is looked at again when its view gets too old. */
async function atOnce<T>(outcome: Promise<T>, maxStaleness = 2): Promise<T> {
  const begin = performance.now();
  const result = await outcome;
  assert.ok(performance.now() - begin < (maxStaleness - 0.5) * 1_000, "that took too long");
  return result;
}

function newName(): string {
  return randomBytes(16).toString("base64url");
}

/** The claims of a token that expires within a second, for everybody who grants the leeway. */
function endingSoon() {
  const now = Math.floor(Date.now() / 1000);
  return { exp: now - ALMOST_OVER, iat: now - 900, nbf: now - 900, auth_time: now - 900 };
}

/** Renews a stream, and throws where `renew` answers an error. */
async function renewed(streamId: string, token: string): Promise<number | undefined> {
  const { error, expireTime } = await renew(streamId, token);
  if (error) throw error;
  return expireTime;
}

function renew(streamId: string, token: string): Promise<{ error: grpc.ServiceError | null; expireTime?: number }> {
  const client = makeClient(StreamService, shop.address, grpc.credentials.createInsecure());
  return new Promise((resolve) => {
    client.renewStream({ streamId }, bearer(token), {}, (error, answer) => {
      client.close();
      resolve({ error, ...(answer && { expireTime: Number(answer.expireTime?.seconds) }) });
    });
  });
}

for (const kind of STREAMS) {
  test(`an idle stream ends with the reason when its session ends: ${kind}`, async () => {
    await openShop();
    const sid = randomUUID();
    const running = await openStream(kind, shop.auth.key.token({ sid }));
    watching.send(WatchPart.DELTA, [sessionRevoked(sid)]);
    const { status } = await running.outcome;
    assert.deepEqual([status.code, reasonOf(status)], [UNAUTHENTICATED, "SESSION_ENDED"]);
    assert.deepEqual(shop.refused, ["SESSION_ENDED"]);
    assert.ok(shop.streams[0]!.cancelled, "the handler is told");
  });

  test(`an idle stream ends with the reason when its token expires: ${kind}`, async () => {
    await openShop();
    const [running] = await openEndingStream(kind);
    const { status } = await running.outcome;
    assert.deepEqual([status.code, reasonOf(status)], [UNAUTHENTICATED, "TOKEN_EXPIRED"]);
  });
}

for (const [what, rule] of Object.entries({ "a role": { anyRole: ["buyer"] }, mfa: { authenticated: true, mfa: true } })) {
  test(`a stream whose rule asks for ${what} ends when its token is outdated, and not by a rule about earlier ones`, async () => {
    const buying = echoService(rule);
    await openShop(buying);
    const claims = { sub: randomUUID(), amr: ["pwd", "otp", "mfa"] };
    const [older, newer] = [
      await openStream("bidi", shop.auth.key.token({ ...claims, gen: 3 }), buying),
      await openStream("bidi", shop.auth.key.token({ ...claims, gen: 4 }), buying),
    ];
    watching.send(WatchPart.DELTA, [tokensOutdated(claims.sub, 4)]);
    assert.equal(reasonOf((await older.outcome).status), "TOKEN_OUTDATED");
    newer.end();
    assert.equal((await newer.outcome).status.code, OK);
  });
}

test("a stream whose rule asks for no role nor mfa outlives a change of roles", async () => {
  await openShop();
  const claims = { sub: randomUUID(), sid: randomUUID(), gen: 3 };
  const running = await openStream("bidi", shop.auth.key.token(claims));
  watching.send(WatchPart.DELTA, [tokensOutdated(claims.sub, 4)]);
  const again = start(shop.client(SIGNED_IN), "bidi", bearer(shop.auth.key.token(claims)));
  assert.equal(reasonOf((await again.outcome).status), "TOKEN_OUTDATED");
  watching.send(WatchPart.DELTA, [sessionRevoked(claims.sid)]);
  assert.equal(reasonOf((await running.outcome).status), "SESSION_ENDED");
});

test("a stream ends at once when its key is removed, and not when another is added", async () => {
  await openShop();
  const running = await openStream("serverStream", shop.auth.key.token());
  const another = new SigningKeyPair("another");
  watching.send(WatchPart.DELTA, [], { keySet: keySet(shop.auth.key, another) });
  const kept = await openStream("bidi", another.token());
  watching.send(WatchPart.DELTA, [], { keySet: keySet(another) });
  const { status } = await atOnce(running.outcome, 10);
  assert.deepEqual([status.code, reasonOf(status)], [UNAUTHENTICATED, "TOKEN_INVALID"]);
  assert.deepEqual(shop.auth.asked, []);
  kept.end();
  assert.equal((await kept.outcome).status.code, OK);
});

test("a snapshot ends the streams that it is about", async () => {
  await openShop();
  const sid = randomUUID();
  const running = await openStream("serverStream", shop.auth.key.token({ sid }));
  watching.fail({ code: grpc.status.UNAVAILABLE });
  await shop.auth.inform(sessionRevoked(sid));
  assert.equal(reasonOf((await running.outcome).status), "SESSION_ENDED");
});

test("a stream goes on while rules about others come", async () => {
  await openShop();
  const running = await openStream("bidi", shop.auth.key.token());
  await sendAndWait([anyRevocation()]);
  running.end();
  assert.equal((await running.outcome).status.code, OK);
});

test("a rule that comes while Verify is asked about a new stream ends it", async () => {
  shop = await Shop.open([SIGNED_IN]);
  watching = await shop.auth.watched();
  watching.send(WatchPart.SNAPSHOT_END);
  await until(() => shop.guard.viewAge < 10);
  const claims = goodClaims() as TokenClaims;
  shop.auth.verify = () => {
    shop.auth.verify = () => ({ code: UNAUTHENTICATED, reason: "SESSION_ENDED", message: "" });
    watching.send(WatchPart.DELTA, [sessionRevoked(claims.sid)]);
    return identity(claims);
  };
  const running = start(shop.client(SIGNED_IN), "bidi", bearer(shop.auth.key.token(claims)));
  assert.equal(reasonOf((await running.outcome).status), "SESSION_ENDED");
  assert.deepEqual(shop.calls, [], "its handler was called");
});

test("a key that is removed while Verify is asked about a new stream ends it", async () => {
  const service = echoService({ authenticated: true, maxStaleness: {} });
  await openShop(service);
  const claims = goodClaims() as TokenClaims;
  shop.auth.verify = async () => {
    await sendAndWait([], { keySet: keySet(new SigningKeyPair("another")) });
    return identity(claims);
  };
  const running = start(shop.client(service), "bidi", bearer(shop.auth.key.token(claims)));
  assert.equal(reasonOf((await running.outcome).status), "TOKEN_INVALID");
  assert.deepEqual(shop.calls, [], "its handler was called, so it ended when its view got too old");
});

test("streams of one token ask Verify together, and an answer counts from the question", async () => {
  const service = echoService({ authenticated: true, maxStaleness: { seconds: 2n } });
  await openShop(service);
  const claims = goodClaims() as TokenClaims;
  const token = shop.auth.key.token(claims);
  const [askedAt, answeredAt]: [number[], number[]] = [[], []];
  shop.auth.verify = async () => {
    askedAt.push(performance.now());
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    answeredAt.push(performance.now());
    return identity(claims);
  };
  const running = [await openStream("bidi", token, service), await openStream("bidi", token, service)];
  await until(() => askedAt.length === 2);
  const [sinceQuestion, sinceAnswer] = [askedAt[1]! - askedAt[0]!, askedAt[1]! - answeredAt[0]!];
  assert.ok(sinceQuestion > 1_900 && sinceAnswer < 2_000, `asked again ${sinceQuestion} ms later, ${sinceAnswer} after the answer`);
  for (const each of running) each.end();
  for (const { outcome } of running) assert.equal((await outcome).status.code, OK);
  assert.equal(askedAt.length, 2);
});

test("a stream that only Verify can judge ends when its token expires, whatever Verify says", async () => {
  shop = await Shop.open([SIGNED_IN]);
  watching = await shop.auth.watched();
  watching.send(WatchPart.SNAPSHOT_END, [], { keySet: create(KeySetSchema, { isSharedSecret: true }) });
  await until(() => shop.guard.viewAge < 10);
  const claims = goodClaims(endingSoon()) as TokenClaims;
  shop.auth.verify = () => identity(claims);
  const running = await openStream("bidi", shop.auth.key.token(claims));
  assert.equal(reasonOf((await running.outcome).status), "TOKEN_EXPIRED");
});

test("a stream whose view gets too old ends when Verify does not answer", async () => {
  const service = echoService({ authenticated: true, maxStaleness: { seconds: 1n } });
  await openShop(service);
  const running = await openStream("serverStream", shop.auth.key.token(), service);
  shop.auth.stop();
  const { status } = await running.outcome;
  assert.deepEqual([status.code, reasonOf(status)], [UNAVAILABLE, "VERIFICATION_UNAVAILABLE"]);
  assert.ok(shop.guard.viewAge >= 2, "less than two seconds count as two");
});

test("a stream under a rule that observes goes on, and is counted", async () => {
  const service = echoService({ authenticated: true, observe: true });
  await openShop(service);
  const sid = randomUUID();
  const running = await openStream("bidi", shop.auth.key.token({ sid }), service);
  watching.send(WatchPart.DELTA, [sessionRevoked(sid)]);
  await until(() => shop.observed.length > 0);
  running.end();
  assert.equal((await running.outcome).status.code, OK);
  assert.deepEqual([shop.observed, shop.refused], [["SESSION_ENDED"], []]);
});

test("a renewed stream lives as long as the fresh token and its session", async () => {
  await openShop();
  const sub = randomUUID();
  const name = newName();
  const fresh = goodClaims({ sub, preferred_username: "ada l." }) as TokenClaims;
  const [running, old] = await withinItsTime(async () => {
    const opened = await openEndingStream("serverStream", { sub }, name);
    assert.equal(await renewed(name, shop.auth.key.token(fresh)), fresh.exp);
    return opened;
  });
  assert.equal(identityOf(shop.streams.at(-1)!)?.userName, "ada l.");
  // Another stream of the old token shows when its time is over.
  const other = start(shop.client(SIGNED_IN), "serverStream", bearer(old));
  assert.equal(reasonOf((await other.outcome).status), "TOKEN_EXPIRED");

  watching.send(WatchPart.DELTA, [sessionRevoked(fresh.sid)]);
  assert.equal(reasonOf((await running.outcome).status), "SESSION_ENDED");
});

test("the token of a renewal counts even if it expires earlier", async () => {
  await openShop();
  const [sub, name] = [randomUUID(), newName()];
  const running = await openStream("serverStream", shop.auth.key.token({ sub }), SIGNED_IN, name);
  await withinItsTime(() => renewed(name, shop.auth.key.token({ ...endingSoon(), sub })));
  assert.equal(reasonOf((await running.outcome).status), "TOKEN_EXPIRED");
});

test("a rule that comes while Verify is asked about a renewal ends the stream", async () => {
  const service = echoService({ authenticated: true, maxStaleness: {} });
  await openShop(service);
  const [claims, name] = [goodClaims() as TokenClaims, newName()];
  shop.auth.verify = () => identity(claims);
  const running = await openStream("serverStream", shop.auth.key.token(claims), service, name);
  const sid = randomUUID();
  shop.auth.verify = async () => {
    await sendAndWait([sessionRevoked(sid)]);
    return identity({ ...claims, sid });
  };
  assert.equal((await renew(name, shop.auth.key.token({ ...claims, sid }))).error, null);
  assert.equal(reasonOf((await atOnce(running.outcome)).status), "SESSION_ENDED");
});

test("nobody renews the stream of somebody else, nor one that is not there", async () => {
  await openShop();
  const token = shop.auth.key.token();
  const name = newName();
  await openStream("serverStream", token, SIGNED_IN, name);
  for (const [given, bearerToken] of [[name, shop.auth.key.token()], [newName(), token], ["", token]] as const) {
    const { error } = await renew(given, bearerToken);
    assert.deepEqual([error?.code, reasonOf(error)], [NOT_FOUND, "STREAM_UNKNOWN"]);
  }
});

test("two users may give their streams one name", async () => {
  await openShop();
  const name = newName();
  const tokens = [shop.auth.key.token(), shop.auth.key.token()] as const;
  for (const token of tokens) await openStream("serverStream", token, SIGNED_IN, name);
  for (const token of tokens) assert.equal((await renew(name, token)).error, null);
});

test("a stream with a name that could be guessed, or with none, cannot be renewed", async () => {
  await openShop();
  const token = shop.auth.key.token();
  for (const name of ["short", "A".repeat(65), "with.a.dot.in.its.text.", ""]) {
    await openStream("serverStream", token, SIGNED_IN, name);
    assert.equal(reasonOf((await renew(name, token)).error), "STREAM_UNKNOWN");
  }
});

test("a token that the rule of the stream does not admit does not renew it", async () => {
  const service = echoService({ anyRole: ["buyer"] });
  await openShop(service);
  const [sub, name] = [randomUUID(), newName()];
  await openStream("serverStream", shop.auth.key.token({ sub }), service, name);
  const { error } = await renew(name, shop.auth.key.token({ sub, roles: [] }));
  assert.deepEqual([error?.code, reasonOf(error)], [PERMISSION_DENIED, "ROLE_MISSING"]);
});

test("a stream that has ended is unknown", async () => {
  await openShop();
  const [token, name] = [shop.auth.key.token(), newName()];
  const running = await openStream("bidi", token, SIGNED_IN, name);
  running.end();
  await running.outcome;
  assert.equal(reasonOf((await renew(name, token)).error), "STREAM_UNKNOWN");
});

test("a stream that ends while it is being renewed is unknown", async () => {
  const service = echoService({ authenticated: true, maxStaleness: {} });
  await openShop(service);
  const claims = goodClaims() as TokenClaims;
  const [token, name] = [shop.auth.key.token(claims), newName()];
  shop.auth.verify = () => identity(claims);
  const running = await openStream("bidi", token, service, name);
  shop.auth.verify = async () => {
    running.end();
    await running.outcome;
    return identity(claims);
  };
  assert.equal(reasonOf((await renew(name, token)).error), "STREAM_UNKNOWN");
});
