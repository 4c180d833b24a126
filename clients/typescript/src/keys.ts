// The keys that access tokens are verified with.
//
// A key names its algorithm, and that name alone decides how a signature is checked: what a token says about algorithms is
// only compared with it (RFC 8725 section 3.1). A key set with one bad key is refused as a whole, when it is loaded.

import { constants, createPublicKey, verify, type KeyObject } from "node:crypto";
import { isSoundPoint } from "./edwards.js";
import { KeyState, type KeySet as KeySetMessage, type SigningKey } from "./gen/authapi/v1/trust_service_pb.js";

export class BadKeySet extends Error {}

const MAX_KEYS = 64;
const MAX_KEY_BYTES = 1024;
/** RFC 7518 section 3.3. */
const MIN_RSA_BITS = 2048;
/** The only one. Libraries differ in which others they can work with. */
const RSA_EXPONENT = 65_537n;
const KID = /^[\x20-\x7e]{1,64}$/;
const STATES = new Set([KeyState.PENDING, KeyState.ACTIVE, KeyState.RETIRED]);
const ED25519_BYTES = 32;
/** How each P-256 key with an uncompressed point begins in DER, up to the coordinates (RFC 5480 section 2). */
const P256_BEGINNING = Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex");
/** Half the order of the group of ES256 (SEC 2, curve secp256r1), rounded down. */
const HALF_P256_ORDER = Buffer.from("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8", "hex");

interface Algorithm {
  /** Says what is wrong with a key, if anything is. */
  complaint(key: KeyObject): string | undefined;
  verifies(key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean;
}

const ALGORITHMS = new Map<string, Algorithm>([
  ["ES256", {
    // The beginning is compared, and not OpenSSL's name of the curve: that has other spellings, and points may be compressed.
    complaint: (key) =>
      writeDer(key).subarray(0, P256_BEGINNING.length).equals(P256_BEGINNING)
        ? undefined : "it is not a P-256 key with an uncompressed point",
    // (r, s) and (r, n - s) sign the same bytes. Only the smaller s is ours, so that a token has one spelling.
    verifies: (key, signed, signature) =>
      signature.length === 64 &&
      Buffer.compare(signature.subarray(32), HALF_P256_ORDER) <= 0 &&
      verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature),
  }],
  ["EdDSA", {
    complaint: (key) => {
      if (key.asymmetricKeyType !== "ed25519") return "it is not an Ed25519 key";
      return isSoundPoint(writeDer(key).subarray(-ED25519_BYTES)) ? undefined : "it is no point of full order";
    },
    verifies: (key, signed, signature) => verify(null, signed, key, signature),
  }],
  ["RS256", {
    complaint: (key) => {
      const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
      if (key.asymmetricKeyType !== "rsa") return "it is not an RSA key";
      if (modulusLength < MIN_RSA_BITS) return `it has fewer than ${MIN_RSA_BITS} bits`;
      if (modulusLength % 8 !== 0 || hasEvenModulus(key)) return "its modulus is even or does not fill its bytes";
      return publicExponent === RSA_EXPONENT ? undefined : `its exponent is not ${RSA_EXPONENT}`;
    },
    verifies: (key, signed, signature) =>
      verify("sha256", signed, { key, padding: constants.RSA_PKCS1_PADDING }, signature),
  }],
]);

/** One key, bound to one algorithm. Lives as long as the key set that holds it. */
export class VerificationKey {
  readonly kid: string;
  readonly alg: string;
  /** Equal for two keys if they are one and the same: id, algorithm and key. */
  readonly identity: string;
  private readonly key: KeyObject;
  private readonly algorithm: Algorithm;

  /** Throws BadKeySet. */
  constructor(message: SigningKey) {
    const algorithm = ALGORITHMS.get(message.alg);
    if (!KID.test(message.kid)) throw new BadKeySet("a key id is not 1 to 64 printable ASCII characters");
    if (!algorithm) throw new BadKeySet(`key ${message.kid}: its algorithm is unknown`);
    if (!STATES.has(message.state)) throw new BadKeySet(`key ${message.kid}: its state is unknown`);
    this.kid = message.kid;
    this.alg = message.alg;
    this.algorithm = algorithm;
    this.key = readPublicKey(message);
    const complaint = algorithm.complaint(this.key);
    if (complaint) throw new BadKeySet(`key ${message.kid} cannot be used for ${message.alg}: ${complaint}`);
    this.identity = `${this.kid}\n${this.alg}\n${Buffer.from(message.publicKey).toString("base64")}`;
  }

  verifies(signed: Uint8Array, signature: Uint8Array): boolean {
    return this.algorithm.verifies(this.key, signed, signature);
  }
}

/** The key set of one moment. Immutable. `isSharedSecret`: tokens can be judged by the authentication service alone. */
export class KeySet {
  readonly isSharedSecret: boolean;
  /** Equal for two sets of the same keys. */
  readonly identity: string;
  private readonly keys = new Map<string, VerificationKey>();

  /** Throws BadKeySet for a set with any bad key. */
  constructor(message: KeySetMessage) {
    this.isSharedSecret = message.isSharedSecret;
    if (message.isSharedSecret !== (message.keys.length === 0)) {
      throw new BadKeySet(message.isSharedSecret ? "there are keys beside a shared secret" : "there is no key");
    }
    if (message.keys.length > MAX_KEYS) throw new BadKeySet(`there are more than ${MAX_KEYS} keys`);
    for (const key of message.keys.map((signingKey) => new VerificationKey(signingKey))) {
      if (this.keys.has(key.kid)) throw new BadKeySet(`two keys have the id ${key.kid}`);
      this.keys.set(key.kid, key);
    }
    this.identity = [...this.keys.values()].map((key) => key.identity).sort().join("\n");
  }

  find(kid: string): VerificationKey | undefined {
    return this.keys.get(kid);
  }
}

function hasEvenModulus(key: KeyObject): boolean {
  const modulus = Buffer.from(key.export({ format: "jwk" }).n ?? "", "base64url");
  return ((modulus.at(-1) ?? 0) & 1) === 0;
}

function writeDer(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" });
}

function readPublicKey({ kid, publicKey }: SigningKey): KeyObject {
  const der = Buffer.from(publicKey);
  if (der.length > MAX_KEY_BYTES) throw new BadKeySet(`key ${kid}: it is longer than ${MAX_KEY_BYTES} bytes`);
  try {
    const key = createPublicKey({ key: der, format: "der", type: "spki" });
    // OpenSSL overlooks bytes behind the key, which would give one key many spellings.
    if (writeDer(key).equals(der)) return key;
  } catch {
    // Not a key at all: refused below, like one with something behind it.
  }
  throw new BadKeySet(`key ${kid}: it is not exactly one SubjectPublicKeyInfo`);
}
