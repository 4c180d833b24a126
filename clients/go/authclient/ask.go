package authclient

import (
	"context"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// repeats is how often a question that was not answered is asked again where the auth server was heard just now: at
	// once, then after repeatPause, twice as long each time. The next connection may lead to a server that has just gone,
	// too. Where nothing was heard it is asked once more.
	repeats     = 4
	repeatPause = 100 * time.Millisecond
	// heardLimit is how long ago the auth server may have been heard for that. A living one is heard every second, and on a
	// machine that has too much to do a second later.
	heardLimit = 2500 * time.Millisecond
)

// inquiry asks Verify on behalf of one call.
type inquiry struct {
	guard   *Guard
	ctx     context.Context
	vouched time.Time // just before the question that was answered with an identity
}

func (i *inquiry) ask(token string) (*Identity, *refusal) {
	ctx, cancel := context.WithTimeout(i.ctx, i.guard.config.VerifyTimeout)
	defer cancel()
	begin := time.Now()
	for repeat := 0; ; repeat++ {
		asked := time.Now()
		answer, err := i.guard.auth.Verify(ctx, &authapi.VerifyRequest{AccessToken: token}, i.guard.config.callOptions()...)
		switch {
		case err == nil && answer.GetIdentity().GetUserId() == "":
			return nil, unavailable
		case err == nil:
			i.guard.trust.hear()
			i.vouched = asked
			return identityFromMessage(answer.GetIdentity()), nil
		case !isUnanswered(err) || repeat >= i.mostRepeats(begin) || !pause(ctx, repeat):
			return nil, refusedByVerify(err)
		}
	}
}

func (i *inquiry) mostRepeats(begin time.Time) int {
	if i.guard.trust.isHeardSince(begin.Add(-heardLimit)) {
		return repeats
	}
	return 1
}

// isUnanswered tells whether a question met the end of its connection or of its server, which says so where it still can.
func isUnanswered(err error) bool {
	if code := status.Code(err); code != codes.Unavailable && code != codes.Canceled {
		return false
	}
	reason := Reason(err)
	return reason == "" || reason == "SHUTTING_DOWN"
}

// pause waits before the next question, after so many repeats. False when the time for all of them is over.
func pause(ctx context.Context, repeats int) bool {
	if repeats == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(repeatPause << (repeats - 1)):
		return true
	}
}
