// Asking about one token, again where a question was lost with its connection.

import { status as Code, type ServiceError } from "@grpc/grpc-js";
import { VERIFY_TIMEOUT_MS, type AuthServer } from "./auth_server.js";
import type { Identity } from "./claims.js";
import { reasonOf, type Refusal } from "./refusal.js";
import type { Clock } from "./time.js";

/**
 * How often a question that was not answered is asked again where the authentication service was heard just now: at once,
 * then after `REPEAT_PAUSE_SECONDS`, twice as long each time. The next connection may lead to a server that has just gone,
 * too. Where nothing was heard it is asked once more.
 */
export const REPEATS = 4;
export const REPEAT_PAUSE_SECONDS = 0.1;
/** A living service is heard every second, and on a machine that has too much to do a second later. */
export const HEARD_SECONDS = 2.5;

export class Asking {
  private answeredAt = -Infinity;

  /** @param watch knows when the service was heard, by the monotonic clock. */
  constructor(
    private readonly authServer: Pick<AuthServer, "verify">,
    private readonly watch: { readonly heardAt: number },
    private readonly clock: Clock,
  ) {}

  /**
   * Whose token it is. Rejects if there is no answer about the token.
   *
   * @param deadline in milliseconds since the epoch, as grpc-js has it; Infinity: none.
   */
  async verify(token: string, deadline: number): Promise<Identity | Refusal> {
    const until = Math.min(deadline, Date.now() + VERIFY_TIMEOUT_MS);
    const begin = this.clock.monotonic();
    for (let repeat = 0; ; repeat++) {
      try {
        const answer = await this.authServer.verify(token, until);
        this.answeredAt = this.clock.monotonic();
        return answer;
      } catch (error) {
        const pause = repeat && REPEAT_PAUSE_SECONDS * 1000 * 2 ** (repeat - 1);
        if (!isUnanswered(error) || repeat >= this.mostRepeats(begin) || Date.now() + pause >= until) throw error;
        if (pause) await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  private mostRepeats(begin: number): number {
    return Math.max(this.watch.heardAt, this.answeredAt) > begin - HEARD_SECONDS ? REPEATS : 1;
  }
}

/** Tells whether a question met the end of its connection or of its server, which says so where it still can. */
function isUnanswered(error: unknown): boolean {
  const { code } = error as Partial<ServiceError>;
  if (code !== Code.UNAVAILABLE && code !== Code.CANCELLED) return false;
  const reason = reasonOf(error);
  return reason === undefined || reason === "SHUTTING_DOWN";
}
