// A JSON reader for what is signed. JSON.parse takes the last of two equal names and rounds large numbers, so two readers
// could understand one token differently. Whatever could be understood in two ways is refused here.

/** An integer is a bigint and any other number a number, so that `1.0` and `1e0` are not taken for `1`. */
export type Json = null | boolean | string | bigint | number | Json[] | JsonObject;
export type JsonObject = Map<string, Json>;

export class MalformedJson extends Error {}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /(-?)(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Record<string, string> = {
  '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t",
};
const MAX_DIGITS = 18;
/** Levels of lists and objects; the outermost object is the first. The stack is never the limit. */
const MAX_DEPTH = 32;

/** Reads one JSON object and nothing else. Throws MalformedJson. */
export function readObject(bytes: Uint8Array): JsonObject {
  let text;
  try {
    text = UTF8.decode(bytes);
  } catch {
    throw new MalformedJson("it is not UTF-8");
  }
  return new Reader(text).document();
}

class Reader {
  private at = 0;
  private depth = 0;

  constructor(private readonly text: string) {}

  document(): JsonObject {
    this.match(SPACE);
    this.expect("{");
    const object = this.object();
    this.match(SPACE);
    if (this.at !== this.text.length) throw new MalformedJson("something follows the object");
    return object;
  }

  private value(): Json {
    const start = this.text[this.at];
    switch (start) {
      case "{":
        this.at++;
        return this.object();
      case "[":
        this.at++;
        return this.list();
      case '"':
        this.at++;
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private object(): JsonObject {
    const members: JsonObject = new Map();
    this.items("}", () => {
      this.expect('"');
      const name = this.string();
      if (members.has(name)) throw new MalformedJson("a name stands twice");
      this.match(SPACE);
      this.expect(":");
      this.match(SPACE);
      members.set(name, this.value());
    });
    return members;
  }

  private list(): Json[] {
    const items: Json[] = [];
    this.items("]", () => items.push(this.value()));
    return items;
  }

  private items(end: string, readItem: () => void): void {
    if (++this.depth > MAX_DEPTH) throw new MalformedJson(`it is deeper than ${MAX_DEPTH} levels`);
    this.match(SPACE);
    for (let isFirst = true; !this.take(end); isFirst = false) {
      if (!isFirst) {
        this.expect(",");
        this.match(SPACE);
      }
      readItem();
      this.match(SPACE);
    }
    this.depth--;
  }

  private string(): string {
    let result = "";
    for (;;) {
      result += this.match(PLAIN);
      if (this.take('"')) return result;
      this.expect("\\");
      result += this.escape();
    }
  }

  private escape(): string {
    const letter = this.text[this.at++] ?? "";
    if (letter !== "u") {
      const character = ESCAPES[letter];
      if (character === undefined) throw new MalformedJson("an escape is unknown");
      return character;
    }
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new MalformedJson("an escape is cut short");
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  private number(): bigint | number {
    NUMBER.lastIndex = this.at;
    const found = NUMBER.exec(this.text);
    if (!found) throw new MalformedJson("there is no value");
    this.at = NUMBER.lastIndex;
    const [text, , digits = "", fraction, exponent] = found;
    if (fraction !== undefined || exponent !== undefined) return Number(text);
    if (digits.length > MAX_DIGITS) throw new MalformedJson("an integer is too long");
    return BigInt(text);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) throw new MalformedJson("there is no value");
    this.at += word.length;
    return value;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private expect(character: string): void {
    if (!this.take(character)) throw new MalformedJson(`${character} is missing`);
  }
}
