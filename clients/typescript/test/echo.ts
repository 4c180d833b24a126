// A guarded service with all four kinds of RPC, whose rules a test writes itself, and everything around it.

import {
  create, createFileRegistry, setExtension, type MessageInitShape,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  file_google_protobuf_wrappers, FileDescriptorProtoSchema, MethodOptionsSchema, type StringValueSchema,
} from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { rule as ruleOption, RuleSchema } from "../src/gen/authapi/v1/rule_pb.js";
import { Guard, type GuardOptions } from "../src/guard.js";
import { identityOf } from "../src/metadata.js";
import { addService, makeClient, type Client, type Handlers } from "../src/services.js";
import { FakeAuthServer } from "./auth_server.js";
import { AUDIENCE, ISSUER } from "./issuer.js";

type RuleInit = MessageInitShape<typeof RuleSchema>;
type Method<Kind> = { methodKind: Kind; input: typeof StringValueSchema; output: typeof StringValueSchema };

export type Echo = GenService<{
  unary: Method<"unary">;
  serverStream: Method<"server_streaming">;
  clientStream: Method<"client_streaming">;
  bidi: Method<"bidi_streaming">;
}>;
export const KINDS = ["unary", "serverStream", "clientStream", "bidi"] as const;
export type Kind = (typeof KINDS)[number];

/** The service with one rule for all its methods; without one if there is none. */
export function echoService(rule: RuleInit | undefined, typeName = "test.v1.Echo"): Echo {
  const options = create(MethodOptionsSchema);
  if (rule) setExtension(options, ruleOption, create(RuleSchema, rule));
  const [packageName, name] = [typeName.slice(0, typeName.lastIndexOf(".")), typeName.slice(typeName.lastIndexOf(".") + 1)];
  const file = create(FileDescriptorProtoSchema, {
    name: `${typeName}.proto`,
    package: packageName,
    syntax: "proto3",
    dependency: ["google/protobuf/wrappers.proto"],
    service: [{
      name,
      method: KINDS.map((kind) => ({
        name: kind.charAt(0).toUpperCase() + kind.slice(1),
        inputType: ".google.protobuf.StringValue",
        outputType: ".google.protobuf.StringValue",
        clientStreaming: kind === "clientStream" || kind === "bidi",
        serverStreaming: kind === "serverStream" || kind === "bidi",
        options,
      })),
    }],
  });
  const files = createFileRegistry(file, (dependency) =>
    dependency === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined);
  return files.getService(typeName) as unknown as Echo;
}

interface AnyCall {
  readonly metadata: grpc.Metadata;
}

interface OpenCall extends AnyCall {
  readonly cancelled: boolean;
}

/** A service behind a guard, and an authentication service that a test plays. */
export class Shop {
  /** What the handlers were called with. */
  readonly calls: AnyCall[] = [];
  /** The streams that a handler holds open. */
  readonly streams: OpenCall[] = [];
  readonly refused: string[] = [];
  readonly observed: string[] = [];
  readonly failures: unknown[] = [];
  private readonly closing: (() => void)[] = [];

  private constructor(readonly auth: FakeAuthServer, readonly guard: Guard, readonly address: string) {}

  static async open(
    services: readonly Echo[], options: Partial<GuardOptions> = {}, auth?: FakeAuthServer,
  ): Promise<Shop> {
    const fake = auth ?? (await FakeAuthServer.start());
    let shop: Shop | undefined;
    const guard = new Guard({
      authServer: fake.address, issuer: ISSUER, audience: AUDIENCE, services,
      pace: { firstWait: 0.01, longestWait: 0.02 },
      observer: {
        refused: (_method, reason) => shop?.refused.push(reason),
        wouldRefuse: (_method, reason) => shop?.observed.push(reason),
        failed: (error) => shop?.failures.push(error),
      },
      ...options,
    });
    const server = guard.createServer();
    const handlers = Shop.handlers(() => shop!);
    for (const service of services) addService(server, service, handlers);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound));
    });
    shop = new Shop(fake, guard, `127.0.0.1:${port}`);
    shop.closing.push(() => server.forceShutdown(), () => guard.close(), () => fake.stop());
    return shop;
  }

  client<S extends Echo>(service: S): Client<S> {
    const client = makeClient(service, this.address, grpc.credentials.createInsecure());
    this.closing.unshift(() => (client as grpc.Client).close());
    return client;
  }

  close(): void {
    for (const close of this.closing) close();
  }

  /** Echo the caller's name. A stream that is sent `hold`, or opened by a client, is held open. */
  private static handlers(shop: () => Shop): Handlers<Echo> {
    const arrive = (call: AnyCall) => {
      shop().calls.push(call);
      return { value: identityOf(call)?.userName ?? "nobody" };
    };
    return {
      unary: (call, callback) => callback(null, arrive(call)),
      clientStream: (call, callback) => {
        const answer = arrive(call);
        shop().streams.push(call);
        call.on("data", () => undefined).on("end", () => callback(null, answer));
      },
      serverStream: (call) => {
        call.write(arrive(call));
        shop().streams.push(call);
        if (call.request.value !== "hold") call.end();
      },
      bidi: (call) => {
        call.write(arrive(call));
        shop().streams.push(call);
        call.on("data", () => undefined).on("end", () => call.end());
      },
    };
  }
}

export function bearer(token: string): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return metadata;
}

export interface Outcome {
  status: grpc.StatusObject;
  values: string[];
}

/** A call in flight. `end` half-closes it. */
export interface Running {
  outcome: Promise<Outcome>;
  end(): void;
}

/** Starts a call of any kind that stays open until `end`, where its kind can. */
export function start(client: Client<Echo>, kind: Kind, metadata = new grpc.Metadata(), value = "hold"): Running {
  const values: string[] = [];
  const keep = (_error: unknown, answer?: { value: string }) => void (answer && values.push(answer.value));
  const call = {
    unary: () => client.unary({ value }, metadata, {}, keep),
    serverStream: () => client.serverStream({ value }, metadata, {}).on("data", ({ value }) => values.push(value)),
    clientStream: () => client.clientStream(metadata, {}, keep),
    bidi: () => client.bidi(metadata, {}).on("data", ({ value }) => values.push(value)),
  }[kind]() as grpc.ClientDuplexStream<unknown, unknown>;
  call.on("error", () => undefined);
  return {
    // grpc-js hands out the last message after the status.
    outcome: new Promise((resolve) => call.on("status", (status: grpc.StatusObject) =>
      setImmediate(() => resolve({ status, values })))),
    end: () => void (kind === "clientStream" || kind === "bidi" ? call.end() : undefined),
  };
}

/** Makes a call of any kind from beginning to end. */
export function run(client: Client<Echo>, kind: Kind, metadata?: grpc.Metadata): Promise<Outcome> {
  const running = start(client, kind, metadata, "once");
  running.end();
  return running.outcome;
}
