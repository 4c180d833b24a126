package authclient

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

const (
	silenceLimit = 5 * time.Second // a stream without any answer for so long is dead; heartbeats come every second
	// longestWatch is when a stream is opened anew. Two monotonic clocks drift apart by some 70 ms an hour, and the age of
	// the view is counted from the opening.
	longestWatch = time.Hour
	shortestWait = 100 * time.Millisecond
	longestWait  = 2 * time.Second
	// connectLimit is how long a connection may take: through a proxy, to a far site, with TLS on a busy core.
	connectLimit = 20 * time.Second
	// reconnectPatience is how long an attempt waits for a connection that has just failed. One that needs longer is found by a
	// later attempt.
	reconnectPatience = 250 * time.Millisecond
)

var (
	errSilent      = fmt.Errorf("the auth server said nothing for %v", silenceLimit)
	errUnconnected = fmt.Errorf("there is no connection to the auth server after %v", silenceLimit)
)

// watcher keeps trust up to date for as long as the process lives.
type watcher struct {
	conn    *grpc.ClientConn
	options []grpc.CallOption
	trust   *trust
	tell    func(what func(Observer))
	// changed is told about whom something new is known, by ids of sessions and users; nil for everybody.
	changed func(subjects map[string]bool)

	resume *authapi.ResumePoint
	wait   time.Duration
}

func (w *watcher) run(ctx context.Context) {
	for w.wait = shortestWait; ; w.wait = min(2*w.wait, longestWait) {
		err := w.watch(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.tell(func(o Observer) { o.WatchLost(err) })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.wait - rand.N(w.wait/2)):
		}
	}
}

// watch opens one stream and follows it to its end. Without an error it is merely to be opened anew.
func (w *watcher) watch(ctx context.Context) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("internal fault: %v", fault)
		}
	}()
	w.connect(ctx)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(silenceLimit, func() { cancel(errSilent) })
	defer silence.Stop()

	watch := &watch{trust: w.trust, opened: time.Now(), addsToView: w.resume != nil}
	request := &authapi.WatchRevocationsRequest{ResumePoint: w.resume}
	stream, err := authapi.NewTrustServiceClient(w.conn).WatchRevocations(ctx, request, w.options...)
	for err == nil {
		var answer *authapi.WatchRevocationsResponse
		if answer, err = stream.Recv(); err == nil {
			silence.Reset(silenceLimit)
			err = w.follow(watch, answer)
		}
		if err == nil && time.Since(watch.opened) >= longestWatch {
			return nil
		}
	}
	if Reason(err) == "RESUME_POINT_UNKNOWN" {
		w.resume = nil
	}
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

func (w *watcher) follow(watch *watch, answer *authapi.WatchRevocationsResponse) error {
	keysBefore := w.trust.keys
	badKeys, err := watch.apply(answer)
	if badKeys != nil {
		w.tell(func(o Observer) { o.Fault(badKeys) })
	}
	if w.trust.keys != keysBefore || answer.GetPart() == authapi.WatchPart_WATCH_PART_SNAPSHOT_END {
		w.changed(nil)
	} else if answer.GetPart() == authapi.WatchPart_WATCH_PART_DELTA {
		w.changed(subjectsOf(answer.GetRevocations())) // also after a wrong count: those that came are rules all the same
	}
	if err != nil {
		w.resume = nil // only a snapshot can mend what is wrong here
		return err
	}
	if answer.GetPart() != authapi.WatchPart_WATCH_PART_SNAPSHOT {
		w.resume, w.wait = answer.GetResumePoint(), shortestWait
		if !watch.completed {
			watch.completed = true
			w.tell(Observer.WatchOpened)
		}
	}
	return nil
}

func subjectsOf(rules []*authapi.Revocation) map[string]bool {
	subjects := make(map[string]bool, len(rules))
	for _, rule := range rules {
		subjects[subjectOf(rule)] = true
	}
	return subjects
}

// connect waits for the connection, so that the time it takes does not count as age of the view, and so that the waits
// between attempts are ours and not gRPC's, which grow to two minutes. If it comes to nothing, opening the stream says why.
func (w *watcher) connect(ctx context.Context) {
	w.conn.ResetConnectBackoff()
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	slow := time.AfterFunc(silenceLimit, func() { w.tell(func(o Observer) { o.WatchLost(errUnconnected) }) })
	defer slow.Stop()
	for {
		state, patience := w.conn.GetState(), connectLimit
		switch state {
		case connectivity.Ready, connectivity.Shutdown:
			return
		case connectivity.Idle:
			w.conn.Connect()
		case connectivity.TransientFailure:
			patience = reconnectPatience
		}
		bounded, cancel := context.WithTimeout(ctx, patience)
		changed := w.conn.WaitForStateChange(bounded, state)
		cancel()
		if !changed {
			return
		}
	}
}
