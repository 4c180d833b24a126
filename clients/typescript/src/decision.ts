// The decision about one call, in the order of docs/local-verification.md. Nothing here reads a clock, a socket or a
// setting: what is known comes in, and what is decided goes out.

import type { Claims, Identity } from "./claims.js";
import type { KeySet } from "./keys.js";
import { refusal, type Refusal } from "./refusal.js";
import type { Policy } from "./rules.js";
import { findToken, parseToken, TokenRefused, type TokenVerifier } from "./tokens.js";
import type { RevocationView } from "./view.js";

/** What is known when a call is judged. Ages and times are in seconds. */
export interface Knowledge {
  readonly now: number;
  readonly keys: KeySet | undefined;
  readonly keyAge: number;
  readonly view: RevocationView | undefined;
  /** Infinity where there never was a complete view. */
  readonly viewAge: number;
}

/** What a call is judged with besides what is known. */
export interface Judge {
  readonly verifier: TokenVerifier;
  /** Seconds that the view may be old if a rule does not say. */
  readonly maxStaleness: number;
  /** Seconds that the key set may be old. */
  readonly maxKeyAge: number;
  /** Asks `AuthService.Verify`. Rejects if there is no answer about the token. */
  ask(token: string): Promise<Identity | Refusal>;
}

/** Somebody whose token is good. */
export interface Caller {
  readonly identity: Identity;
  readonly token: string;
  /** Only the authentication service could judge the token. */
  readonly isVouchedForOnly?: boolean;
  /** When it was asked, by the local monotonic clock; unset if it was not. */
  readonly vouchedAt?: number;
}

/** A call with a `refusal` is refused. `observed` is the refusal that a rule with `observe` did not carry out. */
export interface Decision {
  readonly caller?: Caller;
  readonly refusal?: Refusal;
  readonly observed?: Refusal;
}

/** How far two clocks may be apart. */
export const LEEWAY_SECONDS = 30;
/** Keys are published a minute before they sign, so a view younger than this knows every key that signs. */
export const KEY_NOTICE_SECONDS = 10;

/** Judges one call by the values of its `authorization` metadata entry and the policy of its method. */
export async function decide(
  authorization: readonly string[],
  policy: Policy | undefined,
  known: Knowledge,
  judge: Judge,
): Promise<Decision> {
  if (!policy) return { refusal: refusal("METHOD_WITHOUT_RULE") };
  if (policy.isPublic) return {};
  const decision = await authenticate(authorization, policy.maxStaleness ?? judge.maxStaleness, known, judge);
  const refused = decision.refusal ?? (decision.caller && demandUnmet(policy, decision.caller.identity, known.now));
  return refused ? conclude(policy, refused, decision.caller) : decision;
}

/** What a refusal of steps 2 to 7 means under a policy. */
export function conclude(policy: Policy | undefined, refused: Refusal, caller?: Caller): Decision {
  if (!policy?.observe) return { refusal: refused };
  return caller ? { caller, observed: refused } : { observed: refused };
}

/**
 * Steps 2 to 6: whose token it is, and whether it still counts. Answers a `caller` or a `refusal`.
 *
 * @param mayBeOutdated let a token be from before a change of what it says about the user.
 */
export async function authenticate(
  authorization: readonly string[],
  maxStaleness: number,
  known: Knowledge,
  judge: Judge,
  mayBeOutdated = false,
): Promise<Decision> {
  let token, claims;
  try {
    token = findToken(authorization);
    claims = readToken(token, known, judge);
  } catch (error) {
    if (error instanceof TokenRefused) return { refusal: refusal(error.reason, error.words) };
    throw error;
  }
  if (claims) {
    const reason = timeAgainst(claims, known.now) ?? known.view?.reasonAgainst(claims.identity, claims.generation);
    const isOverlooked = mayBeOutdated && reason === "TOKEN_OUTDATED";
    if (reason && !isOverlooked) return { refusal: refusal(reason) };
    if (maxStaleness > 0 && known.viewAge <= maxStaleness) return { caller: { identity: claims.identity, token } };
  }
  return askVerify(token, judge, claims === undefined);
}

/** The claims of a good token, or undefined if only the authentication service can judge it. Throws TokenRefused. */
function readToken(text: string, known: Knowledge, { verifier, maxKeyAge }: Judge): Claims | undefined {
  const keys = known.keys?.isSharedSecret || known.keyAge > maxKeyAge ? undefined : known.keys;
  const remembered = keys && verifier.recall(text, keys);
  if (remembered) return remembered;
  // Before anything is asked: what is no token at all costs the authentication service nothing.
  const token = parseToken(text);
  const claims = keys && verifier.verify(token, keys);
  if (claims) return claims;
  if (keys && Math.max(known.viewAge, known.keyAge) <= KEY_NOTICE_SECONDS) {
    throw new TokenRefused("TOKEN_INVALID", "nobody signs with its key");
  }
  // Whatever is answered: a token of another issuer or for another audience does not count here.
  verifier.checkUnsigned(token);
  return undefined;
}

function timeAgainst({ identity, notBefore, issuedAt }: Claims, now: number) {
  if (now - LEEWAY_SECONDS >= identity.expireTime) return "TOKEN_EXPIRED";
  if (now + LEEWAY_SECONDS < Math.max(notBefore, issuedAt)) return "TOKEN_NOT_YET_VALID";
  return undefined;
}

async function askVerify(token: string, judge: Judge, isVouchedForOnly: boolean): Promise<Decision> {
  let answer;
  try {
    answer = await judge.ask(token);
  } catch {
    return { refusal: refusal("VERIFICATION_UNAVAILABLE") };
  }
  return "reason" in answer ? { refusal: answer } : { caller: { identity: answer, token, isVouchedForOnly } };
}

function demandUnmet({ anyRole, mfa, maxAuthAge }: Policy, identity: Identity, now: number): Refusal | undefined {
  if (anyRole.length > 0 && !anyRole.some((role) => identity.roles.includes(role))) return refusal("ROLE_MISSING");
  if (mfa && !identity.authMethods.includes("mfa")) return refusal("MFA_REQUIRED");
  if (maxAuthAge !== undefined && now - LEEWAY_SECONDS > identity.authTime + maxAuthAge) {
    return refusal("AUTHENTICATION_TOO_OLD");
  }
  return undefined;
}
