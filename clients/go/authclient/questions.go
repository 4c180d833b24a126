package authclient

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	askedAtOnce = 8
	// askingLimit is how long a stream may go on for want of an answer, once too little is known about its token.
	askingLimit = 5 * time.Second
)

// questions asks Verify on behalf of all open streams: once about each token, and about few at a time.
type questions struct {
	open  context.Context // done when nothing is to be asked any more
	ask   func(ctx context.Context, token string) (*Identity, *refusal)
	keep  time.Duration // how long a good answer may serve other streams of the same token
	slots chan struct{}

	mu      sync.Mutex
	byToken map[string]*question
	swept   time.Time
}

// question is one question about one token. What follows done is written before that is closed.
type question struct {
	asked    time.Time // just before Verify was asked; zero while it was not. Guarded by the mutex of questions.
	done     chan struct{}
	identity *Identity
	refused  *refusal
}

func newQuestions(
	open context.Context, keep time.Duration, ask func(ctx context.Context, token string) (*Identity, *refusal),
) *questions {
	return &questions{open: open, keep: keep, ask: ask, slots: make(chan struct{}, askedAtOnce), byToken: map[string]*question{}}
}

// about returns a question about a token that was asked after the newest news about it, and no longer ago than limit.
func (q *questions) about(token string, news time.Time, limit time.Duration) *question {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if known := q.byToken[token]; known != nil && (known.asked.IsZero() || !known.asked.Before(news) && q.serves(known, now, limit)) {
		return known
	}
	q.sweep(now)
	asking := &question{done: make(chan struct{})}
	q.byToken[token] = asking
	go q.settle(token, asking)
	return asking
}

func (q *questions) serves(known *question, now time.Time, limit time.Duration) bool {
	select {
	case <-known.done:
		if known.refused == unavailable {
			limit = retryDelay
		}
		return now.Sub(known.asked) <= min(limit, q.keep)
	default:
		return true
	}
}

// sweep forgets what serves nobody any more.
func (q *questions) sweep(now time.Time) {
	if now.Sub(q.swept) < retryDelay {
		return
	}
	q.swept = now
	for token, known := range q.byToken {
		if !known.asked.IsZero() && !q.serves(known, now, q.keep) {
			delete(q.byToken, token)
		}
	}
}

// settle finds the answer to a question. Whatever goes wrong says nothing about the token.
func (q *questions) settle(token string, asking *question) {
	ctx, cancel := context.WithTimeout(q.open, askingLimit)
	defer cancel()
	identity, refused := (*Identity)(nil), unavailable
	select {
	case q.slots <- struct{}{}:
		q.begin(asking)
		identity, refused = q.ask(ctx, token)
		<-q.slots
	case <-ctx.Done():
		q.begin(asking)
	}
	asking.identity, asking.refused = identity, refused
	close(asking.done)
}

func (q *questions) begin(asking *question) {
	q.mu.Lock()
	defer q.mu.Unlock()
	asking.asked = time.Now()
}

// askForStream asks Verify on behalf of an open stream. It returns what a panic on the way means, too.
func (g *Guard) askForStream(ctx context.Context, token string) (identity *Identity, refused *refusal) {
	defer func() {
		if fault := recover(); fault != nil {
			g.report(fmt.Errorf("asking about a stream: %v", fault))
			identity, refused = nil, unavailable
		}
	}()
	return (&inquiry{guard: g, ctx: ctx}).ask(token)
}
