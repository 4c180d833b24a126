import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { REFUSALS } from "../src/refusal.js";

// The texts of the Python client, which the tests of the Go client read, too. Found from dist/test.
const FILE = new URL("../../../vectors/refusals.json", import.meta.url);

test("refusals say what they do in the other languages", () => {
  const ours = Object.entries(REFUSALS).map(([reason, [code, text]]) => [reason, [Code[code], text]]);
  assert.deepEqual(Object.fromEntries(ours), JSON.parse(readFileSync(FILE, "utf8")));
});
