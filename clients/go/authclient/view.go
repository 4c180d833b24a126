package authclient

import (
	"errors"
	"fmt"
	"slices"
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
	byExpiry map[time.Time][]keptRule
	sessions map[string]int            // how many rules there are about each session
	users    map[string][]outdatedTill // those that count, by user: of growing expiry and falling generation
}

// keptRule is what has to be known of a rule to drop it.
type keptRule struct {
	seq     int64
	subject string // id of a session or a user
	isUser  bool
}

// outdatedTill says which tokens of a user are outdated until a rule is dropped.
type outdatedTill struct {
	minGeneration int32
	expiry        time.Time
}

func newView() *view {
	return &view{
		seqs:     map[int64]bool{},
		byExpiry: map[time.Time][]keptRule{},
		sessions: map[string]int{},
		users:    map[string][]outdatedTill{},
	}
}

// refuses judges a token by what is known about its session and its user.
func (v *view) refuses(sessionID, userID string, generation int32) *refusal {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.sessions[sessionID] > 0 {
		return sessionEnded
	}
	if outdated := v.users[userID]; len(outdated) > 0 && outdated[0].minGeneration > generation {
		return tokenOutdated
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
		expiry, outdated := rule.GetExpireTime().AsTime(), rule.GetOutdatedTokens()
		kept := keptRule{rule.GetSeq(), subjectOf(rule), outdated != nil}
		v.seqs[kept.seq] = true
		v.byExpiry[expiry] = append(v.byExpiry[expiry], kept)
		if kept.isUser {
			v.users[kept.subject] = withOutdated(v.users[kept.subject], outdatedTill{outdated.GetMinGeneration(), expiry})
		} else {
			v.sessions[kept.subject]++
		}
	}
	for expiry, over := range v.byExpiry {
		if expiry.After(readTime) {
			continue
		}
		for _, rule := range over {
			v.drop(rule, readTime)
		}
		delete(v.byExpiry, expiry)
	}
	return len(v.seqs)
}

func (v *view) drop(rule keptRule, readTime time.Time) {
	delete(v.seqs, rule.seq)
	if !rule.isUser {
		if v.sessions[rule.subject]--; v.sessions[rule.subject] == 0 {
			delete(v.sessions, rule.subject)
		}
		return
	}
	left := v.users[rule.subject]
	for len(left) > 0 && !left[0].expiry.After(readTime) {
		left = left[1:]
	}
	if v.users[rule.subject] = left; len(left) == 0 {
		delete(v.users, rule.subject)
	}
}

// withOutdated adds to the rules about a user, and takes away those that no longer make a difference: another one lasts as
// long and asks for as much. What is left needs no search, neither when a token is judged nor when rules are dropped.
func withOutdated(rules []outdatedTill, added outdatedTill) []outdatedTill {
	at, _ := slices.BinarySearchFunc(rules, added.expiry, func(rule outdatedTill, expiry time.Time) int {
		return rule.expiry.Compare(expiry)
	})
	if at < len(rules) && rules[at].minGeneration >= added.minGeneration {
		return rules
	}
	from, to := at, at
	if at < len(rules) && rules[at].expiry.Equal(added.expiry) {
		to++
	}
	for from > 0 && rules[from-1].minGeneration <= added.minGeneration {
		from--
	}
	return slices.Replace(rules, from, to, added)
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
		outdated := rule.GetOutdatedTokens()
		if subjectOf(rule) == "" || rule.ExpireTime == nil || outdated != nil && outdated.GetMinGeneration() <= 0 {
			return fmt.Errorf("revocation %d is of an unknown kind or about nobody", rule.GetSeq())
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
	heard                          time.Time // local, when the auth server was last heard
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
		k.now = t.serverTime.Add(local.Sub(t.answerRead))
	}
	if t.keys != nil {
		k.keyAge = local.Sub(t.keysRead)
	}
	if t.view != nil {
		k.viewAge = local.Sub(t.viewRead)
	}
	return k
}

// hear notes that the auth server has said something.
func (t *trust) hear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.heard = time.Now()
}

// isHeardSince tells whether the auth server has said anything since then.
func (t *trust) isHeardSince(moment time.Time) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.heard.After(moment)
}

// mostDrift is how far two monotonic clocks may have drifted apart in the life of a stream.
const mostDrift = time.Second

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
	read, arrived := w.opened.Add(answer.GetReadUptime().AsDuration()-w.openUptime), time.Now()
	if read.After(arrived.Add(mostDrift)) {
		return nil, errors.New("an answer was read later than it arrived")
	}
	if read.After(arrived) {
		read = arrived
	}
	t := w.trust
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answerRead, t.heard = read, arrived
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
