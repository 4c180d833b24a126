import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { afterEach, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../src/gen/google/rpc/status_pb.js";
import { Guard } from "../src/guard.js";
import { forwardToken, identityOf } from "../src/metadata.js";
import { reasonOf, refusal } from "../src/refusal.js";
import { FakeAuthServer, sessionRevoked, until } from "./auth_server.js";
import { bearer, echoService, KINDS, run, Shop, type Echo } from "./echo.js";
import { AUDIENCE, goodClaims, ISSUER } from "./issuer.js";

const { OK, PERMISSION_DENIED, UNAUTHENTICATED, UNAVAILABLE } = grpc.status;
const SIGNED_IN = echoService({ authenticated: true });
const [MAJOR = 0, MINOR = 0] = process.versions.node.split(".").map(Number);
/** Whether this Node.js shows entries that begin or end with a blank, if it is told to. */
const SHOWS_BLANKS = MAJOR >= 24 || (MAJOR === 22 && MINOR >= 20);

let shop: Shop;

afterEach(() => shop.close());

/** A shop that knows the keys and an empty view. */
async function openInformed(service: Echo, ...rest: Parameters<typeof sessionRevoked>[]): Promise<Shop> {
  shop = await Shop.open([service]);
  await shop.auth.inform(...rest.map((revoked) => sessionRevoked(...revoked)));
  await until(() => shop.guard.viewAge < 10);
  return shop;
}

for (const kind of KINDS) {
  test(`a good token is let in and its owner known: ${kind}`, async () => {
    await openInformed(SIGNED_IN);
    const { status, values } = await run(shop.client(SIGNED_IN), kind, bearer(shop.auth.key.token()));
    assert.deepEqual([status.code, values], [OK, ["ada"]]);
    assert.deepEqual(shop.auth.asked, []);
  });

  test(`a call without a token is refused before its handler: ${kind}`, async () => {
    await openInformed(SIGNED_IN);
    const { status } = await run(shop.client(SIGNED_IN), kind);
    assert.deepEqual([status.code, reasonOf(status)], [UNAUTHENTICATED, "TOKEN_MISSING"]);
    assert.deepEqual([shop.calls, shop.refused], [[], ["TOKEN_MISSING"]]);
  });

  test(`a method without a rule is refused to everybody: ${kind}`, async () => {
    const service = echoService(undefined);
    await openInformed(service);
    const { status } = await run(shop.client(service), kind, bearer(shop.auth.key.token()));
    assert.deepEqual([status.code, reasonOf(status)], [PERMISSION_DENIED, "METHOD_WITHOUT_RULE"]);
    assert.deepEqual(shop.calls, []);
  });

  test(`a public method is open and looks at no token: ${kind}`, async () => {
    const service = echoService({ public: true });
    shop = await Shop.open([service]);
    const { status, values } = await run(shop.client(service), kind, bearer("nonsense"));
    assert.deepEqual([status.code, values], [OK, ["nobody"]]);
  });

  test(`a rule that observes counts and lets pass: ${kind}`, async () => {
    const service = echoService({ anyRole: ["support"], observe: true });
    await openInformed(service);
    const known = await run(shop.client(service), kind, bearer(shop.auth.key.token()));
    const unknown = await run(shop.client(service), kind);
    assert.deepEqual([known.status.code, known.values, unknown.status.code, unknown.values], [OK, ["ada"], OK, ["nobody"]]);
    assert.deepEqual([shop.observed, shop.refused], [["ROLE_MISSING", "TOKEN_MISSING"], []]);
  });

  test(`a session that has ended is refused: ${kind}`, async () => {
    const { sid } = goodClaims() as { sid: string };
    await openInformed(SIGNED_IN, [sid]);
    const { status } = await run(shop.client(SIGNED_IN), kind, bearer(shop.auth.key.token({ sid })));
    assert.deepEqual([status.code, reasonOf(status)], [UNAUTHENTICATED, "SESSION_ENDED"]);
  });
}

test("a service that the guard was not told of is refused", async () => {
  const told: string[][] = [];
  const observer = { methodWithoutRule: (...what: string[]) => void told.push(what) };
  shop = await Shop.open([SIGNED_IN], { services: [], observer });
  await shop.auth.inform();
  for (let call = 0; call < 3; call++) {
    const { status } = await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
    assert.equal(reasonOf(status), "METHOD_WITHOUT_RULE");
  }
  const { typeName, methods } = SIGNED_IN;
  const unary = methods.find(({ localName }) => localName === "unary")!;
  const why = `the service ${typeName} is not among the \`services\` of the guard; add it there`;
  assert.deepEqual(told, [[`/${typeName}/${unary.name}`, why]], "once, with what to do");
});

test("a method of a known service is told of as one without a good rule", async () => {
  const told: string[] = [];
  const service = echoService(undefined);
  shop = await Shop.open([service], { observer: { methodWithoutRule: (_method, why) => void told.push(why) } });
  await run(shop.client(service), "unary");
  assert.deepEqual(told, ["its rule is missing or contradicts itself; `authclient lint` says what is wrong"]);
});

test("an entry that is not one Bearer token is refused with how it has to look", async () => {
  await openInformed(SIGNED_IN);
  const token = shop.auth.key.token();
  for (const entry of [token, `Basic ${token}`, `Bearer:${token}`]) {
    const { status } = await run(shop.client(SIGNED_IN), "unary", authorizationOf(entry));
    assert.deepEqual([reasonOf(status), status.details], ["TOKEN_INVALID", refusal("TOKEN_MISSING").message]);
  }
  for (const entry of ["Bearer", "bearer", ""]) {
    const { status } = await run(shop.client(SIGNED_IN), "unary", authorizationOf(entry));
    assert.equal(reasonOf(status), "TOKEN_MISSING");
  }
});

test("the methods of health and reflection are let through by their exact names, and no others", async () => {
  const exempt = [
    "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
  ];
  const similar = [
    "/grpc.health.v1.Health/Reset", "/grpc.health.v1.Health/check", "/grpc.health.v1.Healthy/Check",
    "/grpc.health.v1.health/Check", "/a.grpc.health.v1.Health/Check", "/grpc.health.v2.Health/Check",
    "/grpc.reflection.v1.ServerReflection/Other",
  ];
  shop = await Shop.open([SIGNED_IN]);
  const server = shop.guard.createServer();
  const bytes = (value: Buffer) => value;
  const plain = {
    requestStream: false, responseStream: false,
    requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes,
  };
  for (const path of [...exempt, ...similar]) {
    const answer: grpc.handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, Buffer.alloc(0));
    server.addService({ method: { path, ...plain } }, { method: answer });
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => error ? reject(error) : resolve(bound));
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const codes = await Promise.all([...exempt, ...similar].map((path) => new Promise((resolve) => {
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (error) => resolve(error?.code ?? OK));
  })));
  client.close();
  server.forceShutdown();
  assert.deepEqual(codes, [...exempt.map(() => OK), ...similar.map(() => PERMISSION_DENIED)]);
});

test("entries that pretend to know the caller do not reach the handler", async () => {
  const forged = [
    "x-user", "x-user-id", "x-auth-request-user", "x-authenticated-userid", "x-forwarded-user", "x-forwarded-email",
    "x-forwarded-groups", "x-forwarded-preferred-username", "x-remote-user", "remote-user", "x-role", "x-roles",
    "x-identity-sub", "authclient-stream", "x-user-bin",
    "x-userid", "x-username", "x-userinfo", "x-user-", "x-email", "x-groups", "x-subject", "x-forwarded-client-cert",
    "x-consumer-id", "x-credential-identifier", "x-jwt-payload", "x-goog-authenticated-user-email",
    "x-endpoint-api-userinfo", "x-amzn-oidc-data", "x-ms-client-principal", "x-ms-client-principal-id", "x_user", "x_user_id",
  ];
  const harmless = ["x-users", "x-emails", "x-request-id", "x-forwarded-for", "user-agent-of", "x-rolex"];
  for (const service of [SIGNED_IN, echoService({ public: true })]) {
    await openInformed(service);
    const metadata = bearer(shop.auth.key.token());
    for (const key of [...forged, ...harmless]) metadata.set(key, key.endsWith("-bin") ? Buffer.from("1") : "1");
    await run(shop.client(service), "unary", metadata);
    const received = Object.keys(shop.calls[0]!.metadata.getMap());
    assert.deepEqual(received.filter((key) => [...forged, ...harmless].includes(key)).sort(), harmless.sort());
    shop.close();
  }
});

test("two authorization entries are refused, although Node.js shows one", async () => {
  await openInformed(SIGNED_IN);
  const token = `Bearer ${shop.auth.key.token()}`;
  const cases = [[[token], []], [[token, token], ["TOKEN_INVALID"]], [[token, ""], ["TOKEN_INVALID"]]] as const;
  for (const [values, refused] of cases) {
    shop.refused.length = shop.calls.length = 0;
    await rawUnary(shop.address, "/test.v1.Echo/Unary", values);
    assert.deepEqual(shop.refused, refused);
    assert.equal(shop.calls.length, refused.length === 0 ? 1 : 0);
  }
});

test("VERIFICATION_UNAVAILABLE asks to come back in a second", async () => {
  await openInformed(echoService({ authenticated: true, maxStaleness: {} }));
  shop.auth.verify = () => ({ code: UNAVAILABLE, details: "", metadata: new grpc.Metadata() });
  const { status } = await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
  assert.deepEqual([status.code, reasonOf(status)], [UNAVAILABLE, "VERIFICATION_UNAVAILABLE"]);
  const [details] = status.metadata.get("grpc-status-details-bin");
  const retry = fromBinary(StatusSchema, details as Buffer).details.map((detail) => anyUnpack(detail, RetryInfoSchema));
  assert.equal(retry.find((detail) => detail)?.retryDelay?.seconds, 1n);
});

test("Verify is asked, and believed, where the rule asks for it", async () => {
  await openInformed(echoService({ authenticated: true, maxStaleness: {} }));
  const token = shop.auth.key.token();
  const unary = () => run(shop.client(SIGNED_IN), "unary", bearer(token));
  shop.auth.verify = () => ({ code: UNAUTHENTICATED, reason: "SESSION_ENDED", message: "over" });
  assert.equal(reasonOf((await unary()).status), "SESSION_ENDED");
  assert.deepEqual(shop.auth.asked, [token]);
});

test("an UNAUTHENTICATED without a reason that tokens are refused for says nothing about the token", async () => {
  await openInformed(echoService({ authenticated: true, maxStaleness: {} }));
  const unauthenticated = (reason: string) => ({ code: UNAUTHENTICATED, reason, message: "" });
  for (const answer of [
    { code: UNAUTHENTICATED, details: "some proxy", metadata: new grpc.Metadata() },
    unauthenticated("CREDENTIALS_INVALID"), unauthenticated("ROLE_MISSING"), unauthenticated("A_REASON_OF_THE_FUTURE"),
  ]) {
    shop.auth.verify = () => answer;
    const { status } = await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
    assert.deepEqual([status.code, reasonOf(status)], [UNAVAILABLE, "VERIFICATION_UNAVAILABLE"]);
  }
});

test("a call before the first view waits for it", async () => {
  shop = await Shop.open([SIGNED_IN], { startWait: 30 });
  const outcome = run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
  await shop.auth.inform();
  assert.equal((await outcome).status.code, OK);
  assert.deepEqual(shop.auth.asked, []);
});

test("a call before the first view asks Verify when it has waited long enough", async () => {
  shop = await Shop.open([SIGNED_IN], { startWait: 0.05 });
  shop.auth.verify = () => ({ code: UNAUTHENTICATED, reason: "TOKEN_EXPIRED", message: "" });
  const { status } = await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
  assert.equal(reasonOf(status), "TOKEN_EXPIRED");
});

test("a call waits for the first view no longer than its own deadline allows", async () => {
  shop = await Shop.open([SIGNED_IN], { startWait: 30 });
  shop.auth.verify = () => ({ code: UNAUTHENTICATED, reason: "TOKEN_EXPIRED", message: "" });
  const client = shop.client(SIGNED_IN);
  const error = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.unary({}, bearer(shop.auth.key.token()), { deadline: Date.now() + 2_000 }, resolve);
  });
  assert.equal(reasonOf(error), "TOKEN_EXPIRED");
});

test("a fault inside the guard refuses the call and is told of", async () => {
  const fault = new Error("the clock stands still");
  const clock = { wall: () => { throw fault; }, monotonic: () => 0 };
  shop = await Shop.open([SIGNED_IN], { clock, startWait: 0 });
  const { status } = await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
  assert.deepEqual([status.code, reasonOf(status)], [UNAVAILABLE, "VERIFICATION_UNAVAILABLE"]);
  assert.deepEqual([shop.failures, shop.calls], [[fault], []]);
});

test("a fault inside the guard lets pass where the rule observes, and is counted", async () => {
  const service = echoService({ authenticated: true, observe: true });
  const clock = { wall: () => { throw new Error(); }, monotonic: () => 0 };
  shop = await Shop.open([service], { clock, startWait: 0 });
  for (const kind of KINDS) {
    const { status, values } = await run(shop.client(service), kind, bearer(shop.auth.key.token()));
    assert.deepEqual([status.code, values], [OK, ["nobody"]]);
  }
  assert.deepEqual([shop.observed, shop.refused], [KINDS.map(() => "VERIFICATION_UNAVAILABLE"), []]);
  assert.equal(shop.failures.length, KINDS.length);
});

test("an observer that throws decides nothing", async () => {
  const observer = { refused: () => { throw new Error(); }, recalled: () => { throw new Error(); } };
  shop = await Shop.open([SIGNED_IN], { observer });
  await shop.auth.inform();
  const client = shop.client(SIGNED_IN);
  assert.equal((await run(client, "unary", bearer(shop.auth.key.token()))).status.code, OK);
  assert.equal(reasonOf((await run(client, "unary")).status), "TOKEN_MISSING");
});

test("the caller's token is forwarded where the handler says so", async () => {
  await openInformed(SIGNED_IN);
  const token = shop.auth.key.token();
  await run(shop.client(SIGNED_IN), "unary", bearer(token));
  assert.deepEqual(forwardToken(shop.calls[0]!).get("authorization"), [`Bearer ${token}`]);
});

test("identity is nothing that metadata could say", async () => {
  await openInformed(SIGNED_IN);
  await run(shop.client(SIGNED_IN), "unary", bearer(shop.auth.key.token()));
  const [call] = shop.calls;
  assert.equal(identityOf(call!)?.userName, "ada");
  assert.equal(identityOf({ metadata: call!.metadata.clone() }), undefined);
  assert.deepEqual(forwardToken({ metadata: new grpc.Metadata() }).getMap(), {});
});

test("without issuer and audience no guard is made", async () => {
  shop = await Shop.open([SIGNED_IN]);
  for (const missing of [{ issuer: "" }, { audience: "" }]) {
    const options = { authServer: "127.0.0.1:1", services: [], issuer: ISSUER, audience: AUDIENCE, ...missing };
    assert.throws(() => new Guard(options), /issuer and audience must be set/);
  }
});

test("it starts without the authentication service and serves when that comes", async () => {
  const auth = await FakeAuthServer.start();
  auth.stop();
  shop = await Shop.open([SIGNED_IN], { startWait: 30 }, auth);
  const outcome = run(shop.client(SIGNED_IN), "unary", bearer(auth.key.token()));
  await auth.restart();
  await auth.inform();
  assert.equal((await outcome).status.code, OK);
});

test("an entry without a token is none, however many blanks Node.js drops it for", async () => {
  await openInformed(SIGNED_IN);
  for (const value of ["Bearer ", "Bearer  ", "Bearer\t", " Bearer", " ", "\t", "Bearer", ""]) {
    shop.refused.length = 0;
    await rawUnary(shop.address, "/test.v1.Echo/Unary", [value]);
    assert.deepEqual(shop.refused, ["TOKEN_MISSING"], JSON.stringify(value));
  }
});

test("a second authorization entry is seen in spite of blanks, where Node.js can be told to", async (context) => {
  if (!SHOWS_BLANKS) return context.skip(`Node.js ${process.versions.node} drops such entries; the README says so`);
  await openInformed(SIGNED_IN);
  const token = `Bearer ${shop.auth.key.token()}`;
  for (const other of [` ${token}`, `${token} `, `\t${token}`, `${token}\t`, " ", "Basic x "]) {
    for (const values of [[token, other], [other, token]]) {
      shop.refused.length = shop.calls.length = 0;
      await rawUnary(shop.address, "/test.v1.Echo/Unary", values);
      assert.deepEqual([shop.refused, shop.calls.length], [["TOKEN_INVALID"], 0], JSON.stringify(other));
    }
  }
});

function authorizationOf(entry: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.add("authorization", entry);
  return metadata;
}

/** One unary call in raw HTTP/2: Node.js would not send `authorization` twice. Resolves when the answer has ended. */
async function rawUnary(address: string, path: string, authorization: readonly string[]): Promise<void> {
  const text = (value: string) => Buffer.concat([integer(value.length, 7), Buffer.from(value)]);
  const header = (name: string, value: string) => Buffer.concat([Buffer.from([0]), text(name), text(value)]);
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  const headers = [
    header(":method", "POST"), header(":scheme", "http"), header(":path", path), header(":authority", address),
    header("content-type", "application/grpc"), header("te", "trailers"),
    ...authorization.map((value) => header("authorization", value)),
  ];
  const [HEADERS, DATA, SETTINGS, END_STREAM, END_HEADERS] = [1, 0, 4, 1, 4];
  const socket = net.connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.write(Buffer.concat([
    Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, END_HEADERS, 1, Buffer.concat(headers)), frame(DATA, END_STREAM, 1, Buffer.alloc(5)),
  ]));
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const [type, flags] = [received.readUInt8(3), received.readUInt8(4)];
      received = received.subarray(9 + received.readUIntBE(0, 3));
      if (type === HEADERS && flags & END_STREAM) return socket.destroy() && once(socket, "close").then(() => undefined);
    }
  }
}

/** An integer as HPACK writes it (RFC 7541 section 5.1). */
function integer(value: number, bits: number): Buffer {
  const limit = 2 ** bits - 1;
  if (value < limit) return Buffer.from([value]);
  const bytes = [limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
