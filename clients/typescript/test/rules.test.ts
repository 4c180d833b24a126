import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers, FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { readPolicies } from "../src/rules.js";

const { Varint, LengthDelimited, Bit32 } = WireType;
const OPTION = 50051;

/** The service x.v1.X, whose method M has options in the bytes in which they stand in a descriptor. */
function serviceOf(options: Uint8Array) {
  const text = ".google.protobuf.StringValue";
  const file = create(FileDescriptorProtoSchema, {
    name: "x.proto", package: "x.v1", syntax: "proto3", dependency: ["google/protobuf/wrappers.proto"],
    service: [{ name: "X", method: [{ name: "M", inputType: text, outputType: text, options: fromBinary(MethodOptionsSchema, options) }] }],
  });
  const files = createFileRegistry(file, (name) =>
    name === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined);
  return files.getService("x.v1.X")!;
}

function option(...rule: number[]): Uint8Array {
  return new BinaryWriter().tag(OPTION, LengthDelimited).bytes(new Uint8Array(rule)).finish();
}

function accepts(...options: Uint8Array[]): boolean {
  return readPolicies(options.map(serviceOf)).has("/x.v1.X/M");
}

const tag = (no: number, wireType: WireType) => (no << 3) | wireType;
const AUTHENTICATED = [tag(2, Varint), 1];

describe("a rule with what is not known here is rejected", () => {
  for (const [name, rule, accepted] of [
    ["all is known", [tag(4, Varint), 1, tag(3, LengthDelimited), 0, tag(6, LengthDelimited), 2, tag(1, Varint), 7], false],
    ["all is known, and it makes sense", [tag(4, Varint), 1, tag(6, LengthDelimited), 2, tag(1, Varint), 7], true],
    ["the first reserved field", [tag(8, Varint), 1], false],
    ["the last reserved field", [0x98, 1, 1], false],
    ["mfa as bytes", [tag(4, LengthDelimited), 0], false],
    ["mfa as a fixed number", [tag(4, Bit32), 0, 0, 0, 0], false],
    ["max_auth_age as a number", [tag(5, Varint), 0], false],
    ["max_staleness as a number", [tag(6, Varint), 0], false],
    ["an unknown field in max_auth_age", [tag(5, LengthDelimited), 4, tag(1, Varint), 60, tag(3, Varint), 1], false],
    ["an unknown field alone in max_staleness", [tag(6, LengthDelimited), 2, tag(3, Varint), 1], false],
    ["seconds of a wrong type", [tag(6, LengthDelimited), 2, tag(1, LengthDelimited), 0], false],
    ["bytes that are no message", [tag(5, LengthDelimited), 9], false],
  ] as const) {
    test(name, () => assert.equal(accepts(option(...AUTHENTICATED, ...rule)), accepted));
  }
  test("beside public", () => assert.equal(accepts(option(tag(1, Varint), 1, tag(8, Varint), 1)), false));
  test("an option that is a number", () =>
    assert.equal(accepts(new BinaryWriter().tag(OPTION, Varint).uint32(1).finish()), false));
});

test("a method that is described in two ways is refused to everybody", () => {
  const [strict, lax, none] = [option(...AUTHENTICATED, tag(4, Varint), 1), option(tag(1, Varint), 1), new Uint8Array()];
  assert.ok(accepts(strict, strict), "one way, twice");
  for (const files of [[strict, lax], [lax, strict], [lax, strict, lax], [none, lax], [lax, none]]) assert.ok(!accepts(...files));
});
