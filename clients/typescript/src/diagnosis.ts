// What is wrong where the connection to the authentication service does not come about.

/** Signs in what grpc-js and Node.js say, and what they mean. The first one counts. */
const ALWAYS: [RegExp, string][] = [
  [/ECONNREFUSED/, "nothing listens there"],
  [/ENOTFOUND|Name resolution failed/, "there is no such name"],
  [/nothing was heard|DEADLINE/, "there is no answer"],
];
const WITH_TLS: [RegExp, string][] = [
  [/wrong version number|packet length too long/i, "TLS is spoken to a server that speaks plaintext"],
  [/self[- ]signed|unable to verify|unable to get (local )?issuer/i,
    "the server's certificate is not by an authority that is trusted here: the first argument of createSsl"],
  [/altnames|certificate has expired|not yet valid/i, "the server's certificate does not count here"],
  [/certificate required|ECONNRESET|socket hang up|Failed to connect|alert/i,
    "the server ended the connection, maybe because it wants a certificate of its clients: the other arguments of createSsl"],
];
const WITHOUT_TLS: [RegExp, string][] = [
  [/ECONNRESET|EPIPE|socket hang up|Failed to connect|Protocol error/i,
    "plaintext is spoken to a server that speaks TLS, or no gRPC"],
];

/** What a reason for a lost watch means; undefined where it says all that is known. */
export function diagnosis(why: string, isEncrypted: boolean): string | undefined {
  return [...ALWAYS, ...(isEncrypted ? WITH_TLS : WITHOUT_TLS)].find(([sign]) => sign.test(why))?.[1];
}
