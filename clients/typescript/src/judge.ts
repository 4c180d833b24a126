// Puts the decision together with what this process knows: the watch, the clock, and whom to ask.

import { Asking } from "./asking.js";
import type { AuthServer } from "./auth_server.js";
import {
  authenticate, conclude, decide, LEEWAY_SECONDS, type Caller, type Decision, type Judge, type Knowledge,
} from "./decision.js";
import type { Tell } from "./observer.js";
import { Questions } from "./questions.js";
import { refusal } from "./refusal.js";
import type { Policy } from "./rules.js";
import { MIN_STALENESS_SECONDS } from "./streams.js";
import type { Clock } from "./time.js";
import type { TokenVerifier } from "./tokens.js";
import type { Watch } from "./watch.js";

/** All in seconds. */
export interface Limits {
  readonly maxStaleness: number;
  readonly maxKeyAge: number;
  readonly startWait: number;
}

/** Judges calls and streams. Nothing here rejects: whatever goes wrong counts as a refusal. */
export class LocalJudge {
  private readonly asking: Asking;
  private readonly questions: Questions;

  constructor(
    private readonly watch: Watch,
    authServer: AuthServer,
    private readonly verifier: TokenVerifier,
    private readonly limits: Limits,
    private readonly tell: Tell,
    private readonly clock: Clock,
  ) {
    const keep = Math.max(limits.maxStaleness, MIN_STALENESS_SECONDS);
    this.asking = new Asking(authServer, watch, clock);
    this.questions = new Questions((token, deadline) => this.asking.verify(token, deadline), clock, keep);
  }

  get known(): Knowledge {
    const { now, keys, keyAge, view, viewAge } = this.watch;
    return { now, keys, keyAge, view, viewAge };
  }

  get maxStaleness(): number {
    return this.limits.maxStaleness;
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  /**
   * Judges a call.
   *
   * @param authorization the values of that metadata entry; undefined if they could not be seen.
   * @param deadline in milliseconds since the epoch, as grpc-js has it; Infinity: none.
   */
  async decide(
    path: string, policy: Policy | undefined, authorization: readonly string[] | undefined, deadline: number,
  ): Promise<Decision> {
    const decision = await this.orRefuse(policy, async () => {
      if (!authorization) throw new Error("the authorization entries of the call could not be seen");
      if (policy && !policy.isPublic) await this.watch.firstView(this.patience(deadline));
      let askedAt: number | undefined;
      const decision = await decide(authorization, policy, this.known, this.judge((token) => {
        askedAt = this.clock.monotonic();
        return this.asking.verify(token, deadline);
      }));
      return vouchedAt(decision, askedAt);
    });
    if (decision.refusal) this.tell("refused", path, decision.refusal.reason);
    if (decision.observed) this.tell("wouldRefuse", path, decision.observed.reason);
    return decision;
  }

  /**
   * Judges the token of an open stream again: a `caller` or a `refusal`, whatever its policy makes of that.
   *
   * @param news when there was news about it, by the monotonic clock.
   * @param mayBeOutdated let it be from before a change of what it says about the user.
   */
  authenticate(
    { token, identity, isVouchedForOnly }: Caller, maxStaleness: number, news: number, mayBeOutdated: boolean,
  ): Promise<Decision> {
    return this.orRefuse(undefined, async () => {
      const { known } = this;
      // By its own clock the authentication service might not say so yet.
      const isOver = isVouchedForOnly && known.now - LEEWAY_SECONDS >= identity.expireTime;
      if (isOver) return { refusal: refusal("TOKEN_EXPIRED") };
      let askedAt: number | undefined;
      const decision = await authenticate([`Bearer ${token}`], maxStaleness, known, this.judge(async (text) => {
        const asked = await this.questions.about(text, news, maxStaleness);
        askedAt = asked.askedAt;
        // Said only where the session is alive.
        const isOverlooked = mayBeOutdated && "reason" in asked.answer && asked.answer.reason === "TOKEN_OUTDATED";
        return isOverlooked ? identity : asked.answer;
      }), mayBeOutdated);
      return vouchedAt(decision, askedAt);
    });
  }

  /** Milliseconds to wait for the first view: at most half of what the call has, so that Verify can still be asked. */
  private patience(deadline: number): number {
    return Math.min(this.limits.startWait * 1000, (deadline - Date.now()) / 2);
  }

  private judge(ask: Judge["ask"]): Judge {
    const { maxStaleness, maxKeyAge } = this.limits;
    return { verifier: this.verifier, maxStaleness, maxKeyAge, ask };
  }

  private async orRefuse(policy: Policy | undefined, judge: () => Promise<Decision>): Promise<Decision> {
    try {
      return await judge();
    } catch (error) {
      this.tell("failed", error);
      return conclude(policy, refusal("VERIFICATION_UNAVAILABLE"));
    }
  }
}

function vouchedAt(decision: Decision, askedAt: number | undefined): Decision {
  if (!decision.caller || askedAt === undefined) return decision;
  return { ...decision, caller: { ...decision.caller, vouchedAt: askedAt } };
}
