// The cases of clients/vectors, each in full: tokens are texts, and rules and key sets stand where they are used. The
// format is described in docs/local-verification.md.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** A text said by its name, with a bit inverted, repeated, or in pieces. */
type Text = string | { name: string; flip?: number } | { repeat: string; times: number } | Text[];
export type Answer = { identity: JsonValue } | { status: string; reason?: string };

/** A case about a call. */
export interface Case {
  name: string;
  now: number;
  keys: string | null;
  key_age?: number;
  view_age: number | null;
  revocations?: JsonValue[];
  rule: JsonValue;
  token?: string;
  metadata?: [string, string][];
  verify?: Answer;
  expect: { status: string; reason?: string; words?: string; user_id?: string; observed?: string };
}

interface KeySetCase { name: string; key_set: JsonValue; accepted: boolean }
interface RuleCase { name: string; rule: JsonValue; accepted: boolean }

interface Page {
  key_set_cases?: KeySetCase[];
  rule_cases?: RuleCase[];
  cases?: (Omit<Case, "token" | "metadata"> & { token?: Text; metadata?: [string, Text][] })[];
}

type Named<Thing> = Record<string, Thing>;

interface Shared {
  issuer: string;
  audience: string;
  files: Named<number>;
  defaults: JsonObject;
  outcomes: Named<Case["expect"]>;
  answers: Named<Answer>;
  rules: Named<JsonValue>;
  texts: Named<Text>;
  keys: Named<JsonValue>;
  key_sets: Named<JsonObject>;
}

// From dist/test, where the compiled module is.
const FOLDER = new URL("../../../vectors/", import.meta.url);
const shared = read("shared.json") as Shared;
const pages = Object.entries(shared.files).map(([name, count]) => readPage(name, count));

/** Status and words of each refusal by its reason. */
export const refusalTexts = read("refusals.json") as Named<[status: string, words: string]>;
export const { issuer, audience } = shared;
export const keySets = new Map(Object.keys(shared.key_sets).map((name) => [name, keySetOf(name)]));
export const keySetCases: KeySetCase[] = pages
  .flatMap((page) => page.key_set_cases ?? [])
  .map((each) => ({ ...each, key_set: keySetOf(each.key_set) }));
export const ruleCases: RuleCase[] = pages
  .flatMap((page) => page.rule_cases ?? [])
  .map((each) => ({ ...each, rule: named(shared.rules, each.rule) }));
export const cases: Case[] = pages.flatMap((page) => page.cases ?? []).map((said) => {
  const { token, metadata, verify, ...each } = { ...shared.defaults, ...said };
  assert.ok(each.keys === null || keySets.has(each.keys), `there is no key set ${each.keys}`);
  return {
    ...each,
    expect: named(shared.outcomes, each.expect),
    rule: named(shared.rules, each.rule),
    ...(verify !== undefined && { verify: named(shared.answers, verify) }),
    ...(token !== undefined && { token: textOf(token) }),
    ...(metadata && { metadata: metadata.map(([key, value]): [string, string] => [key, textOf(value)]) }),
  };
});
assert.ok(keySetCases.length && ruleCases.length && cases.length, "the vectors are empty");

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
}

function readPage(name: string, count: number): Page {
  const page = read(name) as Page;
  const { key_set_cases = [], rule_cases = [], cases = [] } = page;
  const found = key_set_cases.length + rule_cases.length + cases.length;
  assert.ok(found > 0 && found === count, `${name} holds ${found} cases, and ${count} were written`);
  return page;
}

/** The thing whose name is said, or what is said itself where it is no name. */
function named<Thing>(things: Named<Thing>, said: Thing | string): Thing {
  if (typeof said !== "string") return said;
  assert.ok(Object.hasOwn(things, said), `there is no ${said}`);
  return things[said]!;
}

function keySetOf(said: JsonValue): JsonValue {
  const keySet = named<JsonValue>(shared.key_sets, said) as { keys?: JsonValue[] };
  return keySet.keys ? { ...keySet, keys: keySet.keys.map((key) => named(shared.keys, key)) } : { ...keySet };
}

function textOf(said: Text): string {
  if (typeof said === "string") return said;
  if (Array.isArray(said)) return said.map(textOf).join("");
  if ("repeat" in said) return said.repeat.repeat(said.times);
  const text = textOf(named<Text>(shared.texts, said.name));
  if (said.flip === undefined) return text;
  const bytes = Buffer.from(text, "latin1");
  bytes[said.flip >> 3]! ^= 1 << (said.flip & 7);
  return bytes.toString("latin1");
}
