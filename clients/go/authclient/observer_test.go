package authclient

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// logged is what slog was told, one line for each record.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *logged) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(strings.Lines(l.text.String()))
}

func (l *logged) mustSay(t *testing.T, beginnings ...string) {
	t.Helper()
	lines := l.lines()
	isSaid := slices.EqualFunc(lines, beginnings, strings.HasPrefix)
	if !isSaid {
		t.Errorf("slog was told:\n%swant:\n%s", strings.Join(lines, ""), strings.Join(beginnings, "\n"))
	}
}

// unobserved is a world in fake time whose guard has the observer that it gets if it is given none. The test that calls it
// runs alone, because slog is everybody's.
func unobserved(t *testing.T, claim func(w *world, said *logged)) {
	said, before := &logged{}, slog.Default()
	withoutTime := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return attr
	}
	flags := log.Flags()
	slog.SetDefault(slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{ReplaceAttr: withoutTime})))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dialPipe)
		w.config.Observer = nil
		claim(w, said)
	})
}

const (
	saidLost   = `level=WARN msg="authclient: the authentication service does not say what is revoked. `
	saidOpened = `level=INFO msg="authclient: the authentication service says again what is revoked" server=passthrough:`
)

func TestWithoutAFaultNothingIsSaid(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		_, watch := w.started()
		_, err := w.call("Buy", w.auth.token())
		w.mustPass(err)
		_, err = w.call("Buy", "nonsense")
		w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
		watch.beat(0, 60*60-1)
		time.Sleep(time.Second)
		watch.send(delta())
		w.mustReopenSoon().send(snapshotEnd())
		synctest.Wait()
		said.mustSay(w.T)
	})
}

func TestAnAuthServerThatCannotBeReachedIsToldOfOnceAMinuteAndItsReturnOnce(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		listener := bufconn.Listen(1 << 16)
		isUp := false
		w.startWith(connect(w.T, "passthrough:pipe", func(ctx context.Context, _ string) (net.Conn, error) {
			if !isUp {
				return nil, errors.New("nobody listens")
			}
			return listener.DialContext(ctx)
		}))
		time.Sleep(3*time.Minute + 30*time.Second)
		synctest.Wait()
		said.mustSay(w.T, saidLost, saidLost, saidLost, saidLost)
		if line := said.lines()[0]; !strings.Contains(line, "nobody listens") || !strings.Contains(line, "server=passthrough:pipe") {
			w.Errorf("it does not say why, or of whom: %s", line)
		}
		isUp = true
		serve(w.T, w.auth.grpcServer(), listener)
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
		synctest.Wait()
		said.mustSay(w.T, saidLost, saidLost, saidLost, saidLost, saidOpened)
	})
}

func TestEachOutageIsToldOfOnce(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		_, watch := w.started()
		lost := status.Error(codes.Unavailable, "gone")
		for range 2 {
			watch.end <- lost
			for range 3 {
				w.auth.nextWatch().end <- lost
			}
			watch = w.auth.nextWatch()
			watch.send(snapshotPart())
			watch.send(snapshotEnd().counting(0))
			watch.beat(0, 2)
		}
		synctest.Wait()
		said.mustSay(w.T, saidLost, saidOpened, saidLost, saidOpened)
	})
}

func TestATokenForSomebodyElseIsToldOfOnceWithBothSidesAndWithoutTheToken(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		w.started()
		for _, change := range []map[string]any{{"aud": "billing"}, {"aud": "billing"}, {"iss": "another"}} {
			_, err := w.call("Buy", w.auth.token(change))
			w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
		}
		said.mustSay(w.T, `level=WARN msg="authclient: tokens are refused, because they are of another issuer or for another audience" `+
			"issuer=authservice audience=billing accepted_issuer=authservice accepted_audience=internal\n")
	})
}

func TestATokenOfAWrongSignatureIsNotToldOfWhateverItSays(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		w.started()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			w.Fatal(err)
		}
		w.auth.key = key
		_, err = w.call("Buy", w.auth.token(map[string]any{"aud": "billing"}))
		w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
		said.mustSay(w.T)
	})
}

func TestABadKeySetIsToldOf(t *testing.T) {
	unobserved(t, func(w *world, said *logged) {
		_, watch := w.started()
		bad := w.auth.keySet()
		bad.Keys = append(bad.Keys, bad.Keys[0])
		watch.send(delta().with(bad))
		synctest.Wait()
		said.mustSay(w.T, `level=WARN msg=authclient fault="key set: two keys`)
	})
}

func TestAnObserverIsToldOfEachAttemptAndEachToken(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		for range 2 {
			w.auth.nextWatch().end <- status.Error(codes.Unavailable, "gone")
		}
		watch := w.auth.nextWatch()
		watch.send(snapshotPart().with(w.auth.keySet()))
		synctest.Wait()
		if w.seen.count("opened") != 0 {
			w.Error("a part of a snapshot counts as complete")
		}
		watch.send(snapshotEnd())
		watch.beat(0, 2)
		for range 2 {
			_, err := w.call("Buy", w.auth.token(map[string]any{"aud": "billing"}))
			w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
		}
		lost, opened, foreign := w.seen.faults(), w.seen.count("opened"), w.seen.count("foreign: authservice billing")
		if lost != 2 || opened != 1 || foreign != 2 {
			w.Errorf("%d lost, %d opened, %d foreign: %v", lost, opened, foreign, w.seen.events)
		}
	})
}
