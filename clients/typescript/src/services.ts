// From the descriptors of protoc-gen-es to the service definitions and clients of grpc-js.

import {
  create, fromBinary, toBinary,
  type DescMessage, type DescMethod, type DescService, type MessageInitShape, type MessageShape,
} from "@bufbuild/protobuf";
import type { GenService, GenServiceMethods } from "@bufbuild/protobuf/codegenv2";
import * as grpc from "@grpc/grpc-js";

type In<M extends GenServiceMethods[string]> = MessageShape<M["input"]>;
type InInit<M extends GenServiceMethods[string]> = MessageInitShape<M["input"]>;
type Out<M extends GenServiceMethods[string]> = MessageShape<M["output"]>;
type OutInit<M extends GenServiceMethods[string]> = MessageInitShape<M["output"]>;

/** A grpc-js handler for each RPC of a service. */
export type Handlers<S> = S extends GenService<infer Methods> ? {
  [Name in keyof Methods]: {
    unary: grpc.handleUnaryCall<In<Methods[Name]>, OutInit<Methods[Name]>>;
    server_streaming: grpc.handleServerStreamingCall<In<Methods[Name]>, OutInit<Methods[Name]>>;
    client_streaming: grpc.handleClientStreamingCall<In<Methods[Name]>, OutInit<Methods[Name]>>;
    bidi_streaming: grpc.handleBidiStreamingCall<In<Methods[Name]>, OutInit<Methods[Name]>>;
  }[Methods[Name]["methodKind"]];
} : never;

/** A grpc-js client with a typed method for each RPC. */
export type Client<S> = S extends GenService<infer Methods> ? grpc.Client & {
  [Name in keyof Methods]: {
    unary: (
      request: InInit<Methods[Name]>, metadata: grpc.Metadata, options: grpc.CallOptions,
      callback: grpc.requestCallback<Out<Methods[Name]>>,
    ) => grpc.ClientUnaryCall;
    server_streaming: (
      request: InInit<Methods[Name]>, metadata: grpc.Metadata, options: grpc.CallOptions,
    ) => grpc.ClientReadableStream<Out<Methods[Name]>>;
    client_streaming: (
      metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<Out<Methods[Name]>>,
    ) => grpc.ClientWritableStream<InInit<Methods[Name]>>;
    bidi_streaming: (
      metadata: grpc.Metadata, options: grpc.CallOptions,
    ) => grpc.ClientDuplexStream<InInit<Methods[Name]>, Out<Methods[Name]>>;
  }[Methods[Name]["methodKind"]];
} : never;

/** Adds a service to a server. */
export function addService<S extends DescService>(server: grpc.Server, service: S, handlers: Handlers<S>): void {
  server.addService(serviceDefinition(service), handlers as unknown as grpc.UntypedServiceImplementation);
}

// A proxy that the environment names would hear what is not encrypted, the tokens with it.
const NO_PROXY = { "grpc.enable_http_proxy": 0 };

/** A client of a service. Without TLS it connects past any proxy that the environment names, unless `options` say otherwise. */
export function makeClient<S extends DescService>(
  service: S, address: string, credentials: grpc.ChannelCredentials, options?: grpc.ClientOptions,
): Client<S> {
  const Constructor = grpc.makeGenericClientConstructor(serviceDefinition(service), service.typeName);
  const all = credentials._isSecure() ? options : { ...NO_PROXY, ...options };
  return new Constructor(address, credentials, all) as unknown as Client<S>;
}

function serviceDefinition(service: DescService): grpc.ServiceDefinition {
  const methods = service.methods.map((method) => [method.localName, methodDefinition(service, method)]);
  return Object.fromEntries(methods) as grpc.ServiceDefinition;
}

function methodDefinition(service: DescService, method: DescMethod): grpc.MethodDefinition<unknown, unknown> {
  return {
    path: `/${service.typeName}/${method.name}`,
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: serializer(method.input),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: serializer(method.output),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

function serializer(schema: DescMessage): (value: unknown) => Buffer {
  return (value) => Buffer.from(toBinary(schema, create(schema, value as MessageInitShape<DescMessage>)));
}
