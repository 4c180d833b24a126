// The view: which sessions are revoked and which tokens outdated. Rules are kept by session and user, never by the text of
// a token, which could be spelled in another way.

import type { Revocation } from "./gen/authapi/v1/trust_service_pb.js";
import { seconds } from "./time.js";

interface Rule {
  readonly subject: string;
  /** Undefined: the subject is a session. */
  readonly minGeneration: number | undefined;
  readonly expireTime: number;
}

/** A token, as far as rules are about it. */
export interface Bearer {
  readonly userId: string;
  readonly sessionId: string;
}

export class RevocationView {
  private readonly rules = new Map<bigint, Rule>();
  private readonly bySubject = new Map<string, Rule[]>();
  private nextExpiry = Infinity;

  /** How many rules there are. */
  get size(): number {
    return this.rules.size;
  }

  /** The sessions and users that rules are about. */
  get subjects(): Iterable<string> {
    return this.bySubject.keys();
  }

  /** Adds rules that are not there yet. */
  add(revocations: readonly Revocation[]): void {
    for (const revocation of revocations) {
      if (this.rules.has(revocation.seq)) continue;
      const rule = readRule(revocation);
      this.rules.set(revocation.seq, rule);
      this.nextExpiry = Math.min(this.nextExpiry, rule.expireTime);
      const others = this.bySubject.get(rule.subject);
      if (others) others.push(rule);
      else this.bySubject.set(rule.subject, [rule]);
    }
  }

  /** Drops the rules whose last token had expired at `readTime`. */
  dropExpired(readTime: number): void {
    // Rules expire in whole minutes, so that this loop runs once a minute.
    if (readTime < this.nextExpiry) return;
    this.nextExpiry = Infinity;
    for (const [seq, rule] of this.rules) {
      if (rule.expireTime > readTime) this.nextExpiry = Math.min(this.nextExpiry, rule.expireTime);
      else this.drop(seq, rule);
    }
  }

  /** Why tokens of this bearer and generation no longer count, if they do not. */
  reasonAgainst({ sessionId, userId }: Bearer, generation: number): "SESSION_ENDED" | "TOKEN_OUTDATED" | undefined {
    if (this.bySubject.get(sessionId)?.some((rule) => rule.minGeneration === undefined)) return "SESSION_ENDED";
    if (this.bySubject.get(userId)?.some((rule) => (rule.minGeneration ?? 0) > generation)) return "TOKEN_OUTDATED";
    return undefined;
  }

  private drop(seq: bigint, rule: Rule): void {
    this.rules.delete(seq);
    const rest = this.bySubject.get(rule.subject)?.filter((other) => other !== rule) ?? [];
    if (rest.length > 0) this.bySubject.set(rule.subject, rest);
    else this.bySubject.delete(rule.subject);
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

function readRule(revocation: Revocation): Rule {
  const { subject, expireTime } = revocation;
  if (!expireTime) throw new Error(`rule ${revocation.seq} has no expire_time`);
  return {
    subject: subjectOf(revocation),
    minGeneration: subject.case === "outdatedTokens" ? subject.value.minGeneration : undefined,
    expireTime: seconds(expireTime),
  };
}
