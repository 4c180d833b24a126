// Refusals: why a call is not let through, and the gRPC status that says so.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status as Code, type ServiceError } from "@grpc/grpc-js";
import { ErrorInfoSchema, RetryInfoSchema, type ErrorInfo } from "./gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "./gen/google/rpc/status_pb.js";

/** Why a call is not let through. `reason` is the name of an authapi.v1.ErrorReason without its prefix. */
export interface Refusal {
  readonly code: Code;
  readonly reason: string;
  readonly message: string;
}

const DOMAIN = "authservice";
const DETAILS = "grpc-status-details-bin";
const RETRY_SECONDS = 1n;

const REFUSALS = {
  METHOD_WITHOUT_RULE: [Code.PERMISSION_DENIED, "This RPC says nowhere who may call it."],
  TOKEN_MISSING: [Code.UNAUTHENTICATED, "An access token is needed."],
  TOKEN_INVALID: [Code.UNAUTHENTICATED, "The token is not one of ours. Log in again."],
  TOKEN_EXPIRED: [Code.UNAUTHENTICATED, "The token's time is over. Refresh it."],
  TOKEN_NOT_YET_VALID: [Code.UNAUTHENTICATED, "The token's time has not begun. Compare the clocks."],
  SESSION_ENDED: [Code.UNAUTHENTICATED, "The session is over. Log in again."],
  TOKEN_OUTDATED: [Code.UNAUTHENTICATED, "The token is older than a change of the user. Refresh it."],
  VERIFICATION_UNAVAILABLE: [Code.UNAVAILABLE, "The token cannot be judged at the moment. Try again."],
  ROLE_MISSING: [Code.PERMISSION_DENIED, "The caller has none of the roles that this RPC asks for."],
  MFA_REQUIRED: [Code.PERMISSION_DENIED, "This RPC asks for a login with more than one factor."],
  AUTHENTICATION_TOO_OLD: [Code.PERMISSION_DENIED, "The login is longer ago than this RPC allows. Log in again."],
  STREAM_UNKNOWN: [Code.NOT_FOUND, "There is no such stream of this caller here."],
} as const;

export function refusal(reason: keyof typeof REFUSALS): Refusal {
  const [code, message] = REFUSALS[reason];
  return { code, reason, message };
}

/** The refusal that the authentication service answered, or undefined if it did not refuse the token. */
export function answeredRefusal(error: unknown): Refusal | undefined {
  // An UNAUTHENTICATED without one of these reasons comes from something on the way, and says nothing about the token.
  const reason = reasonOf(error);
  if ((error as ServiceError).code !== Code.UNAUTHENTICATED || !isTokenReason(reason)) return undefined;
  return { code: Code.UNAUTHENTICATED, reason, message: (error as ServiceError).details };
}

/** The reason that the status of a failed call carries, if it is one of authservice. */
export function reasonOf(error: unknown): string | undefined {
  return errorInfoOf(error)?.reason;
}

/** The status for a refusal, with its details: for `sendStatus`, or to be thrown by a handler. */
export function statusOf({ code, reason, message }: Refusal): { code: Code; details: string; metadata: Metadata } {
  const details = [anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: DOMAIN }))];
  if (code === Code.UNAVAILABLE) {
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds: RETRY_SECONDS } })));
  }
  const metadata = new Metadata();
  metadata.set(DETAILS, Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, message, details }))));
  return { code, details: message, metadata };
}

function isTokenReason(reason: string | undefined): reason is string {
  return Object.entries(REFUSALS).some(([name, [code]]) => name === reason && code === Code.UNAUTHENTICATED);
}

function errorInfoOf(error: unknown): ErrorInfo | undefined {
  const [details] = (error as Partial<ServiceError>).metadata?.get(DETAILS) ?? [];
  if (!Buffer.isBuffer(details)) return undefined;
  try {
    return fromBinary(StatusSchema, details).details
      .map((detail) => anyUnpack(detail, ErrorInfoSchema))
      .find((info) => info?.domain === DOMAIN);
  } catch {
    return undefined;
  }
}
