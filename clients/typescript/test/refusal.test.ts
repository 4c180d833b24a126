import assert from "node:assert/strict";
import { test } from "node:test";
import { status as Code } from "@grpc/grpc-js";
import { REFUSALS } from "../src/refusal.js";
import { refusalTexts } from "./vectors.js";

test("refusals say what they do in the other languages", () => {
  const ours = Object.entries(REFUSALS).map(([reason, [code, text]]) => [reason, [Code[code], text]]);
  assert.deepEqual(Object.fromEntries(ours), refusalTexts);
});
