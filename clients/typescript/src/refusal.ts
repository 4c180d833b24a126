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
export const RETRY_SECONDS = 1n;

// Clients of services in any language read the same texts: they are those of refusals.py.
const NOT_ACCEPTED = "The token is not accepted. Refresh it or log in again.";
export const REFUSALS = {
  TOKEN_MISSING: [Code.UNAUTHENTICATED, 'Send one access token, as one entry "authorization: Bearer <token>".'],
  TOKEN_INVALID: [Code.UNAUTHENTICATED, NOT_ACCEPTED],
  TOKEN_EXPIRED: [Code.UNAUTHENTICATED, NOT_ACCEPTED],
  TOKEN_NOT_YET_VALID: [Code.UNAUTHENTICATED, NOT_ACCEPTED],
  TOKEN_OUTDATED: [Code.UNAUTHENTICATED, NOT_ACCEPTED],
  SESSION_ENDED: [Code.UNAUTHENTICATED, NOT_ACCEPTED],
  METHOD_WITHOUT_RULE: [
    Code.PERMISSION_DENIED,
    "This method is refused to everybody, because its server has no rule for it. The log there says why.",
  ],
  ROLE_MISSING: [Code.PERMISSION_DENIED, "This needs a role that you do not have."],
  MFA_REQUIRED: [Code.PERMISSION_DENIED, "This needs a second factor. Call StepUp with a code or a passkey, or set one up first."],
  AUTHENTICATION_TOO_OLD: [Code.PERMISSION_DENIED, "This needs a more recent proof of who you are. Call StepUp, or log in again."],
  VERIFICATION_UNAVAILABLE: [Code.UNAVAILABLE, "The token cannot be checked right now. Try again."],
  STREAM_UNKNOWN: [Code.NOT_FOUND, "There is no such stream of yours here."],
} as const;

type Reason = keyof typeof REFUSALS;

/** @param words the reason whose text the caller is told. */
export function refusal(reason: Reason, words: Reason = reason): Refusal {
  const [code] = REFUSALS[reason];
  return { code, reason, message: REFUSALS[words][1] };
}

/** The refusal that the authentication service answered, or undefined if it did not refuse the token. */
export function answeredRefusal(error: unknown): Refusal | undefined {
  // An UNAUTHENTICATED without one of these reasons comes from something on the way, and says nothing about the token.
  const reason = reasonOf(error);
  if ((error as ServiceError).code !== Code.UNAUTHENTICATED || !isTokenReason(reason)) return undefined;
  return refusal(reason);
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

function isTokenReason(reason: string | undefined): reason is Reason {
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
