// The cases that every implementation has to pass, put to the very code that the interceptor runs.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromJson } from "@bufbuild/protobuf";
import { status as Code } from "@grpc/grpc-js";
import type { Identity } from "../src/claims.js";
import { decide, type Judge, type Knowledge } from "../src/decision.js";
import { IdentitySchema } from "../src/gen/authapi/v1/auth_service_pb.js";
import { RuleSchema } from "../src/gen/authapi/v1/rule_pb.js";
import { KeySetSchema, RevocationSchema } from "../src/gen/authapi/v1/trust_service_pb.js";
import { BadKeySet, KeySet } from "../src/keys.js";
import { answeredRefusal, statusOf, type Refusal } from "../src/refusal.js";
import { readPolicy } from "../src/rules.js";
import { seconds } from "../src/time.js";
import { TokenVerifier } from "../src/tokens.js";
import { RevocationView } from "../src/view.js";
import * as files from "./vectors.js";
import type { Answer, Case } from "./vectors.js";

const keySets = new Map([...files.keySets].map(([name, keySet]) => [name, new KeySet(fromJson(KeySetSchema, keySet))]));

describe("key sets", () => {
  for (const { name, key_set, accepted } of files.keySetCases) {
    test(name, () => {
      const load = () => new KeySet(fromJson(KeySetSchema, key_set));
      if (accepted) load();
      else assert.throws(load, BadKeySet);
    });
  }
});

describe("rules", () => {
  for (const { name, rule, accepted } of files.ruleCases) {
    test(name, () => assert.equal(readPolicy(fromJson(RuleSchema, rule)) !== undefined, accepted));
  }
});

describe("decisions", () => {
  // One verifier for all cases, so that what it remembers of one may not change another.
  const verifier = new TokenVerifier(files.issuer, files.audience, 1000);
  for (const each of files.cases) {
    test(each.name, async () => {
      const policy = each.rule === null ? undefined : readPolicy(fromJson(RuleSchema, each.rule));
      const asked: string[] = [];
      const judge = makeJudge(verifier, each.verify, asked);
      const { refusal, observed, caller } = await decide(authorizationOf(each), policy, knowledgeOf(each), judge);
      const { expect } = each;
      assert.deepEqual(
        { status: Code[refusal?.code ?? Code.OK], reason: refusal?.reason, observed: observed?.reason },
        { status: expect.status, reason: expect.reason, observed: expect.observed },
      );
      const words = expect.words ?? expect.reason;
      assert.equal(refusal?.message, words && files.refusalTexts[words]![1], "words");
      assert.equal(caller?.identity.userId ?? null, expect.user_id ?? null);
      if (!each.verify) assert.deepEqual(asked, [], "Verify was asked");
    });
  }
});

function knowledgeOf({ now, keys, key_age, view_age, revocations = [] }: Case): Knowledge {
  const view = new RevocationView();
  view.add(revocations.map((revocation) => fromJson(RevocationSchema, revocation)));
  view.dropExpired(now - (view_age ?? 0));
  return {
    now,
    keys: keys === null ? undefined : keySets.get(keys),
    keyAge: key_age ?? view_age ?? 0,
    view: view_age === null ? undefined : view,
    viewAge: view_age ?? Infinity,
  };
}

function authorizationOf({ token, metadata }: Case): string[] {
  const entries = metadata ?? (token === undefined ? [] : [["authorization", `Bearer ${token}`]]);
  return entries.filter(([key]) => key === "authorization").map(([, value]) => value as string);
}

function makeJudge(verifier: TokenVerifier, answer: Answer | undefined, asked: string[]): Judge {
  return {
    verifier,
    maxStaleness: 10,
    maxKeyAge: 3600,
    ask: (token) => {
      asked.push(token);
      return answer ? answerOf(answer) : Promise.reject(new Error("nobody answers"));
    },
  };
}

async function answerOf(answer: Answer): Promise<Identity | Refusal> {
  if ("identity" in answer) {
    const message = fromJson(IdentitySchema, answer.identity);
    return { ...message, authTime: seconds(message.authTime!), expireTime: seconds(message.expireTime!) };
  }
  if (answer.status !== "UNAUTHENTICATED") throw new Error(answer.status);
  return answeredRefusal(statusOf({ code: Code.UNAUTHENTICATED, reason: answer.reason!, message: "" }))!;
}
