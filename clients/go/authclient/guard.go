// Package authclient guards gRPC services with the access tokens of authservice. It judges each call inside the process,
// by the signing keys and revocations that one stream from the auth server keeps up to date, and asks the auth server only
// where it knows too little. Who may call a method stands in its .proto, as option (authapi.v1.rule).
//
//	conn, err := authclient.Dial("127.0.0.1:50051", nil)
//	guard, err := authclient.New(conn, authclient.Config{Issuer: "authservice", Audience: "internal"})
//	server := grpc.NewServer(
//		grpc.ChainUnaryInterceptor(guard.UnaryServerInterceptor()),
//		grpc.ChainStreamInterceptor(guard.StreamServerInterceptor()),
//	)
//
// docs/local-verification.md is the specification.
package authclient

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Config says what a Guard accepts. Issuer and Audience are required; what else is zero gets its default.
type Config struct {
	// Issuer and Audience are the only accepted `iss` and `aud`, compared exactly.
	Issuer, Audience string
	// Policy says who may call what. Default: the rules of every .proto whose generated code is part of the program.
	Policy *Policy
	// MaxStaleness is how old the knowledge of revocations may be where a rule does not say. Default 10 s.
	MaxStaleness time.Duration
	// MaxKeyAge is how old the key set may be. Default 1 h.
	MaxKeyAge time.Duration
	// FirstViewWait is how long after New calls wait for the first complete view, before Verify is asked about each of
	// them. Never beyond a call's deadline. Default 2 s.
	FirstViewWait time.Duration
	// VerifyTimeout bounds each question to Verify. Default 5 s.
	VerifyTimeout time.Duration
	// CacheSize is how many good signatures are remembered, at about 2 KB each. Default 16,384.
	CacheSize int
	// Insecure allows a connection without TLS to another machine, for where something else encrypts the way there.
	Insecure bool
	// Observer is told what happens. Default: slog is told what an operator should know: once a minute while the watch is
	// lost, once when it is back, and once of tokens that were made for somebody else.
	Observer Observer
}

func (c Config) withDefaults() (Config, error) {
	if c.Issuer == "" || c.Audience == "" {
		return c, errors.New("authclient: without Issuer and Audience tokens for other services would be accepted")
	}
	if min(c.MaxStaleness, c.MaxKeyAge, c.FirstViewWait, c.VerifyTimeout) < 0 || c.CacheSize < 0 {
		return c, errors.New("authclient: a setting is negative")
	}
	setDefault(&c.MaxStaleness, 10*time.Second)
	setDefault(&c.MaxKeyAge, time.Hour)
	setDefault(&c.FirstViewWait, 2*time.Second)
	setDefault(&c.VerifyTimeout, 5*time.Second)
	setDefault(&c.CacheSize, 16_384)
	if c.Policy == nil {
		c.Policy = ReadPolicy(protoregistry.GlobalFiles)
	}
	return c, nil
}

// callOptions are for each call to the auth server.
func (c Config) callOptions() []grpc.CallOption {
	if c.Insecure {
		return nil
	}
	return []grpc.CallOption{grpc.PerRPCCredentials(onlyOverGoodConnections{})}
}

func setDefault[T comparable](setting *T, value T) {
	var unset T
	if *setting == unset {
		*setting = value
	}
}

// Guard decides about every call of a server. One serves a whole process and lives as long as it.
type Guard struct {
	config  Config
	judge   *judge
	trust   *trust
	auth    authapi.AuthServiceClient
	streams *openStreams
	asking  *questions      // on behalf of open streams
	settled context.Context // done when there is a view, or when calls no longer wait for the first one
	close   context.CancelFunc
	stopped chan struct{}

	mu     sync.Mutex
	toldOf map[string]bool // methods without a good rule, by name
}

// New starts to follow the auth server at conn, which is the caller's to make (by Dial, or by grpc.NewClient) and to close
// after the Guard. Over a connection without TLS to another machine nothing is asked and nothing believed, unless Insecure is
// set. The auth server may be away; calls are refused as VERIFICATION_UNAVAILABLE until it can be asked.
func New(conn *grpc.ClientConn, config Config) (*Guard, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if config.Observer == nil {
		config.Observer = &slogObserver{accepted: origin{config.Issuer, config.Audience}, server: conn.Target()}
	}
	running, stop := context.WithCancel(context.Background())
	settled, settle := context.WithTimeout(running, config.FirstViewWait)
	g := &Guard{
		config:  config,
		trust:   &trust{completed: settle},
		auth:    authapi.NewAuthServiceClient(conn),
		streams: newOpenStreams(),
		settled: settled,
		close:   stop,
		stopped: make(chan struct{}),
		toldOf:  map[string]bool{},
	}
	g.judge = &judge{
		accepted:     origin{config.Issuer, config.Audience},
		maxStaleness: config.MaxStaleness,
		maxKeyAge:    config.MaxKeyAge,
		cache:        newSignatureCache(config.CacheSize),
		tokenSeen:    config.Observer.TokenSeen,
		foreignToken: func(from origin) { g.tell(func(o Observer) { o.ForeignToken(from.issuer, from.audience) }) },
	}
	g.asking = newQuestions(running, max(config.MaxStaleness, leastStreamStaleness), g.askForStream)
	watcher := &watcher{
		conn: conn, options: config.callOptions(), trust: g.trust, tell: g.tell, changed: g.streams.wake,
	}
	go func() {
		defer close(g.stopped)
		watcher.run(running)
	}()
	return g, nil
}

// Close ends the watch. What is known then ages, so close the Guard after the server that it guards.
func (g *Guard) Close() {
	g.close()
	<-g.stopped
}

// Check returns an error that names every method of server which is refused to everybody because its rule is missing or
// bad. Call it after the services are registered, and do not serve if it complains.
func (g *Guard) Check(server *grpc.Server) error { return g.config.Policy.Check(server) }

// ViewAge returns how old the knowledge of revocations is. False while there never was a complete view.
func (g *Guard) ViewAge() (time.Duration, bool) {
	known := g.trust.knowledge()
	return known.viewAge, known.view != nil
}

// UnaryServerInterceptor guards unary calls.
func (g *Guard) UnaryServerInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, who, refused := g.admit(ctx, info.FullMethod)
		if refused != nil {
			return nil, refused
		}
		if who != nil {
			current := new(currentCaller)
			current.Store(who)
			ctx = withCaller(ctx, current)
		}
		return handler(ctx, request)
	}
}

// admit judges a call. The returned context carries no forged identity.
func (g *Guard) admit(ctx context.Context, method string) (context.Context, *caller, *refusal) {
	ctx, md := withoutForgedIdentity(ctx)
	if isExempt(method) {
		return ctx, nil, nil
	}
	who, refused := g.judgeCall(ctx, md, method)
	return ctx, who, refused
}

// judgeCall decides about a call of method, and counts the refusal.
func (g *Guard) judgeCall(ctx context.Context, md metadata.MD, method string) (*caller, *refusal) {
	decision := g.decide(ctx, md, method, g.config.Policy.rules[method])
	if decision.refusal != nil {
		g.count(method, decision.refusal, false)
	}
	if decision.observed != nil {
		g.count(method, decision.observed, true)
	}
	return decision.caller, decision.refusal
}

// decide takes whatever goes wrong in here for a refusal.
func (g *Guard) decide(ctx context.Context, md metadata.MD, method string, rule *rule) (decided decision) {
	if rule == nil {
		g.tellOfMethod(method)
	}
	if rule == nil || rule.public {
		return g.judge.decide(rule, md, knowledge{}, nil)
	}
	defer func() {
		if fault := recover(); fault != nil {
			g.report(fmt.Errorf("judging a call of %s: %v", method, fault))
			decided = conclude(rule, nil, unavailable)
		}
	}()
	g.awaitFirstView(ctx)
	inquiry := &inquiry{guard: g, ctx: ctx}
	decided = g.judge.decide(rule, md, g.trust.knowledge(), inquiry.ask)
	if decided.caller != nil {
		decided.caller.vouched = inquiry.vouched
	}
	return decided
}

func (g *Guard) awaitFirstView(ctx context.Context) {
	select {
	case <-g.settled.Done():
	case <-ctx.Done():
	}
}

// count must not change what was decided, whatever the observer does.
func (g *Guard) count(method string, refused *refusal, wouldBe bool) {
	defer func() {
		if fault := recover(); fault != nil {
			g.report(fmt.Errorf("observing a refusal: %v", fault))
		}
	}()
	g.config.Observer.Refused(method, refused.reason, wouldBe)
}

// mostMethodsTold bounds what a server remembers that takes calls of any name.
const mostMethodsTold = 1000

// tellOfMethod tells once of each method why it is refused to everybody.
func (g *Guard) tellOfMethod(method string) {
	g.mu.Lock()
	isNew := !g.toldOf[method] && len(g.toldOf) < mostMethodsTold
	if isNew {
		g.toldOf[method] = true
	}
	g.mu.Unlock()
	if isNew {
		g.report(fmt.Errorf("refused to everybody: %w", g.config.Policy.fault(method)))
	}
}

func (g *Guard) report(err error) { g.tell(func(o Observer) { o.Fault(err) }) }

// tell must not fail: it is called where something already has.
func (g *Guard) tell(what func(Observer)) {
	defer func() { _ = recover() }()
	what(g.config.Observer)
}
