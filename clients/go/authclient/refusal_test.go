package authclient

import (
	"encoding/json"
	"maps"
	"os"
	"testing"
)

// The texts of the Python client, which the tests of the TypeScript client read, too.
const refusalTexts = "../../vectors/refusals.json"

func TestRefusalsSayWhatTheyDoInTheOtherLanguages(t *testing.T) {
	text, err := os.ReadFile(refusalTexts)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][2]string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
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
