// What is wrong with the connection to the authentication service is said, as real servers show it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import * as net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { diagnosis } from "../src/diagnosis.js";
import { Guard } from "../src/guard.js";
import { AUDIENCE, ISSUER } from "./issuer.js";

let folder: string;
let ca: Buffer;
let pair: grpc.KeyCertPair;
let opened: { close(): void }[] = [];

before(() => {
  folder = mkdtempSync(join(tmpdir(), "authservice-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
    "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert,
  ], { stdio: "pipe" });
  ca = readFileSync(cert);
  pair = { private_key: readFileSync(key), cert_chain: ca };
});

after(() => rmSync(folder, { recursive: true }));

afterEach(() => {
  for (const each of opened) each.close();
  opened = [];
});

async function serve(credentials: grpc.ServerCredentials): Promise<string> {
  const server = new grpc.Server();
  opened.push({ close: () => server.forceShutdown() });
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => error ? reject(error) : resolve(`127.0.0.1:${port}`)));
}

async function nobody(): Promise<string> {
  const probe = net.createServer();
  await once(probe.listen(0, "127.0.0.1"), "listening");
  const { port } = probe.address() as net.AddressInfo;
  await once(probe.close(), "close");
  return `127.0.0.1:${port}`;
}

const plain = grpc.credentials.createInsecure;
const withTls = (asksClients: boolean) => () => serve(grpc.ServerCredentials.createSsl(asksClients ? ca : null, [pair], asksClients));

for (const [name, server, credentials, want] of [
  ["nothing listens", nobody, plain, "nothing listens there"],
  ["plaintext to TLS", withTls(false), plain, "plaintext is spoken to a server that speaks TLS, or no gRPC"],
  ["TLS to plaintext", () => serve(grpc.ServerCredentials.createInsecure()), () => grpc.credentials.createSsl(ca),
    "TLS is spoken to a server that speaks plaintext"],
  ["another authority", withTls(false), () => grpc.credentials.createSsl(),
    "the server's certificate is not by an authority that is trusted here: the first argument of createSsl"],
  ["no client certificate", withTls(true), () => grpc.credentials.createSsl(ca),
    "the server ended the connection, maybe because it wants a certificate of its clients: the other arguments of createSsl"],
] as const) {
  test(name, async () => {
    const authServer = await server();
    const why = await new Promise<string>((resolve) => {
      opened.unshift(new Guard({
        authServer, credentials: credentials(), issuer: ISSUER, audience: AUDIENCE, services: [],
        observer: { watchLost: resolve },
      }));
    });
    assert.equal(diagnosis(why, credentials()._isSecure()), want, why);
  });
}
