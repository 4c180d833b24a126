// What a verified access token says. Every claim is required and has one type (RFC 8725 section 3.8, RFC 9068 section 2.2).

import { MalformedJson, readObject, type JsonObject } from "./json.js";

/** Who is calling. `userId` is the key to store with anything that belongs to the user. */
export interface Identity {
  readonly userId: string;
  readonly userName: string;
  readonly sessionId: string;
  readonly roles: readonly string[];
  /** How they proved who they are, as RFC 8176 names it: `pwd`, `mfa`. */
  readonly authMethods: readonly string[];
  /** When they proved it last, in seconds since the epoch. */
  readonly authTime: number;
  /** When the access token ends, in seconds since the epoch. */
  readonly expireTime: number;
}

/** The claims of one access token. Times are whole seconds since the epoch. */
export interface Claims {
  readonly issuer: string;
  readonly audience: string;
  readonly identity: Identity;
  readonly issuedAt: number;
  readonly notBefore: number;
  /** Counts the changes of what tokens say about the user. */
  readonly generation: number;
}

/** Seconds since the epoch at the end of the year 9999, the last moment that a Timestamp can hold. */
const LATEST_TIME = 253_402_300_799n;
const MAX_INT32 = 2_147_483_647n;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
// JSON escapes can spell half a surrogate pair, which no UTF-8 field can hold.
const HALF_PAIR = /\p{Surrogate}/u;

/** Reads the payload of an access token. Throws MalformedJson if a claim is missing, or of the wrong type or form. */
export function readClaims(payload: Uint8Array): Claims {
  const claims = readObject(payload);
  requireText(claims, "client_id");
  requireText(claims, "jti");
  return {
    issuer: requireText(claims, "iss"),
    audience: requireText(claims, "aud"),
    identity: Object.freeze({
      userId: requireUuid(claims, "sub"),
      userName: requireText(claims, "preferred_username"),
      sessionId: requireUuid(claims, "sid"),
      roles: requireTexts(claims, "roles"),
      authMethods: requireTexts(claims, "amr"),
      authTime: requireInteger(claims, "auth_time", LATEST_TIME),
      expireTime: requireInteger(claims, "exp", LATEST_TIME),
    }),
    issuedAt: requireInteger(claims, "iat", LATEST_TIME),
    notBefore: requireInteger(claims, "nbf", LATEST_TIME),
    generation: requireInteger(claims, "gen", MAX_INT32),
  };
}

function requireText(claims: JsonObject, name: string): string {
  const value = claims.get(name);
  if (!isText(value)) throw new MalformedJson(name);
  return value;
}

function requireTexts(claims: JsonObject, name: string): readonly string[] {
  const value = claims.get(name);
  if (!Array.isArray(value) || !value.every(isText)) throw new MalformedJson(name);
  return Object.freeze(value);
}

function requireUuid(claims: JsonObject, name: string): string {
  const value = requireText(claims, name);
  if (!UUID.test(value)) throw new MalformedJson(name);
  return value;
}

function requireInteger(claims: JsonObject, name: string, largest: bigint): number {
  const value = claims.get(name);
  if (typeof value !== "bigint" || value < 0n || value > largest) throw new MalformedJson(name);
  return Number(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && !HALF_PAIR.test(value);
}
