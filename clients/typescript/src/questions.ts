// What the authentication service is asked on behalf of open streams: once about each token, and about few at a time.

import type { Identity } from "./claims.js";
import type { Refusal } from "./refusal.js";
import type { Clock } from "./time.js";

export const ASKED_AT_ONCE = 8;
/** How long a stream may go on for want of an answer, once too little is known about its token. */
export const ASKING_MS = 5_000;
/** How long it counts that there was no answer. */
const RETRY_SECONDS = 1;

/** One question about one token. */
interface Question {
  readonly answer: Promise<Identity | Refusal>;
  /** By the monotonic clock, just before it was asked. */
  askedAt: number | undefined;
  /** Seconds that it may serve other streams of the token, once there is an answer. */
  serves: number;
}

interface Waiting {
  go(): void;
  isOver: boolean;
}

export class Questions {
  private readonly byToken = new Map<string, Question>();
  private readonly waiting: Waiting[] = [];
  private asking = 0;
  private sweptAt = -Infinity;

  /** @param keep seconds that an answer may serve other streams of the same token. */
  constructor(
    private readonly verify: (token: string, deadline: number) => Promise<Identity | Refusal>,
    private readonly clock: Clock,
    private readonly keep: number,
  ) {}

  /**
   * Whose token it is, and when that was asked. Rejects if there is no answer about the token in time.
   *
   * @param news when there was news about it: an earlier question says nothing.
   * @param limit seconds that an answer may be old.
   */
  async about(token: string, news: number, limit: number): Promise<{ answer: Identity | Refusal; askedAt: number }> {
    const now = this.clock.monotonic();
    let question = this.byToken.get(token);
    const { askedAt = Infinity } = question ?? {};
    const isTooOld = question?.serves !== Infinity && now - askedAt > Math.min(limit, question?.serves ?? 0);
    if (!question || askedAt < news || isTooOld) {
      this.sweep(now);
      question = this.begin(token);
    }
    const answer = await question.answer;
    return { answer, askedAt: question.askedAt ?? now };
  }

  private begin(token: string): Question {
    const question: Question = { answer: this.settle(token, () => question), askedAt: undefined, serves: Infinity };
    question.answer.then(() => (question.serves = this.keep), () => (question.serves = RETRY_SECONDS));
    this.byToken.set(token, question);
    return question;
  }

  private async settle(token: string, question: () => Question): Promise<Identity | Refusal> {
    const until = Date.now() + ASKING_MS;
    const isOurTurn = await this.turn();
    question().askedAt = this.clock.monotonic();
    if (!isOurTurn) throw new Error("too many tokens are to be asked about");
    try {
      return await inTime(until - Date.now(), this.verify(token, until));
    } finally {
      this.asking--;
      this.next();
    }
  }

  /** Resolves when a question may be asked: true, or false if it has waited for too long. */
  private turn(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        waiting.isOver = true;
        resolve(false);
      }, ASKING_MS);
      const waiting: Waiting = {
        isOver: false,
        go: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      this.waiting.push(waiting);
      this.next();
    });
  }

  private next(): void {
    while (this.asking < ASKED_AT_ONCE && this.waiting.length > 0) {
      const next = this.waiting.shift()!;
      if (next.isOver) continue;
      this.asking++;
      next.go();
    }
  }

  /** Forgets what serves nobody any more. */
  private sweep(now: number): void {
    if (now - this.sweptAt < RETRY_SECONDS) return;
    this.sweptAt = now;
    for (const [token, { askedAt = Infinity, serves }] of this.byToken) {
      if (now - askedAt > serves) this.byToken.delete(token);
    }
  }
}

/** The same promise; rejects if it takes longer. */
function inTime<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("nobody answers")), milliseconds);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
