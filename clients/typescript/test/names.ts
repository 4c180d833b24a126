// A name server that says what a test tells it to. To be imported before anything that imports grpc-js.

import * as dgram from "node:dgram";
import { once } from "node:events";

// With this grpc-js asks the name server that stands in the address, and not the system. It reads it once, when it is loaded.
process.env.GRPC_NODE_USE_ALTERNATIVE_RESOLVER = "true";

const [A, NO_SUCH_NAME] = [1, 3];
const HEADER_BYTES = 12;

/** Answers each question for IPv4 addresses (RFC 1035, section 4). */
export class NameServer {
  answers: string[] = [];
  asked = 0;
  private readonly socket = dgram.createSocket("udp4");

  async listen(): Promise<string> {
    this.socket.on("message", (question, from) => this.socket.send(this.reply(question), from.port, from.address));
    await once(this.socket.bind(0, "127.0.0.1"), "listening");
    return `127.0.0.1:${this.socket.address().port}`;
  }

  close(): void {
    this.socket.close();
  }

  private reply(question: Buffer): Buffer {
    let end = HEADER_BYTES;
    while (question[end] !== 0) end += question[end]! + 1;
    const isForAddress = question.readUInt16BE(end + 1) === A;
    const reply = Buffer.concat([question.subarray(0, 2), Buffer.from([0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]), question.subarray(HEADER_BYTES, end + 5)]);
    if (this.answers.length === 0) reply[3]! |= NO_SUCH_NAME;
    if (!isForAddress) return reply;
    this.asked++;
    reply[7] = this.answers.length;
    // That name, with a life of 0 seconds.
    const records = this.answers.map((answer) => [0xc0, HEADER_BYTES, 0, A, 0, 1, 0, 0, 0, 0, 0, 4, ...answer.split(".").map(Number)]);
    return Buffer.concat([reply, ...records.map((record) => Buffer.from(record))]);
  }
}
