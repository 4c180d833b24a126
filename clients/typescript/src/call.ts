// One call between the wire and its handler: held back until it is decided, and ended when its token stops being good.

import * as grpc from "@grpc/grpc-js";
import type { Caller, Decision } from "./decision.js";
import { removeForgedIdentity, setCaller } from "./metadata.js";
import { statusOf, type Refusal } from "./refusal.js";
import type { GuardedStream, StreamOwner } from "./streams.js";

/** By this entry a caller names a stream, to be able to renew it. */
const STREAM_NAME = "authclient-stream";

type Wire = ConstructorParameters<typeof grpc.ServerInterceptingCall>[0];
type Listener = Parameters<Wire["start"]>[0];

/** What a call asks its guard. Neither of them throws. */
export interface CallGuard {
  decide(): Promise<Decision>;
  /** Guards an admitted stream; undefined for a call that is not one. */
  openStream(caller: Caller, name: string, owner: StreamOwner): GuardedStream | undefined;
}

export class GuardedCall extends grpc.ServerInterceptingCall implements StreamOwner {
  private listener: Listener | undefined;
  private metadata: grpc.Metadata | undefined;
  private stream: GuardedStream | undefined;
  private isOver = false;

  constructor(private readonly wire: Wire, private readonly guard: CallGuard) {
    super(wire);
  }

  override start(listener: Listener): void {
    this.listener = listener;
    // Messages need no queue: the handler asks for the first one after it has received the metadata.
    this.wire.start({
      onReceiveMetadata: (metadata) => void this.admit(metadata, listener),
      onReceiveMessage: (message) => {
        if (!this.isOver) listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => {
        if (!this.isOver) listener.onReceiveHalfClose();
      },
      onCancel: () => {
        if (this.finish()) listener.onCancel();
      },
    });
  }

  override sendMetadata(metadata: grpc.Metadata): void {
    if (!this.isOver) this.wire.sendMetadata(metadata);
  }

  override sendMessage(message: unknown, callback: () => void): void {
    if (!this.isOver) this.wire.sendMessage(message, callback);
  }

  override sendStatus(status: Parameters<Wire["sendStatus"]>[0]): void {
    if (this.finish()) this.wire.sendStatus(status);
  }

  onRefused(refusal: Refusal): void {
    if (!this.finish()) return;
    this.wire.sendStatus(statusOf(refusal));
    // The wire tells of the end when the client has read everything; the handler is to stop now.
    this.listener?.onCancel();
  }

  onRenewed(caller: Caller): void {
    if (this.metadata) setCaller(this.metadata, caller);
  }

  private async admit(metadata: grpc.Metadata, listener: Listener): Promise<void> {
    const { refusal, caller } = await this.guard.decide();
    if (this.isOver) return;
    if (refusal) return this.onRefused(refusal);
    const name = metadata.get(STREAM_NAME).join();
    removeForgedIdentity(metadata);
    this.metadata = metadata;
    if (caller) {
      setCaller(metadata, caller);
      this.stream = this.guard.openStream(caller, name, this);
      await this.stream?.begun;
      if (this.isOver) return;
    }
    listener.onReceiveMetadata(metadata);
  }

  /** Tells whether the call was not over before. */
  private finish(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.stream?.close();
    return true;
  }
}
