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
};
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

export class AuthServer {
  private readonly auth: Client<typeof AuthService>;
  private readonly trust: Client<typeof TrustService>;

  readonly isEncrypted: boolean;

  /** @param credentials unset: TLS with the system's roots, and none on the loopback interface. */
  constructor(readonly address: string, credentials: grpc.ChannelCredentials = defaultCredentials(address)) {
    this.isEncrypted = credentials._isSecure();
    this.trust = makeClient(TrustService, address, credentials, CHANNEL_OPTIONS);
    this.auth = makeClient(AuthService, address, credentials, { channelOverride: this.trust.getChannel() });
  }

  watch(resumePoint: ResumePoint | undefined): grpc.ClientReadableStream<WatchRevocationsResponse> {
    return this.trust.watchRevocations(resumePoint ? { resumePoint } : {}, new grpc.Metadata(), {});
  }

  /**
   * Asks whose token it is. Rejects if there is no answer about the token.
   *
   * @param deadline in milliseconds since the epoch, as grpc-js has it; Infinity: none.
   */
  verify(accessToken: string, deadline: number): Promise<Identity | Refusal> {
    const until = Math.min(deadline, Date.now() + VERIFY_TIMEOUT_MS);
    return new Promise((resolve, reject) => {
      this.auth.verify({ accessToken }, new grpc.Metadata(), { deadline: until }, (error, answer) => {
        const answered = error ? answeredRefusal(error) : readIdentity(answer?.identity);
        if (answered) resolve(answered);
        else reject(error ?? new Error("the answer of Verify is incomplete"));
      });
    });
  }

  close(): void {
    this.auth.close();
    this.trust.close();
  }
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
