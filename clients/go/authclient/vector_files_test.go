package authclient

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vectorFolder is clients/vectors, whose format docs/local-verification.md describes.
const vectorFolder = "../../vectors"

// sharedVectors is shared.json: what the files with cases have in common, and which these are.
type sharedVectors struct {
	Issuer, Audience string
	Files            map[string]int
	Defaults         json.RawMessage
	Outcomes         map[string]json.RawMessage
	Answers          map[string]json.RawMessage
	Rules            map[string]json.RawMessage
	Texts            map[string]json.RawMessage
	Keys             map[string]json.RawMessage
	KeySets          map[string]json.RawMessage `json:"key_sets"`
}

// vectors are the cases of all files.
type vectors struct {
	sharedVectors
	KeySetCases []struct {
		Name     string
		KeySet   json.RawMessage `json:"key_set"`
		Accepted bool
	} `json:"key_set_cases"`
	RuleCases []struct {
		Name     string
		Rule     json.RawMessage
		Accepted bool
	} `json:"rule_cases"`
	Cases        []json.RawMessage
	refusalTexts map[string][2]string
}

func readVectors(t *testing.T) *vectors {
	t.Helper()
	all := &vectors{refusalTexts: readRefusalTexts(t)}
	readVectorFile(t, "shared.json", &all.sharedVectors)
	for _, name := range slices.Sorted(maps.Keys(all.Files)) {
		var page vectors
		readVectorFile(t, name, &page)
		if found := len(page.KeySetCases) + len(page.RuleCases) + len(page.Cases); found != all.Files[name] || found == 0 {
			t.Fatalf("%s holds %d cases, and %d were written", name, found, all.Files[name])
		}
		all.KeySetCases = append(all.KeySetCases, page.KeySetCases...)
		all.RuleCases = append(all.RuleCases, page.RuleCases...)
		all.Cases = append(all.Cases, page.Cases...)
	}
	if len(all.Cases) == 0 || len(all.KeySetCases) == 0 || len(all.RuleCases) == 0 {
		t.Fatal("the vectors are empty")
	}
	return all
}

// readRefusalTexts returns status and words of each refusal by its reason.
func readRefusalTexts(t *testing.T) map[string][2]string {
	t.Helper()
	var texts map[string][2]string
	readVectorFile(t, "refusals.json", &texts)
	return texts
}

func readVectorFile(t *testing.T, name string, content any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(vectorFolder, name))
	if err != nil {
		t.Fatalf("the vectors are missing: %v", err)
	}
	decode(t, text, content)
}

// call returns a case about a call, with the defaults where it says nothing and the things in place of their names.
func (v *vectors) call(t *testing.T, text json.RawMessage) vectorCase {
	t.Helper()
	var c vectorCase
	decode(t, v.Defaults, &c)
	decode(t, text, &c)
	c.Rule = named(t, v.Rules, c.Rule)
	if c.Verify != nil {
		c.Verify = named(t, v.Answers, c.Verify)
	}
	decode(t, named(t, v.Outcomes, c.Expect), &c.expected)
	return c
}

// keySet returns a KeySet in the JSON form of Protobuf.
func (v *vectors) keySet(t *testing.T, text json.RawMessage) json.RawMessage {
	t.Helper()
	var set map[string]json.RawMessage
	decode(t, named(t, v.KeySets, text), &set)
	if set["keys"] == nil {
		return encode(t, set)
	}
	var keys []json.RawMessage
	decode(t, set["keys"], &keys)
	for i, key := range keys {
		keys[i] = named(t, v.Keys, key)
	}
	set["keys"] = encode(t, keys)
	return encode(t, set)
}

// text returns a text that may be said by its name, with a bit inverted, repeated, or in pieces.
func (v *vectors) text(t *testing.T, said json.RawMessage) string {
	t.Helper()
	switch said[0] {
	case '"':
		var text string
		decode(t, said, &text)
		return text
	case '[':
		var pieces []json.RawMessage
		decode(t, said, &pieces)
		var text strings.Builder
		for _, piece := range pieces {
			text.WriteString(v.text(t, piece))
		}
		return text.String()
	}
	var how struct {
		Name, Repeat string
		Flip         *int
		Times        int
	}
	decode(t, said, &how)
	if how.Name == "" {
		return strings.Repeat(how.Repeat, how.Times)
	}
	text, known := v.Texts[how.Name]
	if !known {
		t.Fatalf("there is no text %q", how.Name)
	}
	bytes := []byte(v.text(t, text))
	if how.Flip != nil {
		bytes[*how.Flip/8] ^= 1 << (*how.Flip % 8)
	}
	return string(bytes)
}

// named returns the thing whose name is said, or what is said itself where it is no name.
func named(t *testing.T, things map[string]json.RawMessage, said json.RawMessage) json.RawMessage {
	t.Helper()
	var name string
	if len(said) == 0 || json.Unmarshal(said, &name) != nil || string(said) == "null" {
		return said
	}
	thing, known := things[name]
	if !known {
		t.Fatalf("there is no %q", name)
	}
	return thing
}

func decode(t *testing.T, text []byte, content any) {
	t.Helper()
	if err := json.Unmarshal(text, content); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, content any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
