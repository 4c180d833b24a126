// What the guard tells, for metrics and logs. No token is ever told, and of one no more than the issuer and audience that
// it is refused for.

import { diagnosis } from "./diagnosis.js";
import type { Clock } from "./time.js";

export interface Observer {
  /** A call, a stream or a renewal was refused. */
  refused?(method: string, reason: string): void;
  /** A method is refused to everybody, and why; told once of each, when it is called. */
  methodWithoutRule?(method: string, why: string): void;
  /** A rule with `observe` would have refused a call, or ended a stream. */
  wouldRefuse?(method: string, reason: string): void;
  /** A token was, or was not, remembered from an earlier call. */
  recalled?(hit: boolean): void;
  /** A key set was refused; the last good one stays in use. */
  keySetRefused?(why: string): void;
  /**
   * A token was refused because its issuer or audience is not the configured one. What it says is signed, unless the guard has
   * no key to tell: where tokens are signed with a shared secret, or keys are too old.
   */
  foreignToken?(issuer: string, audience: string): void;
  /** The watch on revocations ended or could not be opened; told of each attempt. Another one follows. */
  watchLost?(why: string): void;
  /** The watch is open and has brought what was missing. Also told where it is opened anew as a matter of routine. */
  watchOpened?(): void;
  /** Something went wrong inside the guard, which counts as VERIFICATION_UNAVAILABLE. */
  failed?(error: unknown): void;
}

export type Tell = <Event extends keyof Observer>(
  event: Event, ...what: Parameters<Required<Observer>[Event]>
) => void;

/** Tells an observer that may throw without a call being decided otherwise. */
export function quietly(observer: Observer): Tell {
  return (event, ...what) => {
    try {
      (observer[event] as ((...what: unknown[]) => void) | undefined)?.apply(observer, what);
    } catch {
      // The one that would have told of it is the one that failed.
    }
  };
}

/** How long an outage goes on before it is told of again. */
const TELLING_SECONDS = 60;

/**
 * The observer of a guard that is given none: warns on the console of what an operator should know. Once a minute while the
 * watch is lost, once when it is back, and once of tokens that were made for somebody else.
 */
export class ConsoleObserver implements Observer {
  /** By the monotonic clock; -Infinity: the watch is not lost. */
  private toldAt = -Infinity;
  private hasToldOfForeignToken = false;

  /** @param issuer and audience are those that the guard accepts. */
  constructor(
    private readonly issuer: string,
    private readonly audience: string,
    private readonly server: { readonly address: string; readonly isEncrypted: boolean },
    private readonly clock: Clock,
  ) {}

  watchLost(why: string): void {
    const now = this.clock.monotonic();
    if (now - this.toldAt < TELLING_SECONDS) return;
    this.toldAt = now;
    const { address, isEncrypted } = this.server;
    const meaning = diagnosis(why, isEncrypted);
    warn(
      `the authentication service does not say what is revoked (${address}, ${isEncrypted ? "TLS" : "plaintext"}: ` +
        `${meaning ? `${meaning}; ` : ""}${why.trim()}). Calls are judged by what is known for as long as their rules allow; ` +
        "it is tried again until it does",
    );
  }

  watchOpened(): void {
    if (this.toldAt > -Infinity) warn("the authentication service says again what is revoked");
    this.toldAt = -Infinity;
  }

  foreignToken(issuer: string, audience: string): void {
    if (this.hasToldOfForeignToken) return;
    this.hasToldOfForeignToken = true;
    const [theirIssuer, theirAudience, ourIssuer, ourAudience] = [issuer, audience, this.issuer, this.audience].map(quoted);
    warn(
      `tokens are refused, because they are of issuer ${theirIssuer} for audience ${theirAudience}; ` +
        `here, only issuer ${ourIssuer} and audience ${ourAudience} are accepted`,
    );
  }

  methodWithoutRule(method: string, why: string): void {
    warn(`${method} is refused to everybody: ${why}`);
  }

  keySetRefused(why: string): void {
    warn(`a key set was refused; the last good one stays in use: ${why}`);
  }

  failed(error: unknown): void {
    warn("a fault inside the guard:", error);
  }
}

function warn(...what: unknown[]): void {
  console.warn("authservice-client:", ...what);
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
