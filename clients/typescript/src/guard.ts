// The guard of one process: it learns from the authentication service what it has to know, and stands before each call.

import type { DescService } from "@bufbuild/protobuf";
import type * as grpc from "@grpc/grpc-js";
import { AuthServer } from "./auth_server.js";
import { StreamService } from "./gen/authapi/v1/stream_service_pb.js";
import { LocalJudge } from "./judge.js";
import { ConsoleObserver, quietly, type Observer, type Tell } from "./observer.js";
import { readPolicies, type Policy } from "./rules.js";
import { createGuardedServer } from "./server.js";
import { checkOptions } from "./settings.js";
import { Streams } from "./streams.js";
import { SYSTEM_CLOCK, type Clock } from "./time.js";
import { TokenVerifier } from "./tokens.js";
import { PACE, Watch } from "./watch.js";

/** What goes for the options that are not set. */
export const DEFAULTS = { maxStaleness: 10, maxKeyAge: 3600, startWait: 2, rememberedTokens: 16_384 } as const;

export interface GuardOptions {
  /** Address of the authentication service, `host:port`. */
  readonly authServer: string;
  /** How to connect to it. Unset: TLS with the system's roots, and none on the loopback interface. */
  readonly credentials?: grpc.ChannelCredentials;
  /** The only accepted issuer and audience of tokens, compared exactly. */
  readonly issuer: string;
  readonly audience: string;
  /** The services to guard, as protoc-gen-es describes them. Methods of any other service are refused. */
  readonly services: readonly DescService[];
  /** Seconds that the knowledge of revocations may be old, where a rule does not say. 10 unless set. */
  readonly maxStaleness?: number;
  /** Seconds that the key set may be old. 3,600 unless set. */
  readonly maxKeyAge?: number;
  /** Seconds that a call waits, at most, while nothing is known yet. 2 unless set. */
  readonly startWait?: number;
  /** How many good tokens are remembered, at most. 16,384 unless set; about 2 KiB each. */
  readonly rememberedTokens?: number;
  /** Is told what is refused, and how the watch is getting on. Unset: faults are warned of on the console. */
  readonly observer?: Observer | undefined;
  /** For tests. */
  readonly clock?: Clock;
  /** For tests. */
  readonly pace?: Partial<typeof PACE>;
}

/** Lives as long as the process serves; to be closed after the server. Starts without the authentication service. */
export class Guard {
  private readonly policies: Map<string, Policy>;
  private readonly services: Set<string>;
  private readonly authServer: AuthServer;
  private readonly watch: Watch;
  private readonly judge: LocalJudge;
  private readonly streams: Streams;
  private readonly tell: Tell;

  /** Throws if an option makes no sense. */
  constructor(options: GuardOptions) {
    checkOptions(options);
    const { issuer, audience, rememberedTokens = DEFAULTS.rememberedTokens } = options;
    const { maxStaleness = DEFAULTS.maxStaleness, maxKeyAge = DEFAULTS.maxKeyAge, startWait = DEFAULTS.startWait } = options;
    const clock = options.clock ?? SYSTEM_CLOCK;
    this.authServer = new AuthServer(options.authServer, options.credentials);
    this.tell = quietly(options.observer ?? new ConsoleObserver(issuer, audience, this.authServer, clock));
    const verifier = new TokenVerifier(issuer, audience, rememberedTokens, {
      onRecall: (hit) => this.tell("recalled", hit),
      onForeign: (...origin) => this.tell("foreignToken", ...origin),
    });
    const services = [...options.services, StreamService];
    this.services = new Set(services.map(({ typeName }) => typeName));
    this.policies = readPolicies(services);
    this.watch = new Watch(this.authServer, {
      onRules: (subjects) => this.streams.reconsider(subjects),
      onKeys: () => this.streams.reconsiderAll(),
      onKeySetRefused: (why) => this.tell("keySetRefused", why),
      onWatchLost: (why) => this.tell("watchLost", why),
      onWatchOpened: () => this.tell("watchOpened"),
    }, clock, { ...PACE, ...options.pace });
    const limits = { maxStaleness, maxKeyAge, startWait };
    this.judge = new LocalJudge(this.watch, this.authServer, verifier, limits, this.tell, clock);
    this.streams = new Streams(this.judge);
  }

  /** Seconds since the view of revocations was surely complete; Infinity where it never was. */
  get viewAge(): number {
    return this.watch.viewAge;
  }

  /** A server whose every call is guarded. It also answers authapi.v1.StreamService. */
  createServer(options: grpc.ServerOptions = {}): grpc.Server {
    const { policies, services, judge, streams, tell } = this;
    return createGuardedServer({ policies, services, judge, streams, tell }, options);
  }

  /** Ends the watch and the connection to the authentication service. */
  close(): void {
    this.watch.close();
    this.authServer.close();
  }
}
