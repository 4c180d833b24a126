package authclient

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// streamEntry is the metadata entry by which a caller names a stream in order to renew it later.
	streamEntry = "authclient-stream"
	// leastStreamStaleness is what a shorter max_staleness counts as: an open stream would otherwise ask Verify without end.
	leastStreamStaleness = 2 * time.Second
)

var streamName = regexp.MustCompile(`^[A-Za-z0-9_-]{22,64}$`)

// StreamServerInterceptor guards streams of all kinds, when they open and as long as they live.
//
// A stream that is refused later gets its context cancelled, and its handler's Recv and Send return the refusal. The client
// sees the refusal when the handler returns.
func (g *Guard) StreamServerInterceptor() grpc.StreamServerInterceptor {
	return func(server any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		news := g.streams.news()
		ctx, who, refused := g.admit(ss.Context(), info.FullMethod)
		if refused != nil {
			return refused
		}
		if who == nil {
			return handler(server, &anonymousStream{ss, ctx})
		}
		stream := newGuardedStream(ctx, ss, info.FullMethod, g.config.Policy.rules[info.FullMethod], who)
		g.begin(stream, news)
		defer g.streams.remove(stream)
		if refused := stream.refusal(); refused != nil {
			return refused
		}
		err := handler(server, stream)
		if refused := stream.refusal(); refused != nil {
			return refused
		}
		return err
	}
}

// anonymousStream belongs to a caller whom no token says anything about, so nothing can end it.
type anonymousStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *anonymousStream) Context() context.Context { return s.ctx }

// guardedStream lives as long as its caller's token counts.
type guardedStream struct {
	grpc.ServerStream
	ctx    context.Context
	end    context.CancelCauseFunc
	method string
	rule   *rule
	who    currentCaller
	name   namedBy       // zero: it cannot be renewed
	wake   chan struct{} // holds one wish to judge again
	// newest is when there was news about its token. Only a later question to Verify says anything.
	newest atomic.Pointer[time.Time]
	// doubted is since when Verify is asked without an answer that vouches for its token. Of the one goroutine that judges.
	doubted time.Time
}

// namedBy is a name and the user who chose it, so that nobody can take away a name of somebody else.
type namedBy struct{ userID, name string }

func newGuardedStream(ctx context.Context, ss grpc.ServerStream, method string, rule *rule, who *caller) *guardedStream {
	s := &guardedStream{ServerStream: ss, method: method, rule: rule, wake: make(chan struct{}, 1)}
	s.newest.Store(&time.Time{})
	s.who.Store(who)
	s.ctx, s.end = context.WithCancelCause(withCaller(ctx, &s.who))
	// Handlers do not see this entry, so it is not in ctx.
	if names := metadata.ValueFromIncomingContext(ss.Context(), streamEntry); len(names) == 1 && streamName.MatchString(names[0]) {
		s.name = namedBy{who.identity.UserID, names[0]}
	}
	return s
}

func (s *guardedStream) Context() context.Context { return s.ctx }

// refusal returns why the stream was ended, or nil.
func (s *guardedStream) refusal() *refusal {
	var refused *refusal
	errors.As(context.Cause(s.ctx), &refused)
	return refused
}

// RecvMsg receives in a goroutine of its own, because nothing else wakes it up when the stream is to end. That goroutine
// ends with the call; the message that it may still write to is one that the handler was told it did not get.
func (s *guardedStream) RecvMsg(message any) error {
	if refused := s.refusal(); refused != nil {
		return refused
	}
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(message) }()
	select {
	case err := <-received:
		if refused := s.refusal(); refused != nil {
			return refused
		}
		return err
	case <-s.ctx.Done():
		if refused := s.refusal(); refused != nil {
			return refused
		}
		return <-received // the client has gone, or the deadline has passed
	}
}

func (s *guardedStream) SendMsg(message any) error {
	if refused := s.refusal(); refused != nil {
		return refused
	}
	return s.ServerStream.SendMsg(message)
}

// begin takes a stream among those that are judged as long as they live. It is judged at once, by what became known since its
// call was.
func (g *Guard) begin(s *guardedStream, newsWhenJudged int) {
	hasNews := g.streams.add(s, newsWhenJudged)
	// Without news there is nothing that Verify could know now and did not know when the call was judged.
	if !g.isOver(s, hasNews) {
		go g.keepJudging(s)
	}
}

// keepJudging judges a stream again whenever its token may have ceased to count: steps 3 to 6.
func (g *Guard) keepJudging(s *guardedStream) {
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-time.After(g.untilNextJudgement(s, s.who.Load())):
		}
		if g.isOver(s, true) {
			return
		}
	}
}

var (
	// Neither of the two is a refusal.
	notAsked    = &refusal{reason: "Verify was not asked"}
	interrupted = &refusal{reason: "there is news to judge by"}
)

// isOver judges a stream, and tells whether it is never to be judged again.
func (g *Guard) isOver(s *guardedStream, asks bool) bool {
	for {
		who := s.who.Load()
		next, refused := g.judgeAgain(s, who, asks)
		if refused == notAsked {
			return false
		}
		// If it was renewed meanwhile, the fresh token is the one that counts.
		if refused == interrupted || !s.who.CompareAndSwap(who, next) {
			continue
		}
		s.doubted = time.Time{}
		switch {
		case refused == nil:
			return false
		case s.ctx.Err() != nil: // the caller has gone
			return true
		case !s.rule.observe:
			s.end(refused)
		}
		g.count(s.method, refused, s.rule.observe)
		return true
	}
}

// untilNextJudgement is how long the token surely counts, as far as is known now.
func (g *Guard) untilNextJudgement(s *guardedStream, who *caller) time.Duration {
	known := g.trust.knowledge()
	untilExpiry := who.identity.ExpireTime.Add(leeway).Sub(known.now)
	age := time.Since(who.vouched)
	if who.claims != nil && known.view != nil {
		age = min(age, known.viewAge)
	}
	// A millisecond more, because a view that is exactly as old as it may be is still good.
	return max(min(untilExpiry, g.streamStaleness(s.rule)-age), 0) + time.Millisecond
}

func (g *Guard) streamStaleness(rule *rule) time.Duration {
	return max(g.judge.staleness(rule), leastStreamStaleness)
}

// judgeAgain returns what is known of the caller from now on, or why the stream ends.
func (g *Guard) judgeAgain(s *guardedStream, who *caller, asks bool) (next *caller, refused *refusal) {
	defer func() {
		if fault := recover(); fault != nil {
			g.report(fmt.Errorf("judging a stream of %s: %v", s.method, fault))
			next, refused = who, unavailable
		}
	}()
	known := g.trust.knowledge()
	if who.claims == nil && hasExpired(who.identity.ExpireTime, known.now) {
		return who, tokenExpired // Verify, by its own clock, might not say so yet
	}
	inquiry := &streamInquiry{guard: g, stream: s, asks: asks, vouched: who.vouched}
	if next, refused = g.judge.identifyToken(who.token, g.streamStaleness(s.rule), known, inquiry.ask, !s.rule.judgesWhatChanges()); refused != nil {
		return who, refused
	}
	next.vouched = inquiry.vouched
	return next, nil
}

// streamInquiry asks Verify on behalf of one stream, together with others of the same token.
type streamInquiry struct {
	guard   *Guard
	stream  *guardedStream
	asks    bool
	vouched time.Time // just before the question that was answered with an identity
}

func (i *streamInquiry) ask(token string) (*Identity, *refusal) {
	s := i.stream
	if !i.asks {
		return nil, notAsked
	}
	if s.doubted.IsZero() {
		s.doubted = time.Now()
	}
	question := i.guard.asking.about(token, *s.newest.Load(), i.guard.streamStaleness(s.rule))
	select {
	case <-question.done:
		return i.answered(question)
	case <-s.wake:
		return nil, interrupted
	case <-time.After(askingLimit - time.Since(s.doubted)):
	case <-s.ctx.Done():
	}
	return nil, unavailable
}

// answered gives each stream lists of its own, as a handler may change them.
func (i *streamInquiry) answered(question *question) (*Identity, *refusal) {
	known := question.identity
	switch {
	case question.refused == tokenOutdated && !i.stream.rule.judgesWhatChanges():
		known = &i.stream.who.Load().identity // Verify says so only where the session is alive
	case question.refused != nil:
		return nil, question.refused
	}
	i.vouched = question.asked
	identity := *known
	identity.Roles, identity.AuthMethods = slices.Clone(identity.Roles), slices.Clone(identity.AuthMethods)
	return &identity, nil
}

// openStreams are the guarded streams of a process.
type openStreams struct {
	mu    sync.Mutex
	all   map[*guardedStream]bool
	named map[namedBy]*guardedStream
	woken int
}

func newOpenStreams() *openStreams {
	return &openStreams{all: map[*guardedStream]bool{}, named: map[namedBy]*guardedStream{}}
}

// news counts what has become known.
func (o *openStreams) news() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.woken
}

// add tells whether there was news since the stream was judged.
func (o *openStreams) add(s *guardedStream, newsWhenJudged int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[s] = true
	if s.name != (namedBy{}) {
		o.named[s.name] = s
	}
	if o.woken == newsWhenJudged {
		return false
	}
	s.heardNews()
	return true
}

func (o *openStreams) remove(s *guardedStream) {
	s.end(nil)
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, s)
	if o.named[s.name] == s {
		delete(o.named, s.name)
	}
}

// find returns the stream that a user has given a name, unless it has ended.
func (o *openStreams) find(name namedBy) *guardedStream {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.named[name]; s != nil && s.ctx.Err() == nil {
		return s
	}
	return nil
}

// wake has the streams of the given sessions and users judged again; nil stands for all of them.
func (o *openStreams) wake(subjects map[string]bool) {
	if subjects != nil && len(subjects) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.woken++
	for s := range o.all {
		identity := s.who.Load().identity
		if subjects == nil || subjects[identity.SessionID] || subjects[identity.UserID] {
			s.judgeSoon()
		}
	}
}

func (s *guardedStream) heardNews() {
	now := time.Now()
	s.newest.Store(&now)
}

func (s *guardedStream) judgeSoon() {
	s.heardNews()
	select {
	case s.wake <- struct{}{}:
	default: // it is about to be judged anyway
	}
}

// StreamService answers StreamService.RenewStream. Register it on the guarded server:
//
//	authapiv1.RegisterStreamServiceServer(server, guard.StreamService())
func (g *Guard) StreamService() authapi.StreamServiceServer { return &streamService{guard: g} }

type streamService struct {
	authapi.UnimplementedStreamServiceServer
	guard *Guard
}

func (s *streamService) RenewStream(ctx context.Context, request *authapi.RenewStreamRequest) (*authapi.RenewStreamResponse, error) {
	who := callerFromContext(ctx)
	if who == nil {
		return nil, methodWithoutRule // the interceptor is missing
	}
	name := namedBy{who.identity.UserID, request.GetStreamId()}
	stream := s.guard.streams.find(name)
	if stream == nil {
		return nil, streamUnknown
	}
	md, _ := metadata.FromIncomingContext(ctx)
	admitted, refused := s.guard.judgeCall(ctx, md, stream.method)
	if refused != nil {
		return nil, refused
	}
	if s.guard.streams.find(name) != stream { // it has ended meanwhile
		return nil, streamUnknown
	}
	if admitted != nil { // nil: the rule says `observe` and the token did not count
		who = admitted
	}
	stream.who.Store(who)
	stream.judgeSoon()
	return &authapi.RenewStreamResponse{ExpireTime: timestamppb.New(who.identity.ExpireTime)}, nil
}
