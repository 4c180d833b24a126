// Makes keys and tokens as the authentication service does.

import { generateKeyPairSync, randomUUID, sign, type KeyObject } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { KeyState, KeySetSchema, SigningKeySchema, type KeySet } from "../src/gen/authapi/v1/trust_service_pb.js";

export const ISSUER = "https://auth.test";
export const AUDIENCE = "test";

const P256_ORDER = BigInt("0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
const ALGORITHMS = {
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
  RS256: () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};

export type ClaimSet = Record<string, unknown>;

/** Claims of a good token of a new user in a new session. */
export function goodClaims(changes: ClaimSet = {}): ClaimSet {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: ISSUER, aud: AUDIENCE, client_id: "test", jti: randomUUID(), preferred_username: "ada",
    sub: randomUUID(), sid: randomUUID(), exp: now + 900, iat: now, nbf: now, auth_time: now,
    gen: 0, amr: ["pwd"], roles: ["buyer"],
    ...changes,
  };
}

export class SigningKeyPair {
  readonly publicKey: KeyObject;
  private readonly privateKey: KeyObject;

  constructor(readonly kid = "key-1", readonly alg: keyof typeof ALGORITHMS = "ES256") {
    ({ publicKey: this.publicKey, privateKey: this.privateKey } = ALGORITHMS[alg]());
  }

  get message(): MessageInitShape<typeof SigningKeySchema> {
    const publicKey = new Uint8Array(this.publicKey.export({ type: "spki", format: "der" }));
    return { kid: this.kid, alg: this.alg, publicKey, state: KeyState.ACTIVE };
  }

  token(changes: ClaimSet = {}, header: ClaimSet = {}): string {
    return this.sign(
      JSON.stringify({ alg: this.alg, kid: this.kid, typ: "at+jwt", ...header }), JSON.stringify(goodClaims(changes)),
    );
  }

  /** Signs any two texts as header and payload. */
  sign(header: string, payload: string): string {
    const signed = [header, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
    return `${signed}.${this.signature(Buffer.from(signed)).toString("base64url")}`;
  }

  private signature(signed: Buffer): Buffer {
    if (this.alg !== "ES256") return sign(this.alg === "EdDSA" ? null : "sha256", signed, this.privateKey);
    const signature = sign("sha256", signed, { key: this.privateKey, dsaEncoding: "ieee-p1363" });
    return BigInt(`0x${signature.toString("hex", 32)}`) * 2n < P256_ORDER ? signature : withOtherS(signature);
  }
}

/** The other form (r, n - s) of an ES256 signature. */
export function withOtherS(signature: Buffer): Buffer {
  const s = P256_ORDER - BigInt(`0x${signature.toString("hex", 32)}`);
  return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex")]);
}

export function keySet(...keys: SigningKeyPair[]): KeySet {
  return create(KeySetSchema, { keys: keys.map((key) => key.message) });
}
