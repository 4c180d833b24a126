// The open streams: each is judged again when rules about its caller are new, when the key set changes, when its token
// expires, and when the view gets too old. It ends with the refusal, even while nothing is sent on it.

import type { Identity } from "./claims.js";
import { LEEWAY_SECONDS, type Caller, type Decision, type Knowledge } from "./decision.js";
import { refusal as refusalOf, type Refusal } from "./refusal.js";
import type { Policy } from "./rules.js";

/** With less, every stream would ask the authentication service all the time. */
export const MIN_STALENESS_SECONDS = 2;
const LONGEST_TIMER_SECONDS = 3600;
/** A timer may fire a little early; a stream would then be judged twice. */
const TIMER_SLACK_MS = 2;
const NAME = /^[A-Za-z0-9_-]{22,64}$/;

/** What streams are judged by. */
export interface StreamJudge {
  readonly known: Knowledge;
  readonly maxStaleness: number;
  /** The local clock that never jumps, in seconds. */
  monotonic(): number;
  /**
   * Judges a caller's token again: a `caller` or a `refusal`. `news`: when there was news about it. `mayBeOutdated`: let
   * it be from before a change of what it says about the user.
   */
  authenticate(caller: Caller, maxStaleness: number, news: number, mayBeOutdated: boolean): Promise<Decision>;
}

/** Is told what becomes of a stream. */
export interface StreamOwner {
  onRefused(refusal: Refusal): void;
  onRenewed(caller: Caller): void;
}

export class Streams {
  private readonly byName = new Map<string, GuardedStream>();
  private readonly byBearer = new BearerIndex();
  private newsCount = 0;

  constructor(private readonly judge: StreamJudge) {}

  /** Counts what has become known about any stream. */
  get news(): number {
    return this.newsCount;
  }

  /**
   * Guards a stream whose caller has been let in. To be closed when the stream ends.
   *
   * @param name what its caller named it by; without a proper name it cannot be renewed.
   * @param news the `news` before the caller was judged. Later ones found nobody who listened for them.
   */
  open(policy: Policy, caller: Caller, name: string, owner: StreamOwner, news: number): GuardedStream {
    const key = keyOf(name, caller);
    const forget = () => {
      if (this.byName.get(key) === stream) this.byName.delete(key);
    };
    const stream = new GuardedStream(this.judge, this.byBearer, policy, caller, owner, forget);
    if (NAME.test(name)) this.byName.set(key, stream);
    if (news === this.news) stream.schedule();
    else stream.begun = stream.hear();
    return stream;
  }

  /** The stream of that name, among those of the same user. */
  find(name: string, caller: Caller): GuardedStream | undefined {
    return this.byName.get(keyOf(name, caller));
  }

  /** Judges the streams again that belong to one of these sessions or users. */
  reconsider(subjects: Iterable<string>): void {
    for (const subject of subjects) {
      this.newsCount++;
      for (const stream of this.byBearer.get(subject)) void stream.hear();
    }
  }

  /** Judges every stream again. */
  reconsiderAll(): void {
    this.newsCount++;
    for (const stream of this.byBearer.all) void stream.hear();
  }
}

/** One open stream. Lives until `close`. */
export class GuardedStream {
  /** Settled when the stream was judged by what became known since its call was. */
  begun: Promise<void> | undefined;
  private readonly maxStaleness: number;
  // By the local monotonic clock: when there was news, and when the question was asked that somebody vouched at.
  private newsAt = -Infinity;
  private vouchedAt: number;
  private isVouchedForOnly: boolean;
  private timer: NodeJS.Timeout | undefined;
  private isOpen = true;

  constructor(
    private readonly judge: StreamJudge,
    private readonly byBearer: BearerIndex,
    readonly policy: Policy,
    private caller: Caller,
    private readonly owner: StreamOwner,
    private readonly onClosed: () => void,
  ) {
    this.maxStaleness = Math.max(policy.maxStaleness ?? judge.maxStaleness, MIN_STALENESS_SECONDS);
    this.vouchedAt = caller.vouchedAt ?? -Infinity;
    this.isVouchedForOnly = caller.isVouchedForOnly ?? false;
    byBearer.add(caller.identity, this);
  }

  /** Puts a fresher token of the same user in the place of the one that the stream lives by. */
  renew(caller: Caller): void {
    this.byBearer.remove(this.caller.identity, this);
    this.caller = caller;
    this.vouchedAt = caller.vouchedAt ?? -Infinity;
    this.isVouchedForOnly = caller.isVouchedForOnly ?? false;
    this.byBearer.add(caller.identity, this);
    this.owner.onRenewed(caller);
    // There may have been news about it since it was judged.
    void this.hear();
  }

  /** Judges the stream again, by news. What was asked before is worth nothing. */
  hear(): Promise<void> {
    this.newsAt = this.judge.monotonic();
    return this.reconsider();
  }

  /** Judges the stream again, and ends it if its token is no longer good. */
  private async reconsider(): Promise<void> {
    const { caller, isVouchedForOnly } = this;
    // What may change about a user while their session lives is nothing to a rule that asks neither for a role nor for mfa.
    const mayBeOutdated = this.policy.anyRole.length === 0 && !this.policy.mfa;
    const bearer = { ...caller, isVouchedForOnly };
    const judged = await this.judge.authenticate(bearer, this.maxStaleness, this.newsAt, mayBeOutdated);
    // While the authentication service was asked, the stream may have ended or been given another token.
    if (!this.isOpen || caller !== this.caller) return;
    if (judged.caller && !judged.refusal) {
      this.vouchedAt = Math.max(this.vouchedAt, judged.caller.vouchedAt ?? -Infinity);
      this.isVouchedForOnly = judged.caller.isVouchedForOnly ?? false;
      return this.schedule();
    }
    this.close();
    this.owner.onRefused(judged.refusal ?? refusalOf("VERIFICATION_UNAVAILABLE"));
  }

  close(): void {
    this.isOpen = false;
    clearTimeout(this.timer);
    this.byBearer.remove(this.caller.identity, this);
    this.onClosed();
  }

  /** Has the stream judged again when what is known now no longer says that its token is good. */
  schedule(): void {
    const { now, viewAge } = this.judge.known;
    const untilExpired = this.caller.identity.expireTime + LEEWAY_SECONDS - now;
    // An answer counts from when it was asked for: what changed while it was on its way is not in it.
    const sinceVouched = this.judge.monotonic() - this.vouchedAt;
    const age = this.isVouchedForOnly ? sinceVouched : Math.min(viewAge, sinceVouched);
    const wait = Math.min(untilExpired, this.maxStaleness - age, LONGEST_TIMER_SECONDS);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.reconsider(), Math.max(wait, 0) * 1000 + TIMER_SLACK_MS);
  }
}

/** Finds streams by what rules are about: the session and the user of their token. */
class BearerIndex {
  readonly all = new Set<GuardedStream>();
  private readonly streams = new Map<string, Set<GuardedStream>>();

  get(subject: string): Iterable<GuardedStream> {
    return this.streams.get(subject) ?? [];
  }

  add({ sessionId, userId }: Identity, stream: GuardedStream): void {
    this.all.add(stream);
    for (const subject of [sessionId, userId]) {
      const others = this.streams.get(subject);
      if (others) others.add(stream);
      else this.streams.set(subject, new Set([stream]));
    }
  }

  remove({ sessionId, userId }: Identity, stream: GuardedStream): void {
    this.all.delete(stream);
    for (const subject of [sessionId, userId]) {
      const others = this.streams.get(subject);
      others?.delete(stream);
      if (others?.size === 0) this.streams.delete(subject);
    }
  }
}

// Names are chosen by callers: those of one user are nothing to another.
function keyOf(name: string, { identity }: Caller): string {
  return `${identity.userId} ${name}`;
}
