// authservice-client: checks the access tokens of authservice inside a gRPC service.

export type { Identity } from "./claims.js";
export { Guard, type GuardOptions } from "./guard.js";
export { forwardToken, identityOf } from "./metadata.js";
export type { Observer } from "./observer.js";
export { reasonOf } from "./refusal.js";
export { addService, makeClient, type Client, type Handlers } from "./services.js";

export { AuthService } from "./gen/authapi/v1/auth_service_pb.js";
export { StreamService } from "./gen/authapi/v1/stream_service_pb.js";
