package authclient

import (
	"log/slog"
	"sync"
	"time"
)

// Observer counts what a Guard does. Its methods are called from many goroutines at once, and calls wait for them.
type Observer interface {
	// Refused is called for each refusal. wouldBe: the rule says `observe`, and the call or stream went on.
	Refused(fullMethod, reason string, wouldBe bool)
	// TokenSeen is called for each token whose signature and claims are good. cached: they were known to be.
	TokenSeen(cached bool)
	// ForeignToken is called for each token that is refused because its issuer or audience is not the configured one. What it
	// says is signed, unless the guard has no key to tell: where tokens are signed with a shared secret, or keys are too old.
	ForeignToken(issuer, audience string)
	// WatchLost is called each time that the watch on revocations ends or cannot be opened. Another attempt follows.
	WatchLost(err error)
	// WatchOpened is called when the watch is open and has brought what was missing. Also where it is opened anew as a
	// matter of routine.
	WatchOpened()
	// Fault is called for what else an operator should know: a refused key set, a method that everybody is refused (once each,
	// with the reason), a panic inside the guard.
	Fault(err error)
}

// slogObserver is the one of a Guard that is given none: it tells slog what an operator should know.
type slogObserver struct {
	accepted    origin
	server      string // the target of the connection
	foreignOnce sync.Once

	mu     sync.Mutex
	toldAt time.Time // when it last told that the watch is lost; zero: it is not
}

// tellingPause is how long an outage goes on before it is told of again.
const tellingPause = time.Minute

func (*slogObserver) Refused(string, string, bool) {}
func (*slogObserver) TokenSeen(bool)               {}

func (o *slogObserver) ForeignToken(issuer, audience string) {
	o.foreignOnce.Do(func() {
		slog.Warn("authclient: tokens are refused, because they are of another issuer or for another audience",
			"issuer", issuer, "audience", audience,
			"accepted_issuer", o.accepted.issuer, "accepted_audience", o.accepted.audience)
	})
}

func (o *slogObserver) WatchLost(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.toldAt.IsZero() && time.Since(o.toldAt) < tellingPause {
		return
	}
	o.toldAt = time.Now()
	slog.Warn("authclient: the authentication service does not say what is revoked. Calls are judged by what is known "+
		"for as long as their rules allow; it is tried again until it does",
		"server", o.server, "cause", diagnosis(err), "error", err)
}

func (o *slogObserver) WatchOpened() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.toldAt.IsZero() {
		slog.Info("authclient: the authentication service says again what is revoked", "server", o.server)
	}
	o.toldAt = time.Time{}
}

func (*slogObserver) Fault(err error) { slog.Warn("authclient", "fault", err) }
