package authclient

import (
	"math/rand/v2"
	"testing"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestTheViewJudgesByAllRulesThatAreLeft(t *testing.T) {
	begin := time.Unix(1_767_268_800, 0).UTC()
	type kept struct {
		generation int32
		expiry     int
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		v, rules := newView(), []kept{}
		for seq := range 12 {
			k := kept{1 + random.Int32N(8), random.IntN(8)}
			rules = append(rules, k)
			rule := outdated(int64(seq), ada, k.generation)
			rule.ExpireTime = timestamppb.New(begin.Add(time.Duration(k.expiry) * time.Minute))
			v.update([]*authapi.Revocation{rule}, begin.Add(-time.Minute))
		}
		for minute := -1; minute < 9; minute++ {
			count, highest := 0, int32(0)
			for _, k := range rules {
				if k.expiry > minute {
					count, highest = count+1, max(highest, k.generation)
				}
			}
			left := v.update(nil, begin.Add(time.Duration(minute)*time.Minute))
			isOutdated := highest > 0 && v.refuses(session, ada, highest-1) == tokenOutdated
			if left != count || isOutdated != (highest > 0) || v.refuses(session, ada, highest) != nil {
				t.Fatalf("minute %d: %d rules, want %d up to generation %d: %v", minute, left, count, highest, rules)
			}
		}
		if len(v.users)+len(v.byExpiry) > 0 {
			t.Fatal("something is left of the rules")
		}
	}
}

func TestASessionIsOverUntilItsLastRuleIsDropped(t *testing.T) {
	begin := time.Unix(1_767_268_800, 0).UTC()
	v := newView()
	for i, minutes := range []int{1, 2} {
		rule := ended(int64(i), session)
		rule.ExpireTime = timestamppb.New(begin.Add(time.Duration(minutes) * time.Minute))
		v.update([]*authapi.Revocation{rule}, begin)
	}
	if v.update(nil, begin.Add(time.Minute)); v.refuses(session, ada, 0) != sessionEnded {
		t.Error("the longer rule was dropped with the other one")
	}
	if v.update(nil, begin.Add(2*time.Minute)); v.refuses(session, ada, 0) != nil || len(v.sessions) > 0 {
		t.Error("the rule is still there")
	}
}

func TestDroppingManyRulesAboutOneUserTakesNoTime(t *testing.T) {
	const many = 200_000
	begin := time.Unix(1_767_268_800, 0).UTC()
	v, rules := newView(), make([]*authapi.Revocation, many)
	for i := range rules {
		rules[i] = outdated(int64(i), ada, int32(i+1))
		rules[i].ExpireTime = timestamppb.New(begin.Add(time.Duration(i/1000) * time.Minute))
	}
	v.update(rules, begin.Add(-time.Minute))
	started := time.Now()
	if left := v.update(nil, begin.Add(many*time.Minute)); left != 0 {
		t.Errorf("%d are left", left)
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %v", took)
	}
}
