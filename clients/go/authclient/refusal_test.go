package authclient

import (
	"maps"
	"testing"
)

func TestRefusalsSayWhatTheyDoInTheOtherLanguages(t *testing.T) {
	want := readRefusalTexts(t)
	got := map[string][2]string{}
	for _, r := range []*refusal{
		tokenMissing, tokenInvalid, tokenExpired, tokenNotYetValid, tokenOutdated, sessionEnded,
		methodWithoutRule, roleMissing, mfaRequired, authenticationOld, unavailable, streamUnknown,
	} {
		status := want[r.reason][0]
		if !sameStatus(r.code.String(), status) {
			status = r.code.String()
		}
		got[r.reason] = [2]string{status, r.message}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
