// Who may call an RPC, as its .proto says: the option (authapi.v1.rule), read once at start.

import { getOption, hasOption, type DescService } from "@bufbuild/protobuf";
import { rule as ruleOption, type Rule } from "./gen/authapi/v1/rule_pb.js";
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

/** The policies of all methods of `services` by path. A method without a good rule has none. */
export function readPolicies(services: Iterable<DescService>): Map<string, Policy> {
  const policies = new Map<string, Policy>();
  for (const service of services) {
    for (const method of service.methods) {
      const policy = hasOption(method, ruleOption) ? readPolicy(getOption(method, ruleOption)) : undefined;
      if (policy) policies.set(`/${service.typeName}/${method.name}`, policy);
    }
  }
  return policies;
}

/** The policy that a rule spells, or undefined if it says nothing or contradicts itself. */
export function readPolicy(rule: Rule): Policy | undefined {
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
