// What the guard tells, for metrics and logs. No token and nothing of one is ever told.

export interface Observer {
  /** A call, a stream or a renewal was refused. */
  refused?(method: string, reason: string): void;
  /** A rule with `observe` would have refused a call, or ended a stream. */
  wouldRefuse?(method: string, reason: string): void;
  /** A token was, or was not, remembered from an earlier call. */
  recalled?(hit: boolean): void;
  /** A key set was refused; the last good one stays in use. */
  keySetRefused?(why: string): void;
  /** The watch ended; another attempt follows. */
  watchLost?(why: string): void;
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
