// Time is a number of seconds throughout. Clocks are passed in, never read in the middle of logic.

export interface Clock {
  /** Seconds since the epoch. */
  wall(): number;
  /** Seconds since anything; never jumps. */
  monotonic(): number;
}

export const SYSTEM_CLOCK: Clock = {
  wall: () => Date.now() / 1000,
  monotonic: () => performance.now() / 1000,
};

/** A Timestamp or Duration as seconds. */
export function seconds(time: { readonly seconds: bigint; readonly nanos: number }): number {
  return Number(time.seconds) + time.nanos / 1e9;
}
