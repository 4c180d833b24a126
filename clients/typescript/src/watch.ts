// The watch: one stream of the authentication service that keeps the key set and the view of revocations up to date.
//
// How old they are is computed from one machine's clock at a time: what passed here since the stream was opened, less what
// had passed there. It is never less than the truth, however long an answer waited on its way.

import type { ClientReadableStream } from "@grpc/grpc-js";
import { BadKeySet, KeySet } from "./keys.js";
import { reasonOf } from "./refusal.js";
import { seconds, type Clock } from "./time.js";
import {
  WatchPart, type KeySet as KeySetMessage, type ResumePoint, type WatchRevocationsResponse,
} from "./gen/authapi/v1/trust_service_pb.js";
import { isAboutSomebody, RevocationView, subjectOf } from "./view.js";

type Stream = ClientReadableStream<WatchRevocationsResponse>;

/** Where the answers come from. */
export interface RevocationSource {
  /** Resolves when there is a connection, when it has come to nothing, or after `milliseconds`. */
  connected(milliseconds: number): Promise<void>;
  watch(resumePoint: ResumePoint | undefined): Stream;
  /** Goes over another connection from now on. */
  leave(): void;
}

/** What a watch tells, as it happens. */
export interface WatchListener {
  /** Rules are new about these sessions and users. */
  onRules(subjects: Iterable<string>): void;
  /** The key set is another one. */
  onKeys(): void;
  /** A key set was refused; the last good one stays in use. */
  onKeySetRefused(why: string): void;
  /** The stream ended; another one follows. */
  onWatchLost(why: string): void;
  /** The stream has brought a complete view. Told once of each stream. */
  onWatchOpened(): void;
}

/**
 * Waits in seconds. A connection may take `connecting`: through a proxy, to a far site, with TLS on a busy core. After
 * `longestStream` a stream is opened anew: two clocks drift apart by some 70 ms an hour.
 */
export const PACE = { firstWait: 0.1, longestWait: 2, connecting: 20, silence: 5, longestStream: 3600 };

/** How far two monotonic clocks may have drifted apart in the life of a stream. */
export const MOST_DRIFT_SECONDS = 1;

type KnownPart = WatchPart.SNAPSHOT | WatchPart.SNAPSHOT_END | WatchPart.DELTA;

/** Lives from its construction to `close`. */
export class Watch {
  private knownKeys: KeySet | undefined;
  private knownView: RevocationView | undefined;
  // The moments, on the local monotonic clock, at which keys and view were surely as they are known.
  private keysAsOf = -Infinity;
  private viewAsOf = -Infinity;
  private lastHeardAt = -Infinity;
  private serverTime: { readonly readTime: number; readonly asOf: number } | undefined;

  private resumePoint: ResumePoint | undefined;
  private wait: number;
  private stream: Stream | undefined;
  private pause: NodeJS.Timeout | undefined;
  private closed = false;
  private readonly waiting = new Set<() => void>();

  constructor(
    private readonly source: RevocationSource,
    private readonly listener: WatchListener,
    private readonly clock: Clock,
    private readonly pace: typeof PACE,
  ) {
    this.wait = pace.firstWait;
    void this.follow();
  }

  get keys(): KeySet | undefined {
    return this.knownKeys;
  }

  get view(): RevocationView | undefined {
    return this.knownView;
  }

  /** Seconds; Infinity where there never was a key set. */
  get keyAge(): number {
    return this.clock.monotonic() - this.keysAsOf;
  }

  /** Seconds; Infinity where there never was a complete view. */
  get viewAge(): number {
    return this.clock.monotonic() - this.viewAsOf;
  }

  /** When it said anything, by the monotonic clock; -Infinity where it never did. */
  get heardAt(): number {
    return this.lastHeardAt;
  }

  /** The authentication service's clock, in seconds since the epoch. */
  get now(): number {
    if (!this.serverTime) return this.clock.wall();
    return this.serverTime.readTime + this.clock.monotonic() - this.serverTime.asOf;
  }

  /** Resolves when there is a first view, and after `milliseconds` at the latest. */
  firstView(milliseconds: number): Promise<void> {
    if (this.knownView || milliseconds <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.waiting.add(done);
    });
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.pause);
    this.stream?.cancel();
  }

  private async follow(): Promise<void> {
    while (!this.closed) {
      await this.watchOnce().catch((error: unknown) => this.lost(error));
      if (this.closed) return;
      // Half of the wait at random, so that many services do not come back at one moment.
      const milliseconds = this.wait * (1 - Math.random() / 2) * 1000;
      this.wait = Math.min(this.wait * 2, this.pace.longestWait);
      await new Promise((resolve) => (this.pause = setTimeout(resolve, milliseconds)));
    }
  }

  private lost(error: unknown): void {
    if (this.closed) return;
    if (error instanceof Incomplete || reasonOf(error) === "RESUME_POINT_UNKNOWN") this.resumePoint = undefined;
    this.listener.onWatchLost(error instanceof Error ? error.message : String(error));
  }

  /** Follows one stream until it is to be opened anew. Rejects if it is lost before. */
  private async watchOnce(): Promise<void> {
    // Before the stream is opened, so that the time this takes makes nothing that it says look older.
    await this.connect();
    if (this.closed) return;
    const opened = this.clock.monotonic();
    const stream = (this.stream = this.source.watch(this.resumePoint));
    // A cancelled stream reports an error to nobody, which would end the process.
    stream.on("error", () => undefined);
    let isSilent = false;
    const silence = setTimeout(() => {
      isSilent = true;
      stream.cancel();
    }, this.pace.silence * 1000);
    const reading = new Reading(opened);
    try {
      for await (const answer of stream) {
        silence.refresh();
        this.lastHeardAt = this.clock.monotonic();
        const { keys } = this;
        try {
          this.take(reading.next(answer, this.clock.monotonic()), reading);
        } finally {
          if (this.keys !== keys) this.listener.onKeys();
        }
        if (this.clock.monotonic() - opened >= this.pace.longestStream) return;
      }
      throw new Error("the stream ended");
    } catch (error) {
      if (!isSilent) throw error;
      this.source.leave();
      // What grpc-js says is that it was cancelled here, and not why.
      throw new Error(`nothing was heard for ${this.pace.silence} s`);
    } finally {
      clearTimeout(silence);
      stream.cancel();
    }
  }

  private async connect(): Promise<void> {
    const { silence } = this.pace;
    const slow = setTimeout(() => this.lost(new Error(`there is no connection after ${silence} s`)), silence * 1000);
    try {
      await this.source.connected(this.pace.connecting * 1000);
    } finally {
      clearTimeout(slow);
    }
  }

  private take(answer: DatedAnswer, reading: Reading): void {
    const { message, readTime, asOf } = answer;
    this.serverTime = { readTime, asOf };
    if (message.keySet) reading.keysAreGood = this.takeKeys(message.keySet);
    // Each answer says that the key set is still the one that this stream sent last.
    if (reading.keysAreGood) this.keysAsOf = asOf;

    switch (message.part) {
      case WatchPart.SNAPSHOT:
        reading.snapshot.add(message.revocations);
        return;
      case WatchPart.SNAPSHOT_END:
        reading.snapshot.add(message.revocations);
        this.complete(reading.snapshot, answer, reading);
        this.listener.onRules(reading.snapshot.subjects);
        reading.snapshot = new RevocationView();
        return;
      case WatchPart.DELTA:
        if (!this.knownView) throw new Incomplete("a delta came without a view to add it to");
        this.knownView.add(message.revocations);
        try {
          this.complete(this.knownView, answer, reading);
        } finally {
          // Also when one is missing: those that came are rules all the same.
          this.listener.onRules(message.revocations.map(subjectOf));
        }
        return;
    }
  }

  private complete(view: RevocationView, { message, readTime, asOf }: DatedAnswer, reading: Reading): void {
    view.dropExpired(readTime);
    if (view.size !== message.ruleCount) {
      throw new Incomplete(`there are ${message.ruleCount} rules, and we have ${view.size}`);
    }
    this.knownView = view;
    this.viewAsOf = asOf;
    this.resumePoint = message.resumePoint;
    this.wait = this.pace.firstWait;
    for (const done of this.waiting) done();
    if (!reading.isComplete) this.listener.onWatchOpened();
    reading.isComplete = true;
  }

  private takeKeys(message: KeySetMessage): boolean {
    try {
      const keys = new KeySet(message);
      if (keys.identity !== this.knownKeys?.identity) this.knownKeys = keys;
      return true;
    } catch (error) {
      if (!(error instanceof BadKeySet)) throw error;
      this.listener.onKeySetRefused(error.message);
      return false;
    }
  }
}

/** What is known here is not all, or makes no sense. The stream is to be opened anew, from the start. */
class Incomplete extends Error {}

/** An answer that makes sense. */
interface DatedAnswer {
  readonly message: WatchRevocationsResponse & { readonly part: KnownPart };
  /** The server's clock when it read, in seconds since the epoch. */
  readonly readTime: number;
  /** The same moment, or an earlier one, on the local monotonic clock. */
  readonly asOf: number;
}

/** What is kept for as long as one stream is read. */
class Reading {
  snapshot = new RevocationView();
  keysAreGood = false;
  /** Whether there was a complete view. */
  isComplete = false;
  private openUptime: number | undefined;

  constructor(private readonly opened: number) {}

  /** Throws Incomplete, before anything of the answer is taken. */
  next(message: WatchRevocationsResponse, arrived: number): DatedAnswer {
    const { readTime, readUptime, openUptime } = message;
    if (!hasKnownPart(message)) throw new Incomplete("an answer does not say how to take it");
    if (this.openUptime === undefined && openUptime) this.openUptime = seconds(openUptime);
    if (!readTime || !readUptime || this.openUptime === undefined) throw new Incomplete("an answer has no time");
    const asOf = this.opened + seconds(readUptime) - this.openUptime;
    if (asOf > arrived + MOST_DRIFT_SECONDS) throw new Incomplete("an answer was read later than it arrived");
    if (!message.revocations.every(isAboutSomebody)) throw new Incomplete("a rule is about nobody, or never ends");
    return { message, readTime: seconds(readTime), asOf: Math.min(asOf, arrived) };
  }
}

function hasKnownPart<Message extends WatchRevocationsResponse>(message: Message): message is Message & { part: KnownPart } {
  return [WatchPart.SNAPSHOT, WatchPart.SNAPSHOT_END, WatchPart.DELTA].includes(message.part);
}
