// Whether a guard is told what makes sense. A wrong setting is said at start, and not by calls that are refused later.

import type { GuardOptions } from "./guard.js";

const SECONDS = ["maxStaleness", "maxKeyAge", "startWait"] as const;
/** Targets of grpc that are more than `host:port`. */
const HAS_SCHEME = /^(?:dns|ipv4|ipv6|xds):|^unix(?:-abstract)?:/;
const HOST_AND_PORT = /^(?:\[[^\]]+\]|[^:[\]/]+):(\d+)$/;

/** Throws an Error that says which option is wrong, and how it has to be. */
export function checkOptions(options: GuardOptions): void {
  for (const name of ["issuer", "audience"] as const) checkName(name, options[name]);
  checkAddress(options.authServer);
  if (!Array.isArray(options.services) || !options.services.every((each) => each?.kind === "service")) {
    throw new Error("services has to be a list of services as protoc-gen-es describes them, such as [OrdersService]");
  }
  for (const name of SECONDS) {
    const value = options[name];
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      throw new Error(`${name} has to be a number of seconds, zero or more, and is ${shown(value)}`);
    }
  }
  const { rememberedTokens } = options;
  if (rememberedTokens !== undefined && !(Number.isSafeInteger(rememberedTokens) && rememberedTokens >= 0)) {
    throw new Error(`rememberedTokens has to be a whole number, zero or more, and is ${shown(rememberedTokens)}`);
  }
}

function checkName(name: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new Error(
    `${name} has to be one text and is ${shown(value)}; issuer and audience must be set; ` +
      "without them tokens for other services would be accepted",
  );
}

function checkAddress(address: unknown): void {
  if (typeof address === "string" && HAS_SCHEME.test(address)) return;
  const port = Number(HOST_AND_PORT.exec(typeof address === "string" ? address : "")?.[1] ?? 0);
  if (port < 1 || port > 65_535) {
    throw new Error(
      `authServer has to be host:port, such as 127.0.0.1:50051 or [::1]:50051, with a port from 1 to 65535, and is ${shown(address)}`,
    );
  }
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : Array.isArray(value) ? "a list" : String(value);
}
