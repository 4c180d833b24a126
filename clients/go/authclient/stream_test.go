package authclient

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// openCall is a stream of the shop, as the client sees it.
type openCall struct {
	w      *world
	stream grpc.ClientStream
}

func (w *world) open(method, token string, more ...string) *openCall {
	w.Helper()
	ctx, cancel := context.WithCancel(withToken(context.Background(), token, more...))
	w.Cleanup(cancel)
	description := &grpc.StreamDesc{}
	for _, m := range shop {
		if m.name == method {
			description.ClientStreams, description.ServerStreams = m.clientStreams, m.streams
		}
	}
	stream, err := w.client.NewStream(ctx, description, "/test.v1.Shop/"+method)
	if err != nil {
		w.Fatal(err)
	}
	if !description.ClientStreams {
		w.mustPass(stream.SendMsg(text("")))
		w.mustPass(stream.CloseSend())
	}
	return &openCall{w, stream}
}

func (c *openCall) receive() (string, codes.Code, error) {
	message := text("")
	err := c.stream.RecvMsg(message)
	return message.GetValue(), status.Code(err), err
}

func (c *openCall) mustReceive(want string) {
	c.w.Helper()
	if got, _, err := c.receive(); got != want || err != nil {
		c.w.Errorf("received %q, %v; want %q", got, err, want)
	}
}

func (c *openCall) mustEndWell() {
	c.w.Helper()
	if _, _, err := c.receive(); !errors.Is(err, io.EOF) {
		c.w.Errorf("ended with %v", err)
	}
}

func (c *openCall) mustEndAtOnceWith(code codes.Code, reason string) {
	c.w.Helper()
	if waited := c.mustEndWith(code, reason); waited > 100*time.Millisecond {
		c.w.Errorf("it lived for another %v", waited)
	}
}

// mustEndWith also says when, after what the stream has yet to bring.
func (c *openCall) mustEndWith(code codes.Code, reason string) time.Duration {
	c.w.Helper()
	begin := time.Now()
	for {
		if _, _, err := c.receive(); err != nil {
			c.w.mustRefuse(code, reason, err)
			return time.Since(begin)
		}
	}
}

func text(value string) *wrapperspb.StringValue { return wrapperspb.String(value) }

// Three ways in which a handler may be blocked when its stream is to end. Each first says who is calling.
func greetAndReceive(stream grpc.ServerStream) error {
	greet(stream)
	for {
		if err := stream.RecvMsg(text("")); err != nil {
			return err
		}
	}
}

func greetAndWait(stream grpc.ServerStream) error {
	if err := stream.RecvMsg(text("")); err != nil {
		return err
	}
	greet(stream)
	<-stream.Context().Done()
	return stream.Context().Err()
}

func receiveOnly(stream grpc.ServerStream) error {
	for {
		if err := stream.RecvMsg(text("")); err != nil {
			return err
		}
	}
}

func greet(stream grpc.ServerStream) { _ = stream.SendMsg(text(nameOfCaller(stream.Context()))) }

func TestStreamsOfAllKindsEndWhenTheirSessionDoes(t *testing.T) {
	for _, kind := range []struct {
		method  string
		handler func(grpc.ServerStream) error
		greets  bool
	}{
		{"Up", receiveOnly, false},
		{"Down", greetAndWait, true},
		{"Both", greetAndReceive, true},
	} {
		t.Run(kind.method, func(t *testing.T) {
			overTCP(t, func(w *world) {
				_, watch := w.started()
				w.service.stream = kind.handler
				call := w.open(kind.method, w.auth.token())
				other := w.open(kind.method, w.auth.token(map[string]any{"sid": laterHers}))
				w.eventually("both are open", func() bool { return w.openStreams() == 2 })
				if kind.greets {
					call.mustReceive("ada")
					other.mustReceive("ada")
				}
				watch.send(delta(ended(1, session)).counting(1))
				call.mustEndWith(codes.Unauthenticated, "SESSION_ENDED")
				if other.stream.Context().Err() != nil {
					t.Error("the other session's stream ended, too")
				}
			})
		})
	}
}

func TestAUnaryCallThatIsRunningIsNotCutOff(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.unary = func(ctx context.Context) {
			watch.send(delta(ended(1, session)).counting(1))
			synctest.Wait()
			if ctx.Err() != nil {
				w.Error("it was cut off")
			}
		}
		_, err := w.call("Buy", w.auth.token())
		w.mustPass(err)
	})
}

func TestAStreamEndsWhenItsTokenExpires(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token(map[string]any{"exp": time.Now().Unix() + 904}))
		go watch.keepBeating()
		if lived := call.mustEndWith(codes.Unauthenticated, "TOKEN_EXPIRED"); lived.Round(100*time.Millisecond) != 934*time.Second {
			w.Errorf("it lived %v", lived)
		}
	})
}

func TestAStreamEndsWhenItsTokenIsOutdated(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("SupportBoth", w.auth.token(map[string]any{"roles": []string{"support"}}))
		proved := w.open("ProvedBoth", w.auth.token(map[string]any{"amr": []string{"pwd", "otp", "mfa"}}))
		for _, each := range []*openCall{call, proved} {
			each.mustReceive("ada")
		}
		watch.send(delta(outdated(1, ada, 1)).counting(1))
		for _, each := range []*openCall{call, proved} {
			each.mustEndAtOnceWith(codes.Unauthenticated, "TOKEN_OUTDATED")
		}
	})
}

func TestAStreamWhoseRuleAsksForNeitherRoleNorMfaOutlivesAChangeOfRoles(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(nil, refusalOfVerify("TOKEN_OUTDATED"))
		token := w.auth.token()
		call := w.open("Both", token)
		call.mustReceive("ada")
		watch.send(delta(outdated(1, ada, 1)).counting(1))
		time.Sleep(time.Second)
		_, err := w.call("Buy", token)
		w.mustRefuse(codes.Unauthenticated, "TOKEN_OUTDATED", err)
		// The view gets too old, Verify says the same, and the session is alive all the same.
		w.auth.nextWatch()
		again := w.auth.nextWatch()
		time.Sleep(time.Second)
		if w.auth.asked.Load() == 0 {
			w.Error("nobody was asked")
		}
		again.send(snapshotEnd(outdated(1, ada, 1), ended(2, session)).counting(2).with(w.auth.keySet()))
		call.mustEndAtOnceWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestAStreamEndsAtOnceWhenItsKeyIsRemoved(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		watch.send(delta().with(w.auth.otherKeySet()))
		call.mustEndAtOnceWith(codes.Unauthenticated, "TOKEN_INVALID")
	})
}

func TestAStreamGoesOnWhenTheKeySetChangesAndKeepsItsKey(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		both := w.auth.keySet()
		both.Keys = append(both.Keys, w.auth.otherKeySet().Keys...)
		watch.send(delta().with(both))
		synctest.Wait()
		if call.stream.Context().Err() != nil || w.openStreams() != 1 {
			w.Error("it has ended")
		}
	})
}

func TestAKeySetThatComesAgainAsksNothingAboutStreams(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		watch := w.auth.nextWatch()
		watch.send(snapshotEnd().with(&authapi.KeySet{IsSharedSecret: true}))
		synctest.Wait()
		w.open("Both", w.auth.token()).mustReceive("by verify")
		for range 5 {
			watch.send(delta().with(&authapi.KeySet{IsSharedSecret: true}))
			synctest.Wait()
		}
		if asked := w.auth.asked.Load(); asked != 1 {
			w.Errorf("Verify was asked %d times", asked)
		}
	})
}

func TestAStreamEndsByARuleThatComesWithAWrongCount(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		watch.send(delta(ended(1, session)).counting(2))
		call.mustEndAtOnceWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestAStreamEndsWhenASnapshotSaysThatItsSessionHas(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		watch.end <- status.Error(codes.Unavailable, "gone")
		w.auth.nextWatch().send(snapshotEnd(ended(1, session)))
		call.mustEndAtOnceWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestAStreamThatIsJudgedWhileTheNewsArriveDoesNotReachItsHandler(t *testing.T) {
	for reason, news := range map[string]func(*world) *answer{
		"SESSION_ENDED": func(*world) *answer { return delta(ended(1, session)) },
		"TOKEN_INVALID": func(w *world) *answer { return delta().with(w.auth.otherKeySet()) },
	} {
		t.Run(reason, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				_, watch := w.started()
				w.service.stream = func(grpc.ServerStream) error { w.Error("its handler ran"); return nil }
				w.whileVerifyIsAsked(func() { watch.send(news(w)) })
				w.open("CarefulBoth", w.auth.token()).mustEndAtOnceWith(codes.Unauthenticated, reason)
			})
		})
	}
}

func TestAStreamEndsWhenTheViewIsTooOldAndVerifyDoesNotAnswer(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		if lived := call.mustEndWith(codes.Unavailable, "VERIFICATION_UNAVAILABLE"); lived.Round(time.Second) != 10*time.Second {
			w.Errorf("it lived %v", lived)
		}
	})
}

func TestAStreamInAnOldViewLivesAsLongAsVerifySaysSo(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		time.Sleep(61 * time.Second)
		if asked := w.auth.asked.Load(); asked != 6 {
			w.Errorf("asked %d times in a minute", asked)
		}
		w.auth.verifyAnswers(nil, refusalOfVerify("SESSION_ENDED"))
		if lived := call.mustEndWith(codes.Unauthenticated, "SESSION_ENDED"); lived > 10*time.Second {
			w.Errorf("it lived for another %v", lived)
		}
	})
}

func TestAStreamAsksNobodyWhileTheViewIsYoungerThanTwoSeconds(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		call := w.open("CarefulBoth", w.auth.token())
		call.mustReceive("ada")
		watch.beat(0, 60)
		if asked := w.auth.asked.Load(); asked != 1 {
			w.Errorf("asked %d times", asked)
		}
	})
}

func TestAStreamIsLeftAloneWhileNothingCanHaveChanged(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		w.open("Both", w.auth.token()).mustReceive("ada")
		watch.beat(0, 5)
		for stream := range w.guard.streams.all {
			if wait := w.guard.untilNextJudgement(stream, stream.who.Load()); wait < 9*time.Second {
				w.Errorf("it is judged again after %v", wait)
			}
		}
	})
}

func TestAStreamThatVerifyAdmittedIsJudgedByTheFirstView(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		call := w.open("SupportBoth", w.auth.token(map[string]any{"gen": 1, "roles": []string{"support"}}))
		call.mustReceive("by verify")
		time.Sleep(time.Second)
		if asked := w.auth.asked.Load(); asked != 1 {
			w.Errorf("Verify was asked %d times", asked)
		}
		w.auth.nextWatch() // it has been silent for too long
		watch := w.auth.nextWatch()
		watch.send(snapshotEnd().with(w.auth.keySet()))
		asked := w.auth.asked.Load()
		watch.beat(0, 60)
		if now := w.auth.asked.Load(); now != asked {
			w.Errorf("Verify was asked another %d times", now-asked)
		}
		watch.send(delta(outdated(1, ada, 2)).counting(1))
		call.mustEndAtOnceWith(codes.Unauthenticated, "TOKEN_OUTDATED")
	})
}

func TestAPanicInsideTheGuardEndsTheStream(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.Observer = brokenObserver{} // it panics when the token is first judged here
		w.start()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		call := w.open("Both", w.auth.token())
		call.mustReceive("by verify")
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
		call.mustEndAtOnceWith(codes.Unavailable, "VERIFICATION_UNAVAILABLE")
	})
}

func TestAStreamThatOnlyVerifyCanJudgeEndsByTheViewAndByItsTime(t *testing.T) {
	for name, end := range map[string]struct {
		news   func(w *world, watch *openWatch)
		reason string
	}{
		"its session has ended": {func(w *world, watch *openWatch) {
			w.auth.verifyAnswers(nil, refusalOfVerify("SESSION_ENDED"))
			watch.send(delta(ended(1, session)).counting(1))
		}, "SESSION_ENDED"},
		"it has expired": {func(_ *world, watch *openWatch) { go watch.keepBeating() }, "TOKEN_EXPIRED"},
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.start()
				w.service.stream = greetAndReceive
				w.auth.verifyAnswers(identityOf(ada), nil)
				watch := w.auth.nextWatch()
				watch.send(snapshotEnd().with(&authapi.KeySet{IsSharedSecret: true}))
				synctest.Wait()
				call := w.open("Both", w.auth.token())
				call.mustReceive("by verify")
				end.news(w, watch)
				call.mustEndWith(codes.Unauthenticated, end.reason)
			})
		})
	}
}

func TestAStreamUnderARuleThatObservesGoesOnAndIsCountedOnce(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = func(stream grpc.ServerStream) error {
			for stream.RecvMsg(text("")) == nil {
				greet(stream)
			}
			return nil
		}
		call := w.open("ObservedBoth", w.auth.token())
		synctest.Wait()
		watch.send(delta(ended(1, session)).counting(1))
		watch.beat(1, 100)
		w.mustPass(call.stream.SendMsg(text("")))
		call.mustReceive("ada")
		if n := w.seen.count("/test.v1.Shop/ObservedBoth SESSION_ENDED true"); n != 1 {
			w.Errorf("counted %d times: %v", n, w.seen.events)
		}
	})
}

func TestNothingPassesThroughAStreamThatHasEnded(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = func(stream grpc.ServerStream) error {
			<-stream.Context().Done()
			w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", stream.SendMsg(text("secret")))
			w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", stream.RecvMsg(text("")))
			return nil
		}
		call := w.open("Both", w.auth.token())
		w.mustPass(call.stream.SendMsg(text("order")))
		synctest.Wait()
		watch.send(delta(ended(1, session)).counting(1))
		_, _, err := call.receive()
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
	})
}

func TestAPublicStreamBelongsToNobodyAndDoesNotEnd(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.open("LookBoth", w.auth.token())
		call.mustReceive("nobody")
		watch.send(delta(ended(1, session)).counting(1))
		watch.beat(1, 10)
		w.mustPass(call.stream.CloseSend())
		if _, _, err := call.receive(); Reason(err) != "" {
			w.Errorf("it was ended: %v", err)
		}
	})
}

const (
	streamID      = "dGhlIHN0cmVhbSBvZiBhZGE"
	otherStreamID = "YW5vdGhlciBvbmUgb2YgYWRhcw"
)

func (w *world) openNamed(method, token, name string) *openCall {
	call := w.open(method, token, streamEntry, name)
	synctest.Wait()
	return call
}

func (w *world) openStreams() int {
	w.guard.streams.mu.Lock()
	defer w.guard.streams.mu.Unlock()
	return len(w.guard.streams.all)
}

func (w *world) renew(id, token string) (*authapi.RenewStreamResponse, error) {
	ctx := withToken(context.Background(), token)
	return authapi.NewStreamServiceClient(w.client).RenewStream(ctx, &authapi.RenewStreamRequest{StreamId: id})
}

func TestARenewedStreamLivesAsLongAsTheFresherToken(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = func(stream grpc.ServerStream) error {
			for stream.RecvMsg(text("")) == nil {
				greet(stream)
			}
			return nil
		}
		call := w.openNamed("Both", w.auth.token(), streamID)
		watch.beat(0, 800)
		answer, err := w.renew(streamID, w.auth.token(map[string]any{"sid": laterHers, "preferred_username": "ada again"}))
		w.mustPass(err)
		if until := time.Until(answer.GetExpireTime().AsTime()).Round(time.Second); until != 900*time.Second {
			w.Errorf("it may live another %v", until)
		}
		watch.send(delta(ended(1, session)).counting(1)) // the session that it no longer belongs to
		watch.beat(1, 800)
		w.mustPass(call.stream.SendMsg(text("")))
		call.mustReceive("ada again")
		watch.send(delta(ended(2, laterHers)).counting(2))
		call.mustEndWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestTheTokenOfARenewalCountsEvenIfItExpiresEarlier(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		call := w.openNamed("Both", w.auth.token(), streamID)
		_, err := w.renew(streamID, w.auth.token(map[string]any{"exp": time.Now().Unix() + 60}))
		w.mustPass(err)
		go watch.keepBeating()
		if lived := call.mustEndWith(codes.Unauthenticated, "TOKEN_EXPIRED"); lived.Round(time.Second) != 90*time.Second {
			w.Errorf("it lived %v", lived)
		}
	})
}

func TestOnlyItsOwnUserRenewsAStream(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.openNamed("Both", w.auth.token(), streamID)
		_, err := w.renew(streamID, w.auth.token(map[string]any{"sub": bob}))
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
		_, err = w.renew(otherStreamID, w.auth.token())
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
		_, err = w.renew(streamID, "")
		w.mustRefuse(codes.Unauthenticated, "TOKEN_MISSING", err)
		_, err = w.renew(streamID, w.auth.token())
		w.mustPass(err)
	})
}

func TestNobodyTakesAwayTheNameOfSomebodyElsesStream(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.openNamed("Both", w.auth.token(), streamID)
		w.openNamed("Both", w.auth.token(map[string]any{"sub": bob}), streamID)
		_, err := w.renew(streamID, w.auth.token())
		w.mustPass(err)
	})
}

func TestAStreamWithoutOneProperNameLivesButCannotBeRenewed(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		for _, name := range []string{"", "short", strings.Repeat("x", 65), "spaces are not for names"} {
			w.openNamed("Both", w.auth.token(), name).mustReceive("ada")
			_, err := w.renew(name, w.auth.token())
			w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
		}
		w.open("Both", w.auth.token(), streamEntry, streamID, streamEntry, otherStreamID).mustReceive("ada")
		_, err := w.renew(streamID, w.auth.token())
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
	})
}

func TestTheRuleOfTheStreamDecidesWhatMayRenewIt(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.openNamed("SupportBoth", w.auth.token(map[string]any{"roles": []string{"support"}}), streamID)
		_, err := w.renew(streamID, w.auth.token())
		w.mustRefuse(codes.PermissionDenied, "ROLE_MISSING", err)
		w.auth.verifyAnswers(identityOf(ada), nil)
		w.openNamed("CarefulBoth", w.auth.token(), otherStreamID)
		_, err = w.renew(otherStreamID, w.auth.token())
		w.mustPass(err)
		if asked := w.auth.asked.Load(); asked != 2 {
			w.Errorf("asked %d times", asked)
		}
	})
}

func TestNewsThatArriveDuringARenewalCount(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		call := w.openNamed("CarefulBoth", w.auth.token(), streamID)
		w.whileVerifyIsAsked(func() { watch.send(delta(ended(1, laterHers)).counting(1)) })
		_, err := w.renew(streamID, w.auth.token(map[string]any{"sid": laterHers}))
		w.mustPass(err)
		call.mustEndAtOnceWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestAStreamThatEndsDuringARenewalIsUnknown(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		w.service.stream = greetAndReceive
		w.auth.verifyAnswers(identityOf(ada), nil)
		w.openNamed("CarefulBoth", w.auth.token(), streamID)
		w.whileVerifyIsAsked(func() { watch.send(delta(ended(1, session)).counting(1)) })
		_, err := w.renew(streamID, w.auth.token(map[string]any{"sid": laterHers}))
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
	})
}

func TestAStreamWhoseHandlerLingersAfterItsEndCannotBeRenewed(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		done := make(chan struct{})
		w.service.stream = func(grpc.ServerStream) error { <-done; return nil }
		w.openNamed("Both", w.auth.token(), streamID)
		watch.send(delta(ended(1, session)).counting(1))
		synctest.Wait()
		_, err := w.renew(streamID, w.auth.token(map[string]any{"sid": laterHers}))
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
		close(done)
	})
}

// whileVerifyIsAsked has something happen after Verify has read the session and before its answer arrives.
func (w *world) whileVerifyIsAsked(happens func()) {
	w.auth.mu.Lock()
	defer w.auth.mu.Unlock()
	w.auth.verify = func(string) (*authapi.Identity, error) {
		happens()
		synctest.Wait()
		return identityOf(ada), nil
	}
}

func TestAStreamThatIsOverCannotBeRenewed(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = func(stream grpc.ServerStream) error { greet(stream); return nil }
		call := w.openNamed("Both", w.auth.token(), streamID)
		call.mustReceive("ada")
		call.mustEndWell()
		_, err := w.renew(streamID, w.auth.token())
		w.mustRefuse(codes.NotFound, "STREAM_UNKNOWN", err)
		if w.openStreams() != 0 || len(w.guard.streams.named) != 0 {
			w.Error("it is still remembered")
		}
	})
}

// verifyTakes has each question take a while. The returned function says how many were asked at a time, at most.
func (w *world) verifyTakes(wait time.Duration, answer func(token string) (*authapi.Identity, error)) (most func() int32) {
	w.auth.mu.Lock()
	defer w.auth.mu.Unlock()
	w.Cleanup(func() { time.Sleep(wait) }) // a server that is stopped does not wait for those
	var now, highest atomic.Int32
	w.auth.verify = func(token string) (*authapi.Identity, error) {
		highest.Store(max(highest.Load(), now.Add(1)))
		defer now.Add(-1)
		time.Sleep(wait)
		return answer(token)
	}
	return highest.Load
}

func (w *world) openMany(tokens, streamsOfEach int) []*openCall {
	var calls []*openCall
	for range tokens {
		token := w.auth.token()
		for range streamsOfEach {
			calls = append(calls, w.open("Both", token))
		}
	}
	synctest.Wait()
	return calls
}

func TestEachTokenIsAskedAboutOnceAndFewAtATime(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, _ = w.started()
		w.service.stream = greetAndReceive
		most := w.verifyTakes(100*time.Millisecond, func(string) (*authapi.Identity, error) { return identityOf(ada), nil })
		w.openMany(40, 5)
		time.Sleep(12 * time.Second) // the view gets too old after 10
		if asked := w.auth.asked.Load(); asked != 40 || most() > 8 || w.openStreams() != 200 {
			w.Errorf("asked %d times, %d at once; %d streams are open", asked, most(), w.openStreams())
		}
		time.Sleep(10 * time.Second)
		if asked := w.auth.asked.Load(); asked != 80 || w.openStreams() != 200 {
			w.Errorf("asked %d times after the answers were too old; %d streams are open", asked, w.openStreams())
		}
	})
}

func TestAnAnswerCountsFromWhenItWasAskedFor(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.verifyTakes(1500*time.Millisecond, func(string) (*authapi.Identity, error) { return identityOf(ada), nil })
		w.openMany(1, 2)
		time.Sleep(20*time.Second + 100*time.Millisecond) // asked after 10 s, answered after 11.5 s, to be asked again after 20 s
		if asked := w.auth.asked.Load(); asked != 2 {
			w.Errorf("asked %d times", asked)
		}
	})
}

func TestStreamsThatNobodyVouchesForEndWithinFiveSeconds(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		w.verifyTakes(1900*time.Millisecond, func(string) (*authapi.Identity, error) { return nil, errors.New("broken") })
		calls := w.openMany(100, 1)
		time.Sleep(10*time.Second + askingLimit)
		for _, call := range calls {
			if lived := call.mustEndWith(codes.Unavailable, "VERIFICATION_UNAVAILABLE"); lived > 100*time.Millisecond {
				w.Errorf("it lived for another %v", lived)
			}
		}
	})
}

func TestNewsCountWhileVerifyIsAskedAboutAStream(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		w.verifyTakes(1900*time.Millisecond, func(string) (*authapi.Identity, error) { return identityOf(ada), nil })
		w.auth.nextWatch() // it stays silent for 5 s
		watch := w.auth.nextWatch()
		w.eventually("Verify is asked", func() bool { return w.auth.asked.Load() > 0 })
		watch.send(snapshotEnd(ended(1, session)))
		call.mustEndAtOnceWith(codes.Unauthenticated, "SESSION_ENDED")
	})
}

func TestAPanicWhileVerifyIsAskedAboutAStreamEndsIt(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		w.guard.auth = nil
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
		synctest.Wait()
		w.service.stream = greetAndReceive
		call := w.open("Both", w.auth.token())
		call.mustReceive("ada")
		call.mustEndWith(codes.Unavailable, "VERIFICATION_UNAVAILABLE")
	})
}

func TestAnOldAnswerServesNoStreamAfterNews(t *testing.T) {
	inFakeTime(t, func(w *world) {
		asked := 0
		q := newQuestions(context.Background(), time.Minute, func(context.Context, string) (*Identity, *refusal) { asked++; return &Identity{}, nil })
		for _, step := range []struct {
			wait, limit time.Duration
			hasNews     bool
			want        int
		}{
			{0, 10 * time.Second, false, 1}, {10 * time.Second, 10 * time.Second, false, 1}, {time.Second, 10 * time.Second, false, 2},
			{time.Second, 10 * time.Second, true, 3}, {time.Second, 10 * time.Second, false, 3},
			{61 * time.Second, time.Hour, false, 4},
		} {
			time.Sleep(step.wait)
			var news time.Time
			if step.hasNews {
				news = time.Now()
			}
			<-q.about("token", news, step.limit).done
			if asked != step.want {
				w.Errorf("asked %d times after %+v", asked, step)
			}
		}
		time.Sleep(2 * time.Minute)
		<-q.about("another", time.Time{}, time.Minute).done
		if len(q.byToken) != 1 {
			w.Errorf("%d questions are remembered", len(q.byToken))
		}
	})
}
