// A real gRPC server that plays the authentication service: a test sends the answers of the watch itself.

import { randomUUID } from "node:crypto";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { AuthService, IdentitySchema } from "../src/gen/authapi/v1/auth_service_pb.js";
import {
  RevocationSchema, TrustService, WatchPart, WatchRevocationsResponseSchema,
  type Revocation, type WatchRevocationsRequest, type WatchRevocationsResponse,
} from "../src/gen/authapi/v1/trust_service_pb.js";
import { refusal, statusOf, type Refusal } from "../src/refusal.js";
import { addService, type Handlers } from "../src/services.js";
import { keySet, SigningKeyPair } from "./issuer.js";

type WatchAnswer = MessageInitShape<typeof WatchRevocationsResponseSchema>;
type VerifyAnswer = MessageInitShape<typeof IdentitySchema> | Refusal | grpc.StatusObject;
type WatchStream = grpc.ServerWritableStream<WatchRevocationsRequest, WatchAnswer>;

const unimplemented = (_call: unknown, callback: grpc.sendUnaryData<never>) =>
  callback({ code: grpc.status.UNIMPLEMENTED });

export class FakeAuthServer {
  readonly key = new SigningKeyPair();
  /** What Verify answers. */
  verify: (token: string) => VerifyAnswer | Promise<VerifyAnswer> = () => refusal("TOKEN_INVALID");
  /** The tokens that Verify was asked about. */
  readonly asked: string[] = [];
  address = "";
  private server = new grpc.Server();
  private readonly watches: Watching[] = [];
  private readonly awaited: ((watching: Watching) => void)[] = [];

  /** @param address where; port 0: any. */
  static async start(address = "127.0.0.1:0"): Promise<FakeAuthServer> {
    const fake = new FakeAuthServer();
    await fake.listen(address);
    return fake;
  }

  /** Starts again where it was before `stop`. */
  async restart(): Promise<void> {
    await this.listen(this.address);
  }

  stop(): void {
    this.server.forceShutdown();
  }

  /** The next stream that is opened. */
  watched(): Promise<Watching> {
    const watching = this.watches.shift();
    return watching ? Promise.resolve(watching) : new Promise((resolve) => this.awaited.push(resolve));
  }

  /** How many streams are open that no test has taken up. */
  get waitingWatches(): number {
    return this.watches.length;
  }

  /** Gives the next watcher the key set and a complete view. */
  async inform(...revocations: Revocation[]): Promise<Watching> {
    const watching = await this.watched();
    watching.send(WatchPart.SNAPSHOT_END, revocations, { keySet: keySet(this.key) });
    return watching;
  }

  private async listen(address: string): Promise<void> {
    this.server = new grpc.Server();
    addService(this.server, TrustService, {
      getSigningKeys: unimplemented,
      watchRevocations: (call) => this.opened(new Watching(call)),
    } satisfies Handlers<typeof TrustService>);
    const others = AuthService.methods.map(({ localName }) => [localName, unimplemented]);
    addService(this.server, AuthService, {
      ...(Object.fromEntries(others) as Handlers<typeof AuthService>),
      verify: async ({ request }, callback) => {
        this.asked.push(request.accessToken);
        const answer = await this.verify(request.accessToken);
        if (!("code" in answer)) callback(null, { identity: answer });
        else callback("reason" in answer ? statusOf(answer) : answer);
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound));
    });
    this.address = `${address.split(":")[0]}:${port}`;
  }

  private opened(watching: Watching): void {
    const next = this.awaited.shift();
    if (next) next(watching);
    else this.watches.push(watching);
  }
}

/** One open WatchRevocations stream, seen from the server. */
export class Watching {
  readonly resumePoint;
  readonly cancelled: Promise<unknown>;
  private readonly rules = new Set<bigint>();
  private openUptime: PlainTime | undefined = duration(performance.now() / 1000);

  constructor(private readonly call: WatchStream) {
    this.resumePoint = call.request.resumePoint;
    this.cancelled = new Promise((resolve) => call.once("cancelled", resolve));
  }

  /** Sends an answer whose times and count are right, except for `changes`. */
  send(part: WatchPart, revocations: Revocation[] = [], changes: WatchAnswer = {}): WatchRevocationsResponse {
    for (const { seq } of revocations) this.rules.add(seq);
    const answer = create(WatchRevocationsResponseSchema, Object.assign({
      part,
      revocations,
      readTime: duration(Date.now() / 1000),
      readUptime: duration(performance.now() / 1000),
      ...(this.openUptime && { openUptime: this.openUptime }),
      ruleCount: this.rules.size,
      resumePoint: { history: "h", seq: BigInt(Math.max(0, ...[...this.rules].map(Number))) },
    }, changes));
    this.openUptime = undefined;
    this.call.write(answer);
    return answer;
  }

  /** Counts `rules` that the watcher has from an earlier stream. */
  continueFrom(...rules: Revocation[]): this {
    for (const { seq } of rules) this.rules.add(seq);
    return this;
  }

  fail(error: Partial<grpc.StatusObject>): void {
    this.call.emit("error", error);
  }
}

let lastSeq = 0n;

export function sessionRevoked(sessionId: string, expiresIn = 900): Revocation {
  return create(RevocationSchema, {
    seq: ++lastSeq, subject: { case: "sessionId", value: sessionId }, expireTime: duration(Date.now() / 1000 + expiresIn),
  });
}

export function tokensOutdated(userId: string, minGeneration: number): Revocation {
  return create(RevocationSchema, {
    seq: ++lastSeq,
    subject: { case: "outdatedTokens", value: { userId, minGeneration } },
    expireTime: duration(Date.now() / 1000 + 900),
  });
}

export function anyRevocation(): Revocation {
  return sessionRevoked(randomUUID());
}

/** What makes a Duration or a Timestamp. */
export interface PlainTime {
  seconds: bigint;
  nanos: number;
}

export function duration(time: number): PlainTime {
  const seconds = Math.floor(time);
  return { seconds: BigInt(seconds), nanos: Math.floor((time - seconds) * 1e9) };
}

/** How long a test waits for something before it fails, in milliseconds. */
const SOON = 30_000;

/**
 * Waits until the condition holds.
 *
 * Has a limit of its own: a loop that goes on after its test has failed would keep the process from ending.
 */
export async function until(condition: () => boolean): Promise<void> {
  const begin = performance.now();
  while (!condition()) {
    if (performance.now() - begin > SOON) throw new Error(`still not: ${condition.toString()}`);
    await new Promise(setImmediate);
  }
}

/** The earliest and the latest moment, in seconds of the monotonic clock, that something of an age can be of: reading takes time. */
export function momentOf(age: () => number): [number, number] {
  const begin = performance.now() / 1000;
  const seconds = age();
  return [begin - seconds, performance.now() / 1000 - seconds];
}
