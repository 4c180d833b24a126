package authclient

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// selfSigned returns a certificate for 127.0.0.1, and who trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	trusting := x509.NewCertPool()
	trusting.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, trusting
}

func TestWhatIsWrongWithTheConnectionIsSaid(t *testing.T) {
	own, trusting := selfSigned(t)
	plain := insecure.NewCredentials()
	withTLS := func(wanted tls.ClientAuthType) credentials.TransportCredentials {
		return credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: wanted})
	}
	trust := credentials.NewTLS(&tls.Config{RootCAs: trusting})
	for name, each := range map[string]struct {
		server, client credentials.TransportCredentials
		want           string
	}{
		"nothing listens":       {nil, plain, "nothing listens there"},
		"plaintext to TLS":      {withTLS(tls.NoClientCert), plain, "plaintext is spoken to a server that speaks TLS, or no gRPC"},
		"TLS to plaintext":      {plain, trust, "TLS is spoken to a server that speaks plaintext"},
		"another authority":     {withTLS(tls.NoClientCert), credentials.NewTLS(&tls.Config{RootCAs: x509.NewCertPool()}), "the server's certificate is not by an authority that is trusted here: RootCAs of tls.Config"},
		"no client certificate": {withTLS(tls.RequireAnyClientCert), trust, "the server wants a certificate of its clients: Certificates of tls.Config"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if each.server == nil {
				_ = listener.Close()
			} else {
				serve(t, grpc.NewServer(grpc.Creds(each.server)), listener)
			}
			conn, err := Dial(listener.Addr().String(), each.client)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			lost := &losses{why: make(chan error, 100)}
			guard, err := New(conn, Config{Issuer: "i", Audience: "a", Observer: lost})
			if err != nil {
				t.Fatal(err)
			}
			defer guard.Close()
			for said := "something else"; said != each.want; {
				select {
				case why := <-lost.why:
					// With TLS 1.3 a server hangs up after the handshake, and what it said last may be lost.
					if said = diagnosis(why); said != each.want && said != hungUp {
						t.Fatalf("%q of %v", said, why)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("in 20 s never %q", each.want)
				}
			}
		})
	}
}

// losses tells of each loss of the watch.
type losses struct {
	observations
	why chan error
}

func (l *losses) WatchLost(err error) {
	select {
	case l.why <- err:
	default:
	}
}
