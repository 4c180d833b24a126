package authclient

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// vectorFile is clients/vectors/verification.json, whose format docs/local-verification.md describes.
type vectorFile struct {
	Issuer, Audience string
	KeySets          map[string]json.RawMessage `json:"key_sets"`
	Tokens           map[string]string
	KeySetCases      []struct {
		Name     string
		KeySet   json.RawMessage `json:"key_set"`
		Accepted bool
	} `json:"key_set_cases"`
	RuleCases []struct {
		Name     string
		Rule     json.RawMessage
		Accepted bool
	} `json:"rule_cases"`
	Cases []vectorCase
}

type vectorCase struct {
	Name        string
	Now         float64
	Keys        *string
	KeyAge      *float64 `json:"key_age"`
	ViewAge     *float64 `json:"view_age"`
	Revocations []json.RawMessage
	Rule        json.RawMessage
	Token       json.RawMessage
	Metadata    [][2]string
	Verify      *struct {
		Identity       json.RawMessage
		Status, Reason string
	}
	Expect struct {
		Status, Reason, Observed string
		UserID                   *string `json:"user_id"`
	}
}

func readVectors(t *testing.T) *vectorFile {
	t.Helper()
	text, err := os.ReadFile("../../vectors/verification.json")
	if err != nil {
		t.Fatalf("the vectors are missing: %v", err)
	}
	vectors := &vectorFile{}
	if err := json.Unmarshal(text, vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Cases) == 0 || len(vectors.KeySetCases) == 0 || len(vectors.RuleCases) == 0 {
		t.Fatal("the vectors are empty")
	}
	return vectors
}

func TestVectorsOfKeySets(t *testing.T) {
	for _, c := range readVectors(t).KeySetCases {
		t.Run(c.Name, func(t *testing.T) {
			set := &authapi.KeySet{}
			fromJSON(t, c.KeySet, set)
			if _, err := readKeySet(set); (err == nil) != c.Accepted {
				t.Errorf("accepted should be %v: %v", c.Accepted, err)
			}
		})
	}
}

func TestVectorsOfRules(t *testing.T) {
	for _, c := range readVectors(t).RuleCases {
		t.Run(c.Name, func(t *testing.T) {
			if _, err := readRule(ruleFromJSON(t, c.Rule)); (err == nil) != c.Accepted {
				t.Errorf("accepted should be %v: %v", c.Accepted, err)
			}
		})
	}
}

func TestVectorsOfDecisions(t *testing.T) {
	vectors := readVectors(t)
	// One judge for all cases, each decided twice: what it remembers must not change what it decides.
	j := &judge{
		accepted: origin{vectors.Issuer, vectors.Audience}, maxStaleness: 10 * time.Second, maxKeyAge: time.Hour,
		cache: newSignatureCache(10_000), tokenSeen: func(bool) {}, foreignToken: func(origin) {},
	}
	for _, c := range vectors.Cases {
		t.Run(c.Name, func(t *testing.T) { vectors.check(t, j, c) })
	}
}

func (v *vectorFile) check(t *testing.T, j *judge, c vectorCase) {
	rule, err := readRule(ruleFromJSON(t, c.Rule))
	if err != nil {
		rule = nil
	}
	for _, times := range []string{"first", "second"} {
		got := j.decide(rule, v.metadata(t, c), v.knowledge(t, c), verifyOf(t, c))
		status, reason, observed, user := codes.OK.String(), "", "", ""
		if got.refusal != nil {
			status, reason = got.refusal.code.String(), got.refusal.reason
		}
		if got.observed != nil {
			observed = got.observed.reason
		}
		if got.caller != nil {
			user = got.caller.identity.UserID
		}
		want := c.Expect
		if !sameStatus(status, want.Status) || reason != want.Reason || observed != want.Observed || user != deref(want.UserID) {
			t.Errorf("%s time: status %q, reason %q, observed %q, user %q; want %q, %q, %q, %q", times,
				status, reason, observed, user, want.Status, want.Reason, want.Observed, deref(want.UserID))
		}
	}
}

// knowledge builds the view by way of the watch, from one complete snapshot that was read view_age ago.
func (v *vectorFile) knowledge(t *testing.T, c vectorCase) knowledge {
	whole, part := math.Modf(c.Now)
	known := knowledge{now: time.Unix(int64(whole), int64(part*1e9)).UTC()}
	if c.ViewAge != nil {
		known.viewAge = seconds(*c.ViewAge)
		known.view = newView()
		var rules []*authapi.Revocation
		for _, text := range c.Revocations {
			rule := &authapi.Revocation{}
			fromJSON(t, text, rule)
			rules = append(rules, rule)
		}
		if err := checkRevocations(rules); err != nil {
			t.Fatal(err)
		}
		known.view.update(rules, known.now.Add(-known.viewAge))
	}
	if c.Keys != nil {
		message := &authapi.KeySet{}
		fromJSON(t, v.KeySets[*c.Keys], message)
		keys, err := readKeySet(message)
		if err != nil {
			t.Fatal(err)
		}
		known.keys, known.keyAge = keys, known.viewAge
	}
	if c.KeyAge != nil {
		known.keyAge = seconds(*c.KeyAge)
	}
	return known
}

func (v *vectorFile) metadata(t *testing.T, c vectorCase) metadata.MD {
	md := metadata.MD{}
	for _, entry := range c.Metadata {
		md.Append(entry[0], entry[1])
	}
	if token, sent := v.token(t, c.Token); sent {
		md.Append("authorization", "Bearer "+token)
	}
	return md
}

func (v *vectorFile) token(t *testing.T, text json.RawMessage) (token string, sent bool) {
	if len(text) == 0 || string(text) == "null" {
		return "", false
	}
	if json.Unmarshal(text, &token) == nil {
		return token, true
	}
	var how struct {
		Name, Repeat string
		Flip         *int
		Times        int
	}
	if err := json.Unmarshal(text, &how); err != nil {
		t.Fatal(err)
	}
	if how.Name == "" {
		return strings.Repeat(how.Repeat, how.Times), true
	}
	bytes := []byte(v.Tokens[how.Name])
	if len(bytes) == 0 {
		t.Fatalf("there is no token %q", how.Name)
	}
	if how.Flip != nil {
		bytes[*how.Flip/8] ^= 1 << (*how.Flip % 8)
	}
	return string(bytes), true
}

func verifyOf(t *testing.T, c vectorCase) askVerify {
	return func(string) (*Identity, *refusal) {
		switch {
		case c.Verify == nil:
			t.Error("Verify was asked")
			return nil, unavailable
		case len(c.Verify.Identity) > 0:
			identity := &authapi.Identity{}
			fromJSON(t, c.Verify.Identity, identity)
			return identityFromMessage(identity), nil
		case c.Verify.Status == "UNAUTHENTICATED":
			return nil, &refusal{code: codes.Unauthenticated, reason: c.Verify.Reason}
		}
		return nil, unavailable
	}
}

func ruleFromJSON(t *testing.T, text json.RawMessage) *authapi.Rule {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	rule := &authapi.Rule{}
	fromJSON(t, text, rule)
	return rule
}

func fromJSON(t *testing.T, text json.RawMessage, message proto.Message) {
	t.Helper()
	if err := protojson.Unmarshal(text, message); err != nil {
		t.Fatal(err)
	}
}

func sameStatus(got, want string) bool {
	return strings.EqualFold(got, strings.ReplaceAll(want, "_", ""))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
