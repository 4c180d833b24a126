package authclient

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func (w *world) mustBeAged(want time.Duration) {
	w.Helper()
	synctest.Wait()
	age, complete := w.guard.ViewAge()
	if !complete || age.Round(100*time.Millisecond) != want {
		w.Errorf("the view is %v old (complete: %v), want %v", age, complete, want)
	}
}

func TestASnapshotCountsWhenItsLastPartIsThere(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		watch := w.auth.nextWatch()
		watch.send(snapshotPart(ended(1, session)).with(w.auth.keySet()))
		synctest.Wait()
		if _, complete := w.guard.ViewAge(); complete {
			w.Error("a part of a snapshot made a view")
		}
		watch.send(snapshotEnd(ended(2, laterHers)).counting(2))
		w.mustBeAged(0)
		for _, id := range []string{session, laterHers} {
			_, err := w.call("Buy", w.auth.token(map[string]any{"sid": id}))
			w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
		}
	})
}

func TestADeltaAddsToTheView(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		token := w.auth.token()
		_, err := w.call("Buy", token)
		w.mustPass(err)

		watch.send(delta(ended(1, session)).counting(1))
		synctest.Wait()
		_, err = w.call("Buy", token)
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
		_, err = w.call("Buy", w.auth.token(map[string]any{"sid": laterHers}))
		w.mustPass(err)
	})
}

func TestOutdatedTokensAreRefusedAndLaterOnesAreNot(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta(outdated(7, ada, 3)).counting(1))
		synctest.Wait()
		_, err := w.call("Buy", w.auth.token(map[string]any{"gen": 2}))
		w.mustRefuse(codes.Unauthenticated, "TOKEN_OUTDATED", err)
		_, err = w.call("Buy", w.auth.token(map[string]any{"gen": 3}))
		w.mustPass(err)
	})
}

func TestARuleThatComesTwiceCountsOnce(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta(ended(1, session)).counting(1))
		watch.send(delta(ended(1, session), ended(2, laterHers)).counting(2))
		watch.beat(2, 3)
		w.mustBeAged(0)
	})
}

func TestRulesAreDroppedWhenNothingIsLeftThatTheyCouldMatch(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta(ended(1, session)).counting(1))
		watch.beat(1, 60*60-1)
		_, err := w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
		watch.beat(0, 1)
		w.mustBeAged(0)
		_, err = w.call("Buy", w.auth.token())
		w.mustPass(err)
	})
}

func TestTheViewIsAsOldAsTheReadThatItComesFrom(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.beat(0, 2)
		read := delta().readNow(w.auth)
		time.Sleep(3 * time.Second)
		watch.sendAsItIs(read) // it waited in a buffer
		w.mustBeAged(3 * time.Second)
		time.Sleep(time.Second)
		w.mustBeAged(4 * time.Second)
	})
}

func TestTheTimeIsThatOfTheAuthServer(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		watch := w.auth.nextWatch()
		anHourAhead := snapshotEnd().with(w.auth.keySet()).readNow(w.auth)
		anHourAhead.ReadTime = timestamppb.New(time.Now().Add(time.Hour))
		watch.sendAsItIs(anHourAhead)
		w.mustBeAged(0)
		_, err := w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unauthenticated, "TOKEN_EXPIRED", err)
	})
}

func TestALostStreamIsResumedWhereItStopped(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta(ended(5, session)).counting(1).resumingAt(5))
		watch.end <- status.Error(codes.Unavailable, "SHUTTING_DOWN")
		next := w.auth.nextWatch()
		if got := next.request.GetResumePoint(); got.GetSeq() != 5 || got.GetHistory() != "h" {
			w.Errorf("resumed at %v", got)
		}
		next.send(delta(ended(6, laterHers)).counting(2))
		w.mustBeAged(0)
		for _, id := range []string{session, laterHers} {
			_, err := w.call("Buy", w.auth.token(map[string]any{"sid": id}))
			w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
		}
	})
}

func TestALostStreamLeavesTheViewInUseWhileItAges(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		token := w.auth.token()
		watch.send(delta(ended(1, laterHers)).counting(1))
		watch.end <- status.Error(codes.Unavailable, "gone")
		time.Sleep(9 * time.Second)
		_, err := w.call("Buy", token)
		w.mustPass(err)
		time.Sleep(2 * time.Second)
		_, err = w.call("Buy", token)
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		_, err = w.call("Buy", w.auth.token(map[string]any{"sid": laterHers}))
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
	})
}

func TestAnUnknownResumePointLeadsToASnapshot(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta().resumingAt(5))
		watch.end <- status.Error(codes.Unavailable, "gone")
		unknown := status.New(codes.OutOfRange, "no")
		unknown, _ = unknown.WithDetails(errorInfo("RESUME_POINT_UNKNOWN"))
		w.auth.nextWatch().end <- unknown.Err()
		if got := w.auth.nextWatch().request.ResumePoint; got != nil {
			w.Errorf("resumed at %v", got)
		}
	})
}

func TestAWrongCountLeadsToASnapshotAndTheViewAgesMeanwhile(t *testing.T) {
	for name, missed := range map[string]*answer{
		"in a delta":                 delta().counting(1),
		"in a heartbeat of too many": delta().counting(-1),
		"in a snapshot":              snapshotEnd(ended(1, session)).counting(2),
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				_, watch := w.started()
				watch.send(delta().resumingAt(5))
				time.Sleep(3 * time.Second)
				watch.send(missed.resumingAt(9))
				next := w.mustReopenSoon()
				if next.request.ResumePoint != nil {
					w.Error("it was resumed")
				}
				if age, complete := w.guard.ViewAge(); !complete || age < 3*time.Second {
					w.Errorf("the view is %v old (complete: %v)", age, complete)
				}
				next.send(snapshotEnd())
				w.mustBeAged(0)
			})
		})
	}
}

func TestAnswersThatMakeNoSenseEndTheStream(t *testing.T) {
	withoutUptime := &answer{&authapi.WatchRevocationsResponse{Part: authapi.WatchPart_WATCH_PART_DELTA, ReadTime: timestamppb.Now()}}
	for name, send := range map[string]func(watch *openWatch){
		"an unknown part":         func(watch *openWatch) { watch.send(newAnswer(99, nil)) },
		"an unknown kind of rule": func(watch *openWatch) { watch.send(delta(&authapi.Revocation{Seq: 1, ExpireTime: inAnHour()})) },
		"a rule without an end": func(watch *openWatch) {
			watch.send(delta(&authapi.Revocation{Seq: 1, Subject: ended(1, session).Subject}))
		},
		"an unspecified part":                   func(watch *openWatch) { watch.send(newAnswer(0, nil)) },
		"a rule about a session without a name": func(watch *openWatch) { watch.send(delta(ended(1, ""))) },
		"a rule about a user without a name":    func(watch *openWatch) { watch.send(delta(outdated(1, "", 1))) },
		"a rule about no tokens of a user":      func(watch *openWatch) { watch.send(delta(outdated(1, ada, 0))) },
		"a rule about fewer than none":          func(watch *openWatch) { watch.send(delta(outdated(1, ada, -1))) },
		"an answer of the future": func(watch *openWatch) {
			early := delta().readNow(watch.server)
			early.ReadUptime = durationpb.New(early.GetReadUptime().AsDuration() + mostDrift + time.Millisecond)
			watch.sendAsItIs(early)
		},
		"an answer without times":      func(watch *openWatch) { watch.sendAsItIs(withoutUptime) },
		"a delta inside of a snapshot": func(watch *openWatch) { watch.send(snapshotPart()); watch.send(delta()) },
	} {
		t.Run(name, func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				_, watch := w.started()
				watch.send(delta().resumingAt(5))
				time.Sleep(2 * time.Second)
				send(watch)
				next := w.mustReopenSoon()
				if age, _ := w.guard.ViewAge(); next.request.ResumePoint != nil || age < 2*time.Second {
					w.Errorf("resumed at %v with a view that is %v old", next.request.ResumePoint, age)
				}
			})
		})
	}
}

func TestAStreamThatDoesNotSayWhenItWasOpenedIsOpenedAnew(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.send(delta(ended(1, laterHers)).counting(1).resumingAt(5))
		watch.end <- status.Error(codes.Unavailable, "gone")
		next := w.auth.nextWatch()
		next.first = false // it is not to say so
		time.Sleep(2 * time.Second)
		next.send(delta().counting(1))
		next = w.mustReopenSoon()
		if age, _ := w.guard.ViewAge(); next.request.ResumePoint != nil || age < 2*time.Second {
			w.Errorf("resumed at %v with a view that is %v old", next.request.ResumePoint, age)
		}
		_, err := w.call("Buy", w.auth.token(map[string]any{"sid": laterHers}))
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
	})
}

func TestAnAnswerThatIsAheadByTheDriftOfClocksIsReadNow(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		early := delta().readNow(w.auth)
		early.ReadUptime = durationpb.New(early.GetReadUptime().AsDuration() + mostDrift)
		watch.sendAsItIs(early)
		w.mustBeAged(0)
		time.Sleep(time.Second)
		w.mustBeAged(time.Second)
	})
}

// mustReopenSoon is for streams that are given up before they are silent for too long.
func (w *world) mustReopenSoon() *openWatch {
	w.Helper()
	lost := time.Now()
	next := w.auth.nextWatch()
	if waited := time.Since(lost); waited > time.Second {
		w.Errorf("another stream was opened after %v", waited)
	}
	return next
}

func TestAStreamThatBeginsWithADeltaItWasNotAskedForIsRefused(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		w.auth.nextWatch().send(delta().with(w.auth.keySet()))
		next := w.mustReopenSoon()
		if _, complete := w.guard.ViewAge(); complete {
			w.Error("a delta made a view")
		}
		next.send(snapshotEnd())
		next.end <- status.Error(codes.Unavailable, "gone")
		next = w.auth.nextWatch() // without a resume point, because there was none
		time.Sleep(time.Second)
		next.send(delta())
		w.mustReopenSoon()
		if age, _ := w.guard.ViewAge(); age < time.Second {
			w.Error("a delta made the view younger")
		}
	})
}

func TestASilentStreamIsDeadAfterFiveSeconds(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.beat(0, 3)
		last := time.Now()
		w.auth.nextWatch()
		if silence := time.Since(last); silence < silenceLimit || silence > silenceLimit+shortestWait {
			w.Errorf("another stream was opened after %v", silence)
		}
	})
}

func TestAStreamOfAnHourIsOpenedAnewAndTheViewStaysInUse(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		watch.beat(0, 60*60-1)
		synctest.Wait()
		if len(w.auth.watches) > 0 {
			w.Fatal("another stream was opened too soon")
		}
		time.Sleep(time.Second)
		watch.send(delta(ended(7, session)).resumingAt(7))
		next := w.mustReopenSoon()
		if got := next.request.GetResumePoint(); got.GetSeq() != 7 {
			w.Errorf("resumed at %v", got)
		}
		_, err := w.call("Buy", w.auth.token(map[string]any{"sid": laterHers}))
		w.mustPass(err)
		_, err = w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
		next.send(delta().counting(1))
		w.mustBeAged(0)
		if w.auth.asked.Load() != 0 || w.seen.faults() != 0 {
			w.Errorf("Verify was asked, or a fault was reported: %v", w.seen.events)
		}
	})
}

func TestWaitsGrowToTwoSecondsAndShrinkWithACompleteView(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		lost := status.Error(codes.Unavailable, "gone")
		limits := []time.Duration{100, 200, 400, 800, 1600, 2000, 2000}
		for _, limit := range limits {
			w.auth.nextWatch().end <- lost
			w.mustReconnectWithin(limit * time.Millisecond)
		}
		watch := w.auth.nextWatch()
		watch.send(snapshotEnd())
		watch.end <- lost
		w.mustReconnectWithin(100 * time.Millisecond)
	})
}

// mustReconnectWithin leaves the next watch to be taken.
func (w *world) mustReconnectWithin(limit time.Duration) {
	w.Helper()
	lost := time.Now()
	next := w.auth.nextWatch()
	if waited := time.Since(lost); waited < limit/2 || waited > limit {
		w.Errorf("waited %v, want %v to %v", waited, limit/2, limit)
	}
	w.auth.watches <- next
}

func TestABadKeySetIsReportedAndTheLastGoodOneStaysInUse(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.MaxKeyAge = 30 * time.Minute
		_, watch := w.started()
		bad := w.auth.keySet()
		bad.Keys = append(bad.Keys, bad.Keys[0])
		watch.send(delta().with(bad))
		synctest.Wait()
		if !w.seen.has(`fault: key set: two keys "k1"`) {
			w.Errorf("not reported: %v", w.seen.events)
		}
		_, err := w.call("Buy", w.auth.token())
		w.mustPass(err)

		watch.beat(0, 31*60) // deltas that follow say nothing about keys that were refused
		_, err = w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		watch.send(delta().with(w.auth.keySet()))
		synctest.Wait()
		_, err = w.call("Buy", w.auth.token())
		w.mustPass(err)
	})
}

func TestATokenOfARemovedKeyIsRefusedThoughItWasSeen(t *testing.T) {
	inFakeTime(t, func(w *world) {
		_, watch := w.started()
		token := w.auth.token()
		for range 2 {
			_, err := w.call("Buy", token)
			w.mustPass(err)
		}
		if w.seen.count("seen true") != 1 {
			w.Errorf("it was not remembered: %v", w.seen.events)
		}
		watch.send(delta().with(w.auth.otherKeySet()))
		synctest.Wait()
		_, err := w.call("Buy", token)
		w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
	})
}

func TestAServiceStartsWithoutTheAuthServerAndFindsItLater(t *testing.T) {
	inFakeTime(t, func(w *world) {
		listener := bufconn.Listen(1 << 16)
		isUp := false
		w.startWith(connect(w.T, "passthrough:pipe", func(ctx context.Context, _ string) (net.Conn, error) {
			if !isUp {
				return nil, errors.New("nobody listens")
			}
			return listener.DialContext(ctx)
		}))
		_, err := w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		_, err = w.call("Look", "")
		w.mustPass(err)

		time.Sleep(30 * time.Minute)
		synctest.Wait()
		isUp = true
		serve(w.T, w.auth.grpcServer(), listener)
		back := time.Now()
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
		if found := time.Since(back); found > longestWait+reconnectPatience {
			w.Errorf("it was found after %v", found)
		}
		synctest.Wait()
		_, err = w.call("Buy", w.auth.token())
		w.mustPass(err)
	})
}

func TestTheWatchSurvivesARestartOfTheAuthServer(t *testing.T) {
	overTCP(t, func(w *world) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.Fatal(err)
		}
		address := listener.Addr().String()
		before := w.auth.grpcServer()
		serve(w.T, before, listener)
		w.startWith(connect(w.T, address, nil))
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()).resumingAt(3))
		w.eventually("there is a view", func() bool { _, complete := w.guard.ViewAge(); return complete })
		before.Stop()

		listener, err = net.Listen("tcp", address)
		if err != nil {
			w.Fatal(err)
		}
		serve(w.T, w.auth.grpcServer(), listener)
		watch := w.auth.nextWatch()
		if watch.request.GetResumePoint().GetSeq() != 3 {
			w.Errorf("resumed at %v", watch.request.GetResumePoint())
		}
		watch.send(delta(ended(4, session)).counting(1))
		w.eventually("the session has ended", func() bool {
			_, err := w.call("Buy", w.auth.token())
			return Reason(err) == "SESSION_ENDED"
		})
	})
}

func TestCloseEndsTheWatch(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		w.guard.Close()
		time.Sleep(time.Minute)
		if len(w.auth.watches) > 0 {
			w.Error("another stream was opened")
		}
	})
}

func TestAGuardNeedsIssuerAndAudience(t *testing.T) {
	for _, config := range []Config{{Issuer: "authservice"}, {Audience: "internal"}, {Issuer: "i", Audience: "a", MaxStaleness: -1}} {
		if _, err := New(&grpc.ClientConn{}, config); err == nil {
			t.Errorf("%+v was accepted", config)
		}
	}
}
