// npm run --silent orders -- serve|call …

import { once } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { reasonOf } from "../../src/index.js";
import { call } from "./customer.js";
import { serve } from "./shop.js";

const { positionals: [command], values } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string", default: "127.0.0.1:50054" },
    auth: { type: "string", default: "127.0.0.1:50051" },
    issuer: { type: "string", default: "authservice" },
    audience: { type: "string", default: "internal" },
    orders: { type: "string", default: "127.0.0.1:50054" },
    user: { type: "string", default: "ada" },
    password: { type: "string", default: "" },
  },
});

try {
  if (command === "serve") await serve(values);
  else if (command === "call") {
    // Read from standard input if it is not given: others on this machine see arguments.
    const password = values.password || (await once(createInterface({ input: process.stdin }), "line"))[0];
    process.exitCode = (await call({ ...values, password })) ? 0 : 1;
  }
  else throw new Error("orders: say `serve` or `call`");
} catch (error) {
  console.error((error as Error).message, reasonOf(error) ?? "");
  process.exitCode = 1;
}
