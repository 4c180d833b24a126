package authclient

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// benchmarkGuard has a complete view, and never watches: nothing else runs.
func benchmarkGuard(b *testing.B) (*Guard, context.Context) {
	auth := &authServer{key: signingKey()}
	config, err := Config{Issuer: "authservice", Audience: "internal", Policy: ReadPolicy(shopFiles(b))}.withDefaults()
	if err != nil {
		b.Fatal(err)
	}
	keys, err := readKeySet(auth.keySet())
	if err != nil {
		b.Fatal(err)
	}
	settled, settle := context.WithCancel(context.Background())
	settle()
	now := time.Now()
	guard := &Guard{
		config: config,
		judge: &judge{
			accepted: origin{config.Issuer, config.Audience}, maxStaleness: time.Hour, maxKeyAge: time.Hour,
			cache: newSignatureCache(config.CacheSize), tokenSeen: config.Observer.TokenSeen,
		},
		trust: &trust{
			keys: keys, view: newView(), keysRead: now, viewRead: now, answerRead: now, serverTime: now, completed: settle,
		},
		streams: newOpenStreams(),
		settled: settled,
	}
	md := metadata.Pairs(
		"authorization", "Bearer "+auth.token(), ":authority", "shop", "user-agent", "grpc-go", "content-type", "application/grpc",
	)
	return guard, metadata.NewIncomingContext(context.Background(), md)
}

var buy = &grpc.UnaryServerInfo{FullMethod: "/test.v1.Shop/Buy"}

func handle(context.Context, any) (any, error) { return nil, nil }

func BenchmarkATokenSeenBefore(b *testing.B) {
	guard, ctx := benchmarkGuard(b)
	intercept := guard.UnaryServerInterceptor()
	for b.Loop() {
		if _, err := intercept(ctx, nil, buy, handle); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTheFirstSightOfAToken(b *testing.B) {
	guard, ctx := benchmarkGuard(b)
	intercept := guard.UnaryServerInterceptor()
	for b.Loop() {
		guard.judge.cache = newSignatureCache(1)
		if _, err := intercept(ctx, nil, buy, handle); err != nil {
			b.Fatal(err)
		}
	}
}
