package authclient

import (
	"errors"
	"fmt"
	"sync"
	"time"

	authapi "authservice/clients/go/authapi/v1"
)

// view is what is known to be revoked: ended sessions and outdated tokens. Rules only add up, until nothing is left that
// they could match.
type view struct {
	mu   sync.RWMutex
	seqs map[int64]bool
	// Expire times are whole minutes, so there are few of them, and dropping the past ones costs next to nothing.
	byExpiry  map[time.Time][]*authapi.Revocation
	bySubject map[string][]*authapi.Revocation // id of a session or a user; both are UUIDs
}

func newView() *view {
	return &view{
		seqs:      map[int64]bool{},
		byExpiry:  map[time.Time][]*authapi.Revocation{},
		bySubject: map[string][]*authapi.Revocation{},
	}
}

// refuses judges a token by what is known about its session and its user.
func (v *view) refuses(sessionID, userID string, generation int32) *refusal {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for _, rule := range v.bySubject[sessionID] {
		if rule.GetSessionId() == sessionID {
			return sessionEnded
		}
	}
	for _, rule := range v.bySubject[userID] {
		if outdated := rule.GetOutdatedTokens(); outdated.GetUserId() == userID && outdated.GetMinGeneration() > generation {
			return tokenOutdated
		}
	}
	return nil
}

// update adds rules, drops those that are over at readTime, and returns how many are left.
func (v *view) update(rules []*authapi.Revocation, readTime time.Time) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, rule := range rules {
		if v.seqs[rule.GetSeq()] {
			continue
		}
		expiry, subject := rule.GetExpireTime().AsTime(), subjectOf(rule)
		v.seqs[rule.GetSeq()] = true
		v.byExpiry[expiry] = append(v.byExpiry[expiry], rule)
		v.bySubject[subject] = append(v.bySubject[subject], rule)
	}
	for expiry, over := range v.byExpiry {
		if expiry.After(readTime) {
			continue
		}
		for _, rule := range over {
			v.drop(rule)
		}
		delete(v.byExpiry, expiry)
	}
	return len(v.seqs)
}

func (v *view) drop(rule *authapi.Revocation) {
	delete(v.seqs, rule.GetSeq())
	subject := subjectOf(rule)
	var left []*authapi.Revocation
	for _, other := range v.bySubject[subject] {
		if other != rule {
			left = append(left, other)
		}
	}
	if v.bySubject[subject] = left; left == nil {
		delete(v.bySubject, subject)
	}
}

// subjectOf returns whose tokens a rule is about: the id of a session or of a user.
func subjectOf(rule *authapi.Revocation) string {
	if id := rule.GetSessionId(); id != "" {
		return id
	}
	return rule.GetOutdatedTokens().GetUserId()
}

// checkRevocations refuses rules that this version cannot follow. To skip one would let a revoked token in.
func checkRevocations(rules []*authapi.Revocation) error {
	for _, rule := range rules {
		if subjectOf(rule) == "" || rule.ExpireTime == nil {
			return fmt.Errorf("revocation %d is of an unknown kind", rule.GetSeq())
		}
	}
	return nil
}

// trust is what this process knows at each moment: keys, revocations and the time, and how old each of these is. The watch
// loop writes it, decisions read it.
type trust struct {
	mu   sync.RWMutex
	keys *keySet
	view *view
	// Moments on the local monotonic clock at which, or after which, the auth server read what is known here. Each is a
	// time at which the stream was opened plus a time span that the server measured, so no two clocks are compared.
	keysRead, viewRead, answerRead time.Time
	serverTime                     time.Time // the auth server's clock at answerRead
	completed                      func()    // called with each complete view
}

// knowledge is what a decision is made on.
type knowledge struct {
	now             time.Time // by the auth server's clock
	keys            *keySet   // nil: none is known yet
	view            *view     // nil: there never was a complete one
	keyAge, viewAge time.Duration
}

func (t *trust) knowledge() knowledge {
	t.mu.RLock()
	defer t.mu.RUnlock()
	local := time.Now()
	k := knowledge{now: local, keys: t.keys, view: t.view}
	if !t.answerRead.IsZero() {
		k.now = t.serverTime.Add(since(t.answerRead, local))
	}
	if t.keys != nil {
		k.keyAge = since(t.keysRead, local)
	}
	if t.view != nil {
		k.viewAge = since(t.viewRead, local)
	}
	return k
}

// since is never negative: where the server's clock ran a little faster than ours, the answer is brand new.
func since(moment, now time.Time) time.Duration { return max(now.Sub(moment), 0) }

var errMissedRevocation = errors.New("the count of revocations is wrong: one was missed")

// watch is one stream of WatchRevocations, from opening to end.
type watch struct {
	trust       *trust
	opened      time.Time     // local, just before the stream was opened
	openUptime  time.Duration // the server's, from the first answer
	answered    bool
	keysCurrent bool  // the newest key set of this stream was good
	incoming    *view // a snapshot of which more follows
	addsToView  bool  // deltas of this stream add to the view: it was resumed, or its snapshot is complete
	completed   bool  // there was a complete view
}

// apply takes over one answer. badKeys says what is wrong with its key set; the last good one then stays in use and ages. After
// another error the stream is of no use, and what was known before stays.
func (w *watch) apply(answer *authapi.WatchRevocationsResponse) (badKeys, err error) {
	if err := checkAnswer(answer, w.answered); err != nil {
		return nil, err
	}
	if !w.answered {
		w.openUptime, w.answered = answer.GetOpenUptime().AsDuration(), true
	}
	t := w.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answerRead = w.opened.Add(answer.GetReadUptime().AsDuration() - w.openUptime)
	t.serverTime = answer.GetReadTime().AsTime()
	return w.applyKeys(answer.KeySet), w.applyRevocations(answer)
}

func (w *watch) applyKeys(message *authapi.KeySet) error {
	if message != nil {
		keys, err := readKeySet(message)
		if w.keysCurrent = err == nil; err != nil {
			return err
		}
		if !keys.equals(w.trust.keys) {
			w.trust.keys = keys
		}
	}
	if w.keysCurrent {
		w.trust.keysRead = w.trust.answerRead
	}
	return nil
}

func (w *watch) applyRevocations(answer *authapi.WatchRevocationsResponse) error {
	t, target := w.trust, w.trust.view
	if answer.GetPart() != authapi.WatchPart_WATCH_PART_DELTA {
		if w.incoming == nil {
			w.incoming = newView()
		}
		target = w.incoming
	} else if !w.addsToView || w.incoming != nil {
		return errors.New("a delta without the snapshot that it adds to")
	}
	count := target.update(answer.GetRevocations(), t.serverTime)
	if answer.GetPart() == authapi.WatchPart_WATCH_PART_SNAPSHOT {
		return nil
	}
	if count != int(answer.GetRuleCount()) {
		return errMissedRevocation
	}
	t.view, t.viewRead = target, t.answerRead
	w.incoming, w.addsToView = nil, true
	t.completed()
	return nil
}

func checkAnswer(answer *authapi.WatchRevocationsResponse, answered bool) error {
	switch answer.GetPart() {
	case authapi.WatchPart_WATCH_PART_SNAPSHOT, authapi.WatchPart_WATCH_PART_SNAPSHOT_END, authapi.WatchPart_WATCH_PART_DELTA:
	default:
		return fmt.Errorf("an answer of an unknown kind: %v", answer.GetPart())
	}
	if !answer.GetReadTime().IsValid() || !answer.GetReadUptime().IsValid() || !answered && !answer.GetOpenUptime().IsValid() {
		return errors.New("an answer without its times")
	}
	return checkRevocations(answer.GetRevocations())
}
