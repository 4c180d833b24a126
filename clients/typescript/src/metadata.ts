// Who is calling, kept beside the metadata of the call: not in it, where anybody could have written it.

import * as grpc from "@grpc/grpc-js";
import type { Identity } from "./claims.js";
import type { Caller } from "./decision.js";

/** Entries by which other systems pass on who is calling. Here anybody could have set them. The list is that of guard.py. */
const FORGEABLE = new RegExp(
  "^(?:x-(?:user(?:-.*|id|name|info)?|auth-.*|authenticated-.*|remote-user|roles?|identity-.*|email|groups|subject" +
    "|forwarded-(?:user|email|groups|preferred-username|client-cert)|consumer-.*|credential-.*|jwt-.*" +
    "|goog-authenticated-.*|endpoint-api-userinfo|amzn-oidc-.*|ms-client-principal.*)" +
    "|x_user.*|remote-user|authclient-.*)$",
  "s",
);

const callers = new WeakMap<grpc.Metadata, Caller>();

/** Anything that has the metadata of a call: each `call` that a grpc-js handler is given. */
export interface HasMetadata {
  readonly metadata: grpc.Metadata;
}

/** Who is calling. Undefined where the rule is `public`, or only observes and the token is not good. */
export function identityOf(call: HasMetadata): Identity | undefined {
  return callers.get(call.metadata)?.identity;
}

/**
 * Metadata that passes the caller's token on to the next service; empty where there is no caller. Only for services that
 * are trusted with it: whoever has the token can act as the caller until it expires.
 */
export function forwardToken(call: HasMetadata): grpc.Metadata {
  const metadata = new grpc.Metadata();
  const caller = callerOf(call);
  if (caller) metadata.set("authorization", `Bearer ${caller.token}`);
  return metadata;
}

export function callerOf(call: HasMetadata): Caller | undefined {
  return callers.get(call.metadata);
}

export function setCaller(metadata: grpc.Metadata, caller: Caller): void {
  callers.set(metadata, caller);
}

export function removeForgedIdentity(metadata: grpc.Metadata): void {
  for (const key of Object.keys(metadata.getMap())) {
    if (FORGEABLE.test(key)) metadata.remove(key);
  }
}
