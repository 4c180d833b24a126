// What the shared vectors cannot show: what is remembered between calls, and cost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { KeySet } from "../src/keys.js";
import { parseToken, TokenVerifier, TokenRefused } from "../src/tokens.js";
import { AUDIENCE, ISSUER, keySet, SigningKeyPair, withOtherS } from "./issuer.js";

const KEY = new SigningKeyPair();
const KEYS = new KeySet(keySet(KEY));

function verifierThatSaw(...tokens: string[]): TokenVerifier {
  const verifier = new TokenVerifier(ISSUER, AUDIENCE, 2);
  for (const token of tokens) verifier.verify(parseToken(token), KEYS);
  return verifier;
}

test("a good token is remembered while its key is in the key set", () => {
  const token = KEY.token();
  const verifier = verifierThatSaw(token);
  assert.ok(verifier.recall(token, KEYS));
  assert.ok(verifier.recall(token, new KeySet(keySet(new SigningKeyPair("next"), KEY))), "in a later key set, too");
});

test("a token is forgotten when its key is removed, or another has taken its id", () => {
  const token = KEY.token();
  const verifier = verifierThatSaw(token);
  assert.equal(verifier.recall(token, new KeySet(keySet(new SigningKeyPair("other")))), undefined);
  assert.equal(verifier.recall(token, new KeySet(keySet(new SigningKeyPair(KEY.kid)))), undefined);
});

test("the token that was used longest ago is forgotten first", () => {
  const [first, second, third] = [KEY.token(), KEY.token(), KEY.token()];
  const verifier = verifierThatSaw(first, second);
  verifier.recall(first, KEYS);
  verifier.verify(parseToken(third), KEYS);
  assert.deepEqual([first, second, third].map((token) => verifier.recall(token, KEYS) !== undefined), [true, false, true]);
});

test("a refused token is not remembered", () => {
  const verifier = verifierThatSaw();
  const token = KEY.token({ aud: "another" });
  assert.throws(() => verifier.verify(parseToken(token), KEYS), TokenRefused);
  assert.equal(verifier.recall(token, KEYS), undefined);
});

for (const alg of ["ES256", "EdDSA", "RS256"] as const) {
  test(`no token with one bit changed is accepted: ${alg}`, () => {
    const pair = new SigningKeyPair("flipped", alg);
    const keys = new KeySet(keySet(pair));
    const verifier = new TokenVerifier(ISSUER, AUDIENCE, 10);
    const good = pair.token();
    assert.ok(verifier.verify(parseToken(good), keys));
    for (let bit = 0; bit < good.length * 8; bit += 7) {
      const bytes = Buffer.from(good, "latin1");
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const flipped = bytes.toString("latin1");
      assert.equal(verifier.recall(flipped, keys), undefined);
      // A changed `kid` names no key; everything else is refused.
      assert.throws(() => verifier.verify(parseToken(flipped), keys) ?? refuse(), TokenRefused);
    }
  });
}

test("of the two forms of an ES256 signature one is accepted", () => {
  const token = KEY.token();
  const cut = token.lastIndexOf(".") + 1;
  const other = token.slice(0, cut) + withOtherS(Buffer.from(token.slice(cut), "base64url")).toString("base64url");
  assert.throws(() => verifierThatSaw(other), TokenRefused);
});

function refuse(): never {
  throw new TokenRefused("TOKEN_INVALID", "its key is unknown");
}
