// Who may call an RPC, as its .proto says: the option (authapi.v1.rule), read once at start.

import {
  getOption, ScalarType, toBinary, type DescField, type DescMessage, type DescMethod, type DescService,
} from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { MethodDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { rule as ruleOption, RuleSchema, type Rule } from "./gen/authapi/v1/rule_pb.js";
import { seconds } from "./time.js";

/** A rule that does not contradict itself. */
export interface Policy {
  readonly isPublic: boolean;
  /** Empty: any role and none will do. */
  readonly anyRole: readonly string[];
  readonly mfa: boolean;
  /** Seconds; undefined: any age. */
  readonly maxAuthAge: number | undefined;
  /** Seconds; undefined: the setting of the guard. */
  readonly maxStaleness: number | undefined;
  readonly observe: boolean;
}

const ROLE = /^[a-z][a-z0-9._-]{0,63}$/;

/** How the types of fields are written that a rule can have. */
const WIRE_TYPES = new Map([
  [ScalarType.BOOL, WireType.Varint],
  [ScalarType.INT32, WireType.Varint],
  [ScalarType.INT64, WireType.Varint],
  [ScalarType.STRING, WireType.LengthDelimited],
]);

/**
 * The policies of all methods of `services` by path. A method without a good rule has none, nor has one that is described
 * in two ways: either may be the one that the server goes by.
 */
export function readPolicies(services: Iterable<DescService>): Map<string, Policy> {
  const policies = new Map<string, Policy>();
  const described = new Map<string, Uint8Array>();
  for (const service of services) {
    for (const method of service.methods) {
      const path = `/${service.typeName}/${method.name}`;
      const description = toBinary(MethodDescriptorProtoSchema, method.proto);
      const before = described.get(path);
      if (before) {
        if (Buffer.compare(before, description) !== 0) policies.delete(path);
        continue;
      }
      described.set(path, description);
      const policy = policyOf(method);
      if (policy) policies.set(path, policy);
    }
  }
  return policies;
}

function policyOf(method: DescMethod): Policy | undefined {
  const options = method.proto.options?.$unknown?.filter(({ no }) => no === ruleOption.number) ?? [];
  try {
    const isGood = options.length > 0 && options.every(({ wireType, data }) =>
      wireType === WireType.LengthDelimited && isKnown(RuleSchema, new BinaryReader(data).bytes()));
    return isGood ? readPolicy(getOption(method, ruleOption)) : undefined;
  } catch {
    return undefined; // It is no rule at all.
  }
}

/**
 * Tells whether all fields of a message, and of those in it, are known here. Looks at the bytes, because what
 * @bufbuild/protobuf makes of a known field of a wrong wire type is anything: it takes one that narrows a rule down for unset.
 */
function isKnown(message: DescMessage, bytes: Uint8Array): boolean {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [no, wireType] = reader.tag();
    const field = message.fields.find(({ number }) => number === no);
    if (!field || wireType !== wireTypeOf(field)) return false;
    if (!field.message) reader.skip(wireType, no);
    else if (!isKnown(field.message, reader.bytes())) return false;
  }
  return true;
}

function wireTypeOf(field: DescField): WireType | undefined {
  return field.message ? WireType.LengthDelimited : field.scalar && WIRE_TYPES.get(field.scalar);
}

/** The policy that a rule spells, or undefined if it says nothing, contradicts itself, or says what is not known here. */
export function readPolicy(rule: Rule): Policy | undefined {
  if (!isKnown(RuleSchema, toBinary(RuleSchema, rule))) return undefined;
  const { anyRole, mfa, maxAuthAge, maxStaleness, observe } = rule;
  const whoMayCall = [rule.public, rule.authenticated, anyRole.length > 0].filter(Boolean).length;
  if (whoMayCall !== 1) return undefined;
  if (rule.public && (mfa || maxAuthAge || maxStaleness || observe)) return undefined;
  if (!anyRole.every((role) => ROLE.test(role)) || new Set(anyRole).size !== anyRole.length) return undefined;
  if (maxAuthAge && (maxAuthAge.seconds <= 0n || maxAuthAge.nanos !== 0)) return undefined;
  if (maxStaleness && (maxStaleness.seconds < 0n || maxStaleness.nanos < 0)) return undefined;
  return {
    isPublic: rule.public,
    anyRole,
    mfa,
    maxAuthAge: maxAuthAge && seconds(maxAuthAge),
    maxStaleness: maxStaleness && seconds(maxStaleness),
    observe,
  };
}
