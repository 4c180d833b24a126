// The connection to the authentication service: for watching, and for asking about single tokens.

import * as grpc from "@grpc/grpc-js";
import type { Identity } from "./claims.js";
import { AuthService, type Identity as IdentityMessage } from "./gen/authapi/v1/auth_service_pb.js";
import {
  TrustService, type ResumePoint, type WatchRevocationsResponse,
} from "./gen/authapi/v1/trust_service_pb.js";
import { answeredRefusal, type Refusal } from "./refusal.js";
import { makeClient, type Client } from "./services.js";
import { seconds } from "./time.js";

export const VERIFY_TIMEOUT_MS = 5_000;
// grpc-js would wait up to two minutes before it connects again, and fail every call until then; and half a minute before it
// asks again for the address of a name, behind which the server may have moved.
const CHANNEL_OPTIONS = {
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 500,
  "grpc.dns_min_time_between_resolutions_ms": 500,
  // Else another channel to the same address would go over the same connection.
  "grpc.use_local_subchannel_pool": 1,
};
const { CONNECTING, IDLE } = grpc.connectivityState;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

/** One connection, with both services over it. */
interface Line {
  readonly auth: Client<typeof AuthService>;
  readonly trust: Client<typeof TrustService>;
}

export class AuthServer {
  private line: Line;
  /** Those before it may still have an answer on its way; the next that is made ends them. */
  private before: Line[] = [];

  readonly isEncrypted: boolean;

  /** @param credentials unset: TLS with the system's roots, and none on the loopback interface. */
  constructor(
    readonly address: string, private readonly credentials: grpc.ChannelCredentials = defaultCredentials(address),
  ) {
    this.isEncrypted = credentials._isSecure();
    this.line = this.connection();
  }

  watch(resumePoint: ResumePoint | undefined): grpc.ClientReadableStream<WatchRevocationsResponse> {
    return this.line.trust.watchRevocations(resumePoint ? { resumePoint } : {}, new grpc.Metadata(), {});
  }

  /** Resolves when there is a connection, when it has come to nothing, or after `milliseconds`. */
  async connected(milliseconds: number): Promise<void> {
    const until = Date.now() + milliseconds;
    const channel = this.line.trust.getChannel();
    let error: Error | undefined;
    while (!error) {
      const state = channel.getConnectivityState(true);
      if (state !== CONNECTING && state !== IDLE) return;
      error = await new Promise((resolve) => channel.watchConnectivityState(state, until, resolve));
    }
  }

  /**
   * Goes over another connection from now on, because this one has died without a word. grpc-js would open one stream after
   * the other on it until TCP gives it up, after 15 minutes.
   */
  leave(): void {
    for (const line of this.before) end(line);
    this.before = [this.line];
    this.line = this.connection();
  }

  private connection(): Line {
    const trust = makeClient(TrustService, this.address, this.credentials, CHANNEL_OPTIONS);
    return { trust, auth: makeClient(AuthService, this.address, this.credentials, { channelOverride: trust.getChannel() }) };
  }

  /**
   * Asks whose token it is. Rejects if there is no answer about the token.
   *
   * @param deadline in milliseconds since the epoch, as grpc-js has it; Infinity: none.
   */
  verify(accessToken: string, deadline: number): Promise<Identity | Refusal> {
    const until = Math.min(deadline, Date.now() + VERIFY_TIMEOUT_MS);
    return new Promise((resolve, reject) => {
      this.line.auth.verify({ accessToken }, new grpc.Metadata(), { deadline: until }, (error, answer) => {
        const answered = error ? answeredRefusal(error) : readIdentity(answer?.identity);
        if (answered) resolve(answered);
        else reject(error ?? new Error("the answer of Verify is incomplete"));
      });
    });
  }

  close(): void {
    for (const line of [...this.before, this.line]) end(line);
  }
}

function end(line: Line): void {
  line.auth.close();
  line.trust.close();
}

function readIdentity(message: IdentityMessage | undefined): Identity | undefined {
  if (!message?.userId || !message.sessionId || !message.authTime || !message.expireTime) return undefined;
  return Object.freeze({
    userId: message.userId,
    userName: message.userName,
    sessionId: message.sessionId,
    roles: Object.freeze(message.roles),
    authMethods: Object.freeze(message.authMethods),
    authTime: seconds(message.authTime),
    expireTime: seconds(message.expireTime),
  });
}

function defaultCredentials(address: string): grpc.ChannelCredentials {
  return LOOPBACK.test(address) ? grpc.credentials.createInsecure() : grpc.credentials.createSsl();
}
