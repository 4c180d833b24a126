// What one decision costs: npm run --silent bench

import { decide, type Judge, type Knowledge } from "../src/decision.js";
import { KeySet } from "../src/keys.js";
import type { Policy } from "../src/rules.js";
import { TokenVerifier } from "../src/tokens.js";
import { RevocationView } from "../src/view.js";
import { anyRevocation } from "./auth_server.js";
import { AUDIENCE, ISSUER, keySet, SigningKeyPair } from "./issuer.js";

const KEY = new SigningKeyPair();
const POLICY: Policy = {
  isPublic: false, anyRole: ["buyer"], mfa: false, maxAuthAge: undefined, maxStaleness: undefined, observe: false,
};
const view = new RevocationView();
for (let i = 0; i < 10_000; i++) view.add([anyRevocation()]);
const known: Knowledge = { now: Date.now() / 1000, keys: new KeySet(keySet(KEY)), keyAge: 1, view, viewAge: 1 };

function judge(remembered: number): Judge {
  return {
    verifier: new TokenVerifier(ISSUER, AUDIENCE, remembered),
    maxStaleness: 10, maxKeyAge: 3600,
    ask: () => Promise.reject(new Error("Verify is not asked here")),
  };
}

async function measure(name: string, tokens: string[], judge: Judge, rounds: number): Promise<void> {
  const runs: number[] = [];
  for (let run = 0; run < 5; run++) {
    const start = performance.now();
    for (let i = 0; i < rounds; i++) {
      const { refusal } = await decide([`Bearer ${tokens[i % tokens.length]}`], POLICY, known, judge);
      if (refusal) throw new Error(refusal.reason);
    }
    runs.push(((performance.now() - start) / rounds) * 1000);
  }
  console.log(`${name}: ${runs.sort((a, b) => a - b)[2]!.toFixed(2)} µs per decision, median of 5 runs`);
}

const tokens = Array.from({ length: 1000 }, () => KEY.token());
await measure("seen token", tokens, judge(10_000), 200_000);
await measure("new token", tokens, judge(0), 2_000);
