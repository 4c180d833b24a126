import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VERIFY_TIMEOUT_MS } from "../src/auth_server.js";
import { KEY_NOTICE_SECONDS, LEEWAY_SECONDS } from "../src/decision.js";
import { DEFAULTS } from "../src/guard.js";
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
