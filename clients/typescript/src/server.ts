// A grpc-js server whose every call is guarded.

import type { Http2Server } from "node:http2";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { GuardedCall, type CallGuard } from "./call.js";
import {
  StreamService, type RenewStreamRequest, type RenewStreamResponse,
} from "./gen/authapi/v1/stream_service_pb.js";
import type { LocalJudge } from "./judge.js";
import { callerOf } from "./metadata.js";
import type { Tell } from "./observer.js";
import { refusal, statusOf } from "./refusal.js";
import type { Policy } from "./rules.js";
import { addService, type Handlers } from "./services.js";
import type { Streams } from "./streams.js";

/** What stands before the calls of a server. */
export interface Gate {
  /** By the path of the method. */
  readonly policies: ReadonlyMap<string, Policy>;
  /** The full names of the services whose rules were read. */
  readonly services: ReadonlySet<string>;
  readonly judge: LocalJudge;
  readonly streams: Streams;
  readonly tell: Tell;
}

/**
 * Methods of services whose .proto has no rules; let through by name. Whatever else is called by the name of such a service
 * needs a rule.
 */
const EXEMPT = new Set([
  "/grpc.health.v1.Health/Check",
  "/grpc.health.v1.Health/List",
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]);
const EXEMPT_POLICY: Policy = {
  isPublic: true, anyRole: [], mfa: false, maxAuthAge: undefined, maxStaleness: undefined, observe: false,
};

export function createGuardedServer(gate: Gate, options: grpc.ServerOptions): grpc.Server {
  const tellOfMethod = oncePerMethod(gate);
  // Set by the wire just before grpc-js asks the interceptors about the same call, in one go.
  let arriving: readonly string[] | undefined;
  const interceptor: grpc.ServerInterceptor = (method, wire) => {
    const authorization = arriving;
    arriving = undefined;
    return new GuardedCall(wire, guardOf(gate, method, () => Number(wire.getDeadline()), authorization, tellOfMethod));
  };
  // First, and thus nearest to the wire: no other interceptor sees a call that was not let in.
  const server = new grpc.Server({ ...options, interceptors: [interceptor, ...(options.interceptors ?? [])] });
  watchAuthorization(server, (values) => (arriving = values));
  addService(server, StreamService, streamService(gate));
  return server;
}

function guardOf(
  { policies, judge, streams, tell }: Gate,
  { path, requestStream, responseStream }: grpc.ServerMethodDefinition<unknown, unknown>,
  deadline: () => number,
  authorization: readonly string[] | undefined,
  tellOfMethod: (path: string) => void,
): CallGuard {
  const policy = EXEMPT.has(path) ? EXEMPT_POLICY : policies.get(path);
  const { news } = streams;
  return {
    decide: () => {
      if (!policy) tellOfMethod(path);
      return judge.decide(path, policy, authorization, deadline());
    },
    openStream: (caller, name, owner) => {
      if (!policy || !(requestStream || responseStream)) return undefined;
      return streams.open(policy, caller, name, {
        onRenewed: (fresh) => owner.onRenewed(fresh),
        onRefused: (refused) => {
          if (policy.observe) return tell("wouldRefuse", path, refused.reason);
          tell("refused", path, refused.reason);
          owner.onRefused(refused);
        },
      }, news);
    },
  };
}

/** Tells once of each method why it is refused to everybody. */
function oncePerMethod({ services, tell }: Gate): (path: string) => void {
  const toldOf = new Set<string>();
  return (path) => {
    if (toldOf.has(path)) return;
    toldOf.add(path);
    const service = path.split("/")[1] ?? "";
    tell("methodWithoutRule", path, services.has(service)
      ? "its rule is missing or contradicts itself; `authclient lint` says what is wrong"
      : `the service ${service} is not among the \`services\` of the guard; add it there`);
  };
}

function streamService({ judge, streams }: Gate): Handlers<typeof StreamService> {
  async function renew(
    call: grpc.ServerUnaryCall<RenewStreamRequest, unknown>,
  ): Promise<Pick<RenewStreamResponse, "expireTime">> {
    const caller = callerOf(call);
    const find = () => caller && streams.find(call.request.streamId, caller);
    const stream = find();
    if (!caller || !stream) throw statusOf(refusal("STREAM_UNKNOWN"));
    const authorization = [`Bearer ${caller.token}`];
    const decision = await judge.decide(call.getPath(), stream.policy, authorization, Number(call.getDeadline()));
    if (decision.refusal) throw statusOf(decision.refusal);
    // It may have ended while the authentication service was asked.
    if (find() !== stream) throw statusOf(refusal("STREAM_UNKNOWN"));
    const fresh = decision.caller ?? caller;
    stream.renew(fresh);
    return { expireTime: timestampFromMs(fresh.identity.expireTime * 1000) };
  }
  return {
    renewStream: (call, callback) => void renew(call).then((answer) => callback(null, answer), callback),
  };
}

/**
 * Tells of the values of `authorization` of each call before grpc-js sees it. Node.js keeps the first of several and drops
 * the others in silence; only the raw headers of HTTP/2 still have them, and grpc-js does not pass those on. Of these it
 * drops values that begin or end with a blank, unless it is told to be lenient (22.20 and 24.2 understand that): one that
 * is not seen could be the token that a proxy has looked at. Values with a control byte are dropped in any case.
 */
function watchAuthorization(server: grpc.Server, tell: (values: string[]) => void): void {
  const internals = server as unknown as {
    createHttp2Server?: (credentials: grpc.ServerCredentials) => Http2Server;
    commonServerOptions?: { strictFieldWhitespaceValidation?: boolean };
  };
  const { createHttp2Server, commonServerOptions } = internals;
  if (!createHttp2Server || !commonServerOptions) {
    throw new Error("this version of @grpc/grpc-js is unknown; calls could not be judged");
  }
  commonServerOptions.strictFieldWhitespaceValidation = false;
  internals.createHttp2Server = (credentials) => {
    const http2Server = createHttp2Server.call(server, credentials);
    return http2Server.prependListener("stream", (...[, , , rawHeaders]: [unknown, unknown, unknown, string[]]) => {
      tell(rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1] === "authorization"));
    });
  };
}
