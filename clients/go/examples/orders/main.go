// Orders is a guarded service and a client of it.
//
//	go run ./examples/orders serve -listen 127.0.0.1:50053 -auth 127.0.0.1:50051
//	go run ./examples/orders call -auth 127.0.0.1:50051 -orders 127.0.0.1:50053 -user ada
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("say serve or call")
	}
	flags := flag.NewFlagSet(arguments[0], flag.ExitOnError)
	auth := flags.String("auth", "127.0.0.1:50051", "address of the auth server")
	switch arguments[0] {
	case "serve":
		listen := flags.String("listen", "127.0.0.1:50053", "address to serve on")
		issuer := flags.String("issuer", "authservice", "whose tokens are accepted")
		audience := flags.String("audience", "internal", "for whom the tokens have to be")
		_ = flags.Parse(arguments[1:])
		return serve(ctx, *listen, *auth, *issuer, *audience)
	case "call":
		orders := flags.String("orders", "127.0.0.1:50053", "address of an OrdersService, in whatever language")
		user := flags.String("user", "", "user name or e-mail address")
		password := flags.String("password", "", "read from standard input if it is not given: others on this machine see arguments")
		_ = flags.Parse(arguments[1:])
		if *password == "" {
			line, err := bufio.NewReader(os.Stdin).ReadString('\n')
			if err != nil && line == "" {
				return fmt.Errorf("there is no password on standard input: %w", err)
			}
			*password = strings.TrimRight(line, "\r\n")
		}
		return call(ctx, *auth, *orders, *user, *password)
	}
	return fmt.Errorf("%q is neither serve nor call", arguments[0])
}

// mustBeLoopback refuses to serve other machines: passwords and tokens would come in the clear.
func mustBeLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s is not on this machine, and the example speaks no TLS", address)
	}
	return nil
}
