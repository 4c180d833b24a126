import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { HEARD_SECONDS, REPEAT_PAUSE_SECONDS, REPEATS } from "../src/asking.js";
import { VERIFY_TIMEOUT_MS } from "../src/auth_server.js";
import { KEY_NOTICE_SECONDS, LEEWAY_SECONDS } from "../src/decision.js";
import { DEFAULTS, Guard, type GuardOptions } from "../src/guard.js";
import { StreamService } from "../src/gen/authapi/v1/stream_service_pb.js";
import { ASKED_AT_ONCE, ASKING_MS } from "../src/questions.js";
import { RETRY_SECONDS } from "../src/refusal.js";
import { MIN_STALENESS_SECONDS } from "../src/streams.js";
import { MOST_DRIFT_SECONDS, PACE } from "../src/watch.js";

interface Setting { typescript: string; default: number }

// Found from dist/test.
const FILE = new URL("../../../vectors/settings.json", import.meta.url);

test("the defaults are those of the other languages", () => {
  const { settings } = JSON.parse(readFileSync(FILE, "utf8")) as { settings: Setting[] };
  assert.ok(settings.length > 0);
  const pace = Object.entries(PACE).map(([name, seconds]) => [`PACE.${name}`, seconds]);
  const ours = {
    ...DEFAULTS,
    ...Object.fromEntries(pace),
    VERIFY_TIMEOUT_MS: VERIFY_TIMEOUT_MS / 1000,
    REPEATS,
    REPEAT_PAUSE_SECONDS,
    HEARD_SECONDS,
    LEEWAY_SECONDS,
    KEY_NOTICE_SECONDS,
    MIN_STALENESS_SECONDS,
    ASKING_MS: ASKING_MS / 1000,
    ASKED_AT_ONCE,
    MOST_DRIFT_SECONDS,
    RETRY_SECONDS: Number(RETRY_SECONDS),
  };
  assert.deepEqual(ours, Object.fromEntries(settings.map((each) => [each.typescript, each.default])));
});

const GOOD = { authServer: "127.0.0.1:1", issuer: "i", audience: "a", services: [StreamService] };

for (const [name, values, said] of [
  ["issuer", ["", undefined, ["i"]], /issuer/],
  ["audience", ["", undefined, ["a"], 1], /audience/],
  ["authServer", ["", "auth", "127.0.0.1", "127.0.0.1:", ":50051", "::1", "::1:50051", "127.0.0.1:0", "127.0.0.1:99999",
    "127.0.0.1:-1", "http://127.0.0.1:50051", "https://auth.example", 50051, undefined], /host:port/],
  ["services", [undefined, StreamService, [{}], ["orders.v1.OrdersService"]], /list of services/],
  ["maxStaleness", [-1, NaN, Infinity, "10"], /maxStaleness has to be a number of seconds/],
  ["maxKeyAge", [-0.5], /maxKeyAge/],
  ["startWait", [-1], /startWait/],
  ["rememberedTokens", [-1, 0.5, "many"], /rememberedTokens/],
] as const) {
  test(`a guard does not start with a wrong ${name}`, () => {
    for (const value of values) {
      assert.throws(() => new Guard({ ...GOOD, [name]: value } as unknown as GuardOptions), said, String(value));
    }
  });
}

test("addresses of every kind are good", () => {
  for (const authServer of ["127.0.0.1:1", "[::1]:50051", "auth:65535", "dns:///auth:50051", "ipv4:127.0.0.1:1", "unix:/run/auth"]) {
    new Guard({ ...GOOD, authServer, observer: {} }).close();
  }
});
