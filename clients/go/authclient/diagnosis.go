package authclient

import "strings"

const hungUp = "the server hangs up, as one does that wants a certificate of its clients"

// diagnoses say what is wrong where the connection to the auth server does not come about, by what Go's network, TLS and HTTP/2
// say of it. The first one counts.
var diagnoses = []struct{ sign, meaning string }{
	{"connection refused", "nothing listens there"},
	{"first record does not look like a TLS handshake", "TLS is spoken to a server that speaks plaintext"},
	{"certificate required", "the server wants a certificate of its clients: Certificates of tls.Config"},
	{"bad certificate", "the server does not accept the certificate of this client"},
	{"x509: certificate signed by unknown authority", "the server's certificate is not by an authority that is trusted here: RootCAs of tls.Config"},
	{"x509: ", "the server's certificate does not count here"},
	{"remote error: tls: ", "the server ended the TLS handshake"},
	{"broken pipe", hungUp},
	{"connection reset by peer", hungUp},
	{"no such host", "there is no such name"},
	{"produced zero addresses", "there is no address of that name"},
	{"error reading server preface", "plaintext is spoken to a server that speaks TLS, or no gRPC"},
	{"deadline exceeded", "there is no answer"},
}

// diagnosis says what an error on the way to the auth server means, or nothing.
func diagnosis(err error) string {
	for _, each := range diagnoses {
		if strings.Contains(err.Error(), each.sign) {
			return each.meaning
		}
	}
	return ""
}
