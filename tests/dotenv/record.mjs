// Writes what `dotenv` makes of each text beside it.
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "dotenv";

const path = process.argv[2];
const { about, cases } = JSON.parse(readFileSync(path, "utf8"));
const lines = cases.map(({ name, text }) => JSON.stringify({ name, text, says: parse(Buffer.from(text)) }));
writeFileSync(path, `{"about": ${JSON.stringify(about)}, "cases": [\n${lines.join(",\n")}\n]}\n`);
