package authclient

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/status"
)

// Dial returns a connection to the auth server for New, to be closed after the Guard. It does not wait for the server.
//
// address is `host:port`, or a target with a scheme as grpc.NewClient takes it. Without credentials the connection is not
// encrypted and has to stay on this machine. insecure.NewCredentials() allows plaintext to another one, where something else
// encrypts the way there. Plaintext passes no proxy of the environment.
//
// What it does better than grpc.NewClient: a server that moves to another address behind its name is found within about a
// second, and not after 30; and a connection that has died without a word is given up after 6 s, and not after 15 minutes. So
// it is for a Guard, which hears something every second, and for little else: a call that takes longer would be cut.
func Dial(address string, creds credentials.TransportCredentials) (*grpc.ClientConn, error) {
	if err := checkAddress(address); err != nil {
		return nil, err
	}
	if creds == nil {
		if !isLocalAddress(address) {
			return nil, fmt.Errorf("authclient: %s is another machine, and tokens would travel in the clear. Pass "+
				"credentials.NewTLS(…), or insecure.NewCredentials() if something else encrypts the way there", address)
		}
		creds = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(lively{creds}),
		grpc.WithResolvers(lookups{resolver.Get("dns")}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: shortestWait, Multiplier: 2, Jitter: 0.2, MaxDelay: longestWait},
			MinConnectTimeout: connectLimit,
		}),
	}
	if creds.Info().SecurityProtocol == "insecure" {
		options = append(options, grpc.WithNoProxy())
	}
	return grpc.NewClient(address, options...)
}

// checkAddress refuses what people write in place of `host:port`. To grpc it would be a name, and port 443 of it.
func checkAddress(address string) error {
	if strings.HasPrefix(address, "http://") || strings.HasPrefix(address, "https://") {
		return fmt.Errorf("authclient: %q is a URL; write host:port, such as 127.0.0.1:50051", address)
	}
	if strings.Contains(address, "://") || strings.HasPrefix(address, "unix:") {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if number, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || number == 0 {
		return fmt.Errorf("authclient: %q is not host:port, such as 127.0.0.1:50051 or [::1]:50051, with a port from 1 to 65535", address)
	}
	return nil
}

func isLocalAddress(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(address, "dns:///"))
	return err == nil && (host == "localhost" || isLoopback(host))
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// onlyOverGoodConnections lets a call of the guard pass only where nobody on the network can read or answer it. gRPC asks it
// when the connection is there and before anything is sent: also one that the guard was given is seen then.
type onlyOverGoodConnections struct{}

func (onlyOverGoodConnections) RequireTransportSecurity() bool { return false }

func (onlyOverGoodConnections) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	request, _ := credentials.RequestInfoFromContext(ctx)
	server, known := peer.FromContext(ctx)
	isEncrypted := credentials.CheckSecurityLevel(request.AuthInfo, credentials.PrivacyAndIntegrity) == nil
	if isEncrypted || !known || isLocal(server.Addr) {
		return nil, nil
	}
	return nil, status.Errorf(codes.Unavailable, "the connection to %v, another machine, is not encrypted, and tokens would travel "+
		"in the clear. Use TLS, or set Config.Insecure if something else encrypts the way there", server.Addr)
}

// isLocal tells whether an address is of this machine. What is no TCP never leaves it.
func isLocal(addr net.Addr) bool {
	if addr.Network() != "tcp" {
		return true
	}
	host, _, err := net.SplitHostPort(addr.String())
	return err == nil && isLoopback(host)
}

const (
	lookupPause = 500 * time.Millisecond
	// lookupsInARow is how often a name is looked up for one lost connection: what is behind it may change later than the server.
	lookupsInARow = 20
)

// lookups resolves names as gRPC does, and again and again after a connection was lost. gRPC itself lets 30 s pass between two
// lookups, for which a server that has moved would not be found.
type lookups struct{ resolver.Builder }

func (l lookups) Build(target resolver.Target, cc resolver.ClientConn, options resolver.BuildOptions) (resolver.Resolver, error) {
	r := &lookup{wanted: make(chan struct{}, 1), ended: make(chan struct{})}
	told := resolved{cc, r}
	build := func() (resolver.Resolver, error) { return l.Builder.Build(target, told, options) }
	first, err := build()
	if err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go r.run(running, first, build)
	return r, nil
}

// lookup looks up one name. The resolver that gRPC has for it knows no haste, but a new one looks at once.
type lookup struct {
	wanted chan struct{}
	cancel context.CancelFunc
	ended  chan struct{}
}

func (r *lookup) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

func (r *lookup) Close() {
	r.cancel()
	<-r.ended
}

func (r *lookup) run(ctx context.Context, current resolver.Resolver, build func() (resolver.Resolver, error)) {
	defer close(r.ended)
	defer func() { current.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wanted:
		}
		for range lookupsInARow {
			if next, err := build(); err == nil {
				current.Close()
				current = next
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(lookupPause):
			}
		}
	}
}

// resolved passes on what was found, and wants to know again soon where nothing was.
type resolved struct {
	resolver.ClientConn
	lookup *lookup
}

func (r resolved) ReportError(err error) {
	r.lookup.ResolveNow(resolver.ResolveNowOptions{})
	r.ClientConn.ReportError(err)
}
