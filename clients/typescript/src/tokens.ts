// What of an access token does not change with time: its text, its signature, its claims.

import { MalformedJson, readObject } from "./json.js";
import { readClaims, type Claims } from "./claims.js";
import type { KeySet } from "./keys.js";

/** The token is not accepted. `reason` is the name of an authapi.v1.ErrorReason without its prefix. */
export class TokenRefused extends Error {
  /** @param words the reason whose text the caller is told. */
  constructor(
    readonly reason: "TOKEN_MISSING" | "TOKEN_INVALID", why: string,
    readonly words: "TOKEN_MISSING" | "TOKEN_INVALID" = reason,
  ) {
    super(why);
  }
}

/** Longer texts are refused unread. The tokens of this service have at most 1,536 bytes. */
const MAX_TOKEN_BYTES = 4096;
/** RFC 9068 section 2.1. Any other type is a token for another purpose. */
const TOKEN_TYPE = "at+jwt";
const LONGEST_LIFE_SECONDS = 86_400;
const SEGMENTS = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const BEARER = /^bearer (.+)$/is;
/** Proxies and servers take blanks off an entry, or drop it for them; it must not matter which. */
const NO_TOKEN = /^[ \t]*(?:bearer[ \t]*)?$/i;

/** Finds the token in the values of the `authorization` metadata entry. Throws TokenRefused. */
export function findToken(authorization: readonly string[]): string {
  const [value, second] = authorization;
  if (value === undefined) throw new TokenRefused("TOKEN_MISSING", "there is no authorization entry");
  if (second !== undefined) throw malformed("there are two authorization entries");
  if (NO_TOKEN.test(value)) throw new TokenRefused("TOKEN_MISSING", "there is no token in the authorization entry");
  const token = BEARER.exec(value)?.[1];
  if (token === undefined) throw malformed("the authorization entry is not one Bearer token");
  return token;
}

/** A token whose text is that of an access token, and nothing more is known of it. */
export interface UnverifiedToken {
  readonly text: string;
  readonly kid: string;
  readonly alg: string;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

/** Reads the text of a token. Throws TokenRefused for anything but a signed JWT with our kind of header. */
export function parseToken(text: string): UnverifiedToken {
  const parts = text.length <= MAX_TOKEN_BYTES ? SEGMENTS.exec(text) : null;
  if (!parts) throw invalid("it is not a signed JWT in compact form");
  const [header, payload, signature] = parts.slice(1).map(decodeSegment) as [Buffer, Buffer, Buffer];
  const { kid, alg } = readHeader(header);
  return { text, kid, alg, payload, signature };
}

/** What a verifier tells, as it happens. */
export interface VerifierListener {
  /** Whether a token was remembered. */
  onRecall?(hit: boolean): void;
  /** A token is refused because one of these is not the configured one. */
  onForeign?(issuer: string, audience: string): void;
}

/** Checks signatures and claims of one issuer's tokens for one audience, and remembers which were good. */
export class TokenVerifier {
  // In the order of last use: a Map iterates in the order of insertion.
  private readonly verified = new Map<string, { readonly claims: Claims; readonly key: string; readonly kid: string }>();

  /**
   * @param remembered how many good tokens are remembered at most.
   * @throws Error if issuer or audience is empty: an audience that is not configured would not be checked (RFC 8725
   *   section 3.9).
   */
  constructor(
    private readonly issuer: string,
    private readonly audience: string,
    private readonly remembered: number,
    private readonly listener: VerifierListener = {},
  ) {
    if (!issuer || !audience) {
      throw new Error("issuer and audience must be set; without them tokens for other services would be accepted");
    }
  }

  /** The claims of a token that was good before, as long as the very same key is in `keys`. */
  recall(text: string, keys: KeySet): Claims | undefined {
    const found = this.verified.get(text);
    const hit = found !== undefined && keys.find(found.kid)?.identity === found.key;
    this.listener.onRecall?.(hit);
    if (!hit) return undefined;
    // To the end of the line of those to be forgotten.
    this.verified.delete(text);
    this.verified.set(text, found);
    return found.claims;
  }

  /** Checks signature and claims; undefined if the token's key is not in `keys`. Throws TokenRefused. */
  verify(token: UnverifiedToken, keys: KeySet): Claims | undefined {
    const key = keys.find(token.kid);
    if (!key) return undefined;
    const signed = Buffer.from(token.text.slice(0, token.text.lastIndexOf(".")), "latin1");
    if (key.alg !== token.alg || !key.verifies(signed, token.signature)) throw invalid("the signature is wrong");
    const claims = this.checkClaims(token.payload);
    this.remember(token.text, { claims, key: key.identity, kid: key.kid });
    return claims;
  }

  /** Checks what needs no key: the claims. Throws TokenRefused. */
  checkUnsigned(token: UnverifiedToken): void {
    this.checkClaims(token.payload);
  }

  private checkClaims(payload: Buffer): Claims {
    const claims = orInvalid(() => readClaims(payload), "a claim is missing or malformed");
    if (claims.issuer !== this.issuer || claims.audience !== this.audience) {
      this.listener.onForeign?.(claims.issuer, claims.audience);
      throw invalid("it was made by another issuer or for another audience");
    }
    const life = claims.identity.expireTime - claims.issuedAt;
    if (life <= 0 || life > LONGEST_LIFE_SECONDS) throw invalid("its life is longer than this service makes them");
    // However old the token becomes, such a login would be recent enough for any `max_auth_age`.
    if (claims.identity.authTime > claims.issuedAt) throw invalid("its login is later than the token");
    return claims;
  }

  private remember(text: string, good: { claims: Claims; key: string; kid: string }): void {
    this.verified.delete(text);
    this.verified.set(text, good);
    if (this.verified.size <= this.remembered) return;
    const [oldest] = this.verified.keys();
    this.verified.delete(oldest as string);
  }
}

function decodeSegment(segment: string): Buffer {
  const bytes = Buffer.from(segment, "base64url");
  // The last character carries unused bits. Only zeros there are the canonical spelling (RFC 4648 section 3.5).
  if (bytes.toString("base64url") !== segment) throw invalid("a part of it is not canonical base64url");
  return bytes;
}

function readHeader(bytes: Buffer): { kid: string; alg: string } {
  const header = orInvalid(() => readObject(bytes), "the header is malformed");
  const [kid, alg] = [header.get("kid"), header.get("alg")];
  // Exactly three members: whatever else a header may hold (crit, jku, jwk, x5u, zip, b64 …) asks for something we do not do.
  if (header.size !== 3 || header.get("typ") !== TOKEN_TYPE || typeof kid !== "string" || typeof alg !== "string") {
    throw invalid("the header is not that of an access token");
  }
  return { kid, alg };
}

function orInvalid<T>(read: () => T, why: string): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedJson) throw invalid(why);
    throw error;
  }
}

/** The caller is told how the entry has to look. */
function malformed(why: string): TokenRefused {
  return new TokenRefused("TOKEN_INVALID", why, "TOKEN_MISSING");
}

function invalid(why: string): TokenRefused {
  return new TokenRefused("TOKEN_INVALID", why);
}
