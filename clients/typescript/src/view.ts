// The view: which sessions are revoked and which tokens outdated. Rules are kept by session and user, never by the text of
// a token, which could be spelled in another way.

import type { Revocation } from "./gen/authapi/v1/trust_service_pb.js";
import { seconds } from "./time.js";

/** What has to be known of a rule to drop it. */
interface KeptRule {
  readonly seq: bigint;
  readonly subject: string;
  readonly isUser: boolean;
}

/** Which tokens of a user are outdated until the rule is dropped. */
interface OutdatedUntil {
  readonly minGeneration: number;
  readonly expireTime: number;
}

/** A token, as far as rules are about it. */
export interface Bearer {
  readonly userId: string;
  readonly sessionId: string;
}

export class RevocationView {
  private readonly seqs = new Set<bigint>();
  // Expire times are whole minutes, so there are few of them.
  private readonly byExpiry = new Map<number, KeptRule[]>();
  /** How many rules there are about each session. */
  private readonly sessions = new Map<string, number>();
  /** The rules about each user that make a difference: of growing generation and falling expiry. The last one counts. */
  private readonly users = new Map<string, OutdatedUntil[]>();

  /** How many rules there are. */
  get size(): number {
    return this.seqs.size;
  }

  /** The sessions and users that rules are about. */
  get subjects(): Iterable<string> {
    return [...this.sessions.keys(), ...this.users.keys()];
  }

  /** Adds rules that are not there yet. */
  add(revocations: readonly Revocation[]): void {
    for (const revocation of revocations) {
      const { seq, subject, expireTime } = revocation;
      if (this.seqs.has(seq)) continue;
      if (!expireTime) throw new Error(`rule ${seq} has no expire_time`);
      const kept = { seq, subject: subjectOf(revocation), isUser: subject.case === "outdatedTokens" };
      const expiry = seconds(expireTime);
      this.seqs.add(seq);
      valueOf(this.byExpiry, expiry, () => []).push(kept);
      if (subject.case === "outdatedTokens") {
        const { minGeneration } = subject.value;
        addOutdated(valueOf(this.users, kept.subject, () => []), { minGeneration, expireTime: expiry });
      } else {
        this.sessions.set(kept.subject, (this.sessions.get(kept.subject) ?? 0) + 1);
      }
    }
  }

  /** Drops the rules whose last token had expired at `readTime`. */
  dropExpired(readTime: number): void {
    for (const [expiry, over] of this.byExpiry) {
      if (expiry > readTime) continue;
      this.byExpiry.delete(expiry);
      for (const rule of over) this.drop(rule, readTime);
    }
  }

  /** Why tokens of this bearer and generation no longer count, if they do not. */
  reasonAgainst({ sessionId, userId }: Bearer, generation: number): "SESSION_ENDED" | "TOKEN_OUTDATED" | undefined {
    if (this.sessions.has(sessionId)) return "SESSION_ENDED";
    if ((this.users.get(userId)?.at(-1)?.minGeneration ?? 0) > generation) return "TOKEN_OUTDATED";
    return undefined;
  }

  private drop({ seq, subject, isUser }: KeptRule, readTime: number): void {
    this.seqs.delete(seq);
    if (!isUser) {
      const left = (this.sessions.get(subject) ?? 0) - 1;
      if (left > 0) this.sessions.set(subject, left);
      else this.sessions.delete(subject);
      return;
    }
    const left = this.users.get(subject);
    while (left?.length && left.at(-1)!.expireTime <= readTime) left.pop();
    if (!left?.length) this.users.delete(subject);
  }
}

/** Whom a rule is about: a session or a user, or nobody we know of. */
export function subjectOf({ subject }: Revocation): string {
  switch (subject.case) {
    case "sessionId":
      return subject.value;
    case "outdatedTokens":
      return subject.value.userId;
    default:
      return "";
  }
}

/** Tells whether a rule says about whom it is and until when. */
export function isAboutSomebody(revocation: Revocation): boolean {
  const { subject, expireTime } = revocation;
  if (subject.case === "outdatedTokens" && subject.value.minGeneration <= 0) return false;
  return subjectOf(revocation) !== "" && expireTime !== undefined;
}

/**
 * Adds to the rules about a user, and takes away those that no longer make a difference: another one lasts as long and asks
 * for as much. What is left needs no search, neither when a token is judged nor when rules are dropped.
 */
function addOutdated(rules: OutdatedUntil[], added: OutdatedUntil): void {
  // How many last as long as the new one; the last of them asks for the most.
  let [from, most] = [0, rules.length];
  while (from < most) {
    const middle = (from + most) >> 1;
    if (rules[middle]!.expireTime >= added.expireTime) from = middle + 1;
    else most = middle;
  }
  let to = from;
  if (from > 0 && rules[from - 1]!.minGeneration >= added.minGeneration) return;
  if (from > 0 && rules[from - 1]!.expireTime === added.expireTime) from--;
  while (to < rules.length && rules[to]!.minGeneration <= added.minGeneration) to++;
  rules.splice(from, to - from, added);
}

function valueOf<Key, Value>(map: Map<Key, Value>, key: Key, initial: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = initial();
  map.set(key, value);
  return value;
}
