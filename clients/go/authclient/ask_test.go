package authclient

import (
	"fmt"
	"slices"
	"testing"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failsFor lets Verify fail so many times before it answers, and returns where it notes when it was asked.
func (a *authServer) failsFor(times int, err error) *[]time.Time {
	moments := &[]time.Time{}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verify = func(string) (*authapi.Identity, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if *moments = append(*moments, time.Now()); len(*moments) <= times {
			return nil, err
		}
		return identityOf(ada), nil
	}
	return moments
}

func waits(moments []time.Time) []time.Duration {
	between := []time.Duration{}
	for i := range len(moments) - 1 {
		between = append(between, moments[i+1].Sub(moments[i]))
	}
	return between
}

func TestAQuestionThatIsLostWithItsConnectionOrServerIsAskedAgainAFewTimes(t *testing.T) {
	stopping, _ := status.New(codes.Unavailable, "stopping").WithDetails(errorInfo("SHUTTING_DOWN"))
	gone, cancelled := status.New(codes.Unavailable, "gone"), status.New(codes.Canceled, "gone")
	for _, lost := range []*status.Status{gone, cancelled, stopping} {
		t.Run(fmt.Sprint(lost.Code(), " ", lost.Message()), func(t *testing.T) {
			inFakeTime(t, func(w *world) {
				w.started()
				token := w.auth.token()
				asked := w.auth.failsFor(repeats, lost.Err())
				_, err := w.call("Careful", token)
				w.mustPass(err)
				want := []time.Duration{0, repeatPause, 2 * repeatPause, 4 * repeatPause}
				if got := waits(*asked); !slices.Equal(got, want) {
					w.Errorf("asked after %v", got)
				}
				asked = w.auth.failsFor(100, lost.Err())
				_, err = w.call("Careful", token)
				w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
				if len(*asked) != 1+repeats {
					w.Errorf("asked %d times", len(*asked))
				}
			})
		})
	}
}

func TestWhereTheAuthServerWasNotHeardJustNowALostQuestionIsAskedOnceMore(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		asked := w.auth.failsFor(100, status.Error(codes.Unavailable, "gone"))
		time.Sleep(heardLimit)
		_, err := w.call("Careful", w.auth.token())
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		if len(*asked) != 2 {
			w.Errorf("asked %d times", len(*asked))
		}
	})
}

func TestAnAuthServerThatSaysThatItCannotAnswerIsNotAskedAgain(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		said, _ := status.New(codes.Unavailable, "no database").WithDetails(errorInfo("STORAGE_UNAVAILABLE"))
		for _, answer := range []error{said.Err(), status.Error(codes.Internal, "broken")} {
			asked := w.auth.failsFor(100, answer)
			_, err := w.call("Careful", w.auth.token())
			w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
			if len(*asked) != 1 {
				w.Errorf("asked %d times after %v", len(*asked), answer)
			}
		}
	})
}

func TestQuestionsThatAreAskedAgainEndWithTheTimeForOneAnswer(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.VerifyTimeout = 150 * time.Millisecond
		w.started()
		asked := w.auth.failsFor(100, status.Error(codes.Unavailable, "gone"))
		before := time.Now()
		_, err := w.call("Careful", w.auth.token())
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		if waited := time.Since(before); waited != w.config.VerifyTimeout || len(*asked) != 3 {
			w.Errorf("asked %d times in %v", len(*asked), waited)
		}
	})
}
