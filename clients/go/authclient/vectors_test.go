package authclient

import (
	"cmp"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// vectorCase is a case about a call.
type vectorCase struct {
	Name        string
	Now         float64
	Keys        *string
	KeyAge      *float64 `json:"key_age"`
	ViewAge     *float64 `json:"view_age"`
	Revocations []json.RawMessage
	Rule        json.RawMessage
	Token       json.RawMessage
	Metadata    [][2]json.RawMessage
	Verify      json.RawMessage
	Expect      json.RawMessage
	expected    struct {
		Status, Reason, Words, Observed string
		UserID                          string `json:"user_id"`
	}
}

func TestVectorsOfKeySets(t *testing.T) {
	vectors := readVectors(t)
	for _, c := range vectors.KeySetCases {
		t.Run(c.Name, func(t *testing.T) {
			set := &authapi.KeySet{}
			fromJSON(t, vectors.keySet(t, c.KeySet), set)
			if _, err := readKeySet(set); (err == nil) != c.Accepted {
				t.Errorf("accepted should be %v: %v", c.Accepted, err)
			}
		})
	}
}

func TestVectorsOfRules(t *testing.T) {
	vectors := readVectors(t)
	for _, c := range vectors.RuleCases {
		t.Run(c.Name, func(t *testing.T) {
			if _, err := readRule(ruleFromJSON(t, named(t, vectors.Rules, c.Rule))); (err == nil) != c.Accepted {
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
	for _, text := range vectors.Cases {
		c := vectors.call(t, text)
		t.Run(c.Name, func(t *testing.T) { vectors.check(t, j, c) })
	}
}

func (v *vectors) check(t *testing.T, j *judge, c vectorCase) {
	rule, err := readRule(ruleFromJSON(t, c.Rule))
	if err != nil {
		rule = nil
	}
	for _, times := range []string{"first", "second"} {
		got := j.decide(rule, v.metadata(t, c), v.knowledge(t, c), verifyOf(t, c))
		status, reason, words, observed, user := codes.OK.String(), "", "", "", ""
		if got.refusal != nil {
			status, reason, words = got.refusal.code.String(), got.refusal.reason, got.refusal.message
		}
		if got.observed != nil {
			observed = got.observed.reason
		}
		if got.caller != nil {
			user = got.caller.identity.UserID
		}
		want := c.expected
		if !sameStatus(status, want.Status) || reason != want.Reason || observed != want.Observed || user != want.UserID {
			t.Errorf("%s time: status %q, reason %q, observed %q, user %q; want %q, %q, %q, %q", times,
				status, reason, observed, user, want.Status, want.Reason, want.Observed, want.UserID)
		}
		if said := v.refusalTexts[cmp.Or(want.Words, want.Reason)][1]; words != said {
			t.Errorf("%s time: refused in the words %q, want %q", times, words, said)
		}
	}
}

// knowledge builds the view by way of the watch, from one complete snapshot that was read view_age ago.
func (v *vectors) knowledge(t *testing.T, c vectorCase) knowledge {
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
		fromJSON(t, v.keySet(t, encode(t, *c.Keys)), message)
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

func (v *vectors) metadata(t *testing.T, c vectorCase) metadata.MD {
	md := metadata.MD{}
	for _, entry := range c.Metadata {
		var key string
		decode(t, entry[0], &key)
		md.Append(key, v.text(t, entry[1]))
	}
	if c.Token != nil {
		md.Append("authorization", "Bearer "+v.text(t, c.Token))
	}
	return md
}

func verifyOf(t *testing.T, c vectorCase) askVerify {
	return func(string) (*Identity, *refusal) {
		if c.Verify == nil {
			t.Error("Verify was asked")
			return nil, unavailable
		}
		var answer struct {
			Identity       json.RawMessage
			Status, Reason string
		}
		decode(t, c.Verify, &answer)
		switch {
		case len(answer.Identity) > 0:
			identity := &authapi.Identity{}
			fromJSON(t, answer.Identity, identity)
			return identityFromMessage(identity), nil
		case answer.Status == "UNAUTHENTICATED":
			return nil, refusedByVerify(&refusal{code: codes.Unauthenticated, reason: answer.Reason})
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
