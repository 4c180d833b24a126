// Traces every call of a process with OpenTelemetry's instrumentation of grpc-js, and says at the end how many there were.
import { register } from "node:module";

register("@opentelemetry/instrumentation/hook.mjs", import.meta.url);

// Only what is imported from here on is instrumented.
const { registerInstrumentations } = await import("@opentelemetry/instrumentation");
const { GrpcInstrumentation } = await import("@opentelemetry/instrumentation-grpc");
const { NodeTracerProvider } = await import("@opentelemetry/sdk-trace-node");

let spans = 0;
const counting = {
  onStart() {},
  onEnd() {
    spans++;
  },
  async shutdown() {},
  async forceFlush() {},
};
new NodeTracerProvider({ spanProcessors: [counting] }).register();
registerInstrumentations({ instrumentations: [new GrpcInstrumentation()] });
process.on("exit", () => process.stdout.write(`# traced calls: ${spans}\n`));
