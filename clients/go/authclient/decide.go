package authclient

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

const (
	leeway = 30 * time.Second // how far two clocks may be apart
	// keyNotice is how young view and key set have to be for an unknown key to be a wrong one: keys are published before they
	// sign.
	keyNotice = 10 * time.Second
)

// judge makes every decision of the package, by its arguments alone: docs/local-verification.md, "What is decided". It
// knows no clock and no network. Safe for concurrent use.
type judge struct {
	accepted     origin
	maxStaleness time.Duration
	maxKeyAge    time.Duration
	cache        *signatureCache
	tokenSeen    func(cached bool)
	foreignToken func(from origin)
}

// askVerify asks AuthService.Verify about a token.
type askVerify func(token string) (*Identity, *refusal)

// decision is what becomes of a call. With a refusal it ends there.
type decision struct {
	caller   *caller // nil: nobody is known, as under a public rule
	refusal  *refusal
	observed *refusal // what would have been the refusal, had the rule not said `observe`
}

// caller is who sent a token.
type caller struct {
	token    string
	claims   *claims // nil: only Verify could judge the token
	identity Identity
	vouched  time.Time // local, just before Verify was asked, if it was; zero otherwise
}

func (j *judge) decide(rule *rule, md metadata.MD, known knowledge, ask askVerify) decision {
	if rule == nil {
		return decision{refusal: methodWithoutRule}
	}
	if rule.public {
		return decision{}
	}
	who, refused := j.identify(md, j.staleness(rule), known, ask)
	if refused == nil {
		refused = authorize(rule, who, known.now)
	}
	return conclude(rule, who, refused)
}

// conclude says what a refusal of steps 2 to 7 means under a rule.
func conclude(rule *rule, who *caller, refused *refusal) decision {
	switch {
	case refused == nil:
		return decision{caller: who}
	case rule.observe:
		return decision{caller: who, observed: refused}
	}
	return decision{refusal: refused}
}

func (j *judge) staleness(rule *rule) time.Duration {
	if rule.maxStaleness != nil {
		return *rule.maxStaleness
	}
	return j.maxStaleness
}

// identify does steps 2 to 6.
func (j *judge) identify(md metadata.MD, staleness time.Duration, known knowledge, ask askVerify) (*caller, *refusal) {
	token, refused := bearerToken(md)
	if refused != nil {
		return nil, refused
	}
	return j.identifyToken(token, staleness, known, ask, false)
}

// identifyToken does steps 3 to 6. A token that mayBeOutdated may be from before a change of what it says about the user.
func (j *judge) identifyToken(token string, staleness time.Duration, known knowledge, ask askVerify, mayBeOutdated bool) (*caller, *refusal) {
	claims, refused := j.readToken(token, known)
	if refused != nil {
		return nil, refused
	}
	if claims == nil {
		return identifiedByVerify(token, ask)
	}
	if refused := stillCounts(claims, known); refused != nil && !(mayBeOutdated && refused == tokenOutdated) {
		return nil, refused
	}
	if known.view == nil || staleness <= 0 || known.viewAge > staleness {
		if _, refused := ask(token); refused != nil {
			return nil, refused
		}
	}
	return &caller{token: token, claims: claims, identity: claims.identity()}, nil
}

// stillCounts does steps 4 and 5.
func stillCounts(claims *claims, known knowledge) *refusal {
	switch {
	case hasExpired(claims.expires, known.now):
		return tokenExpired
	case known.now.Add(leeway).Before(claims.notBefore):
		return tokenNotYetValid
	case known.view == nil:
		return nil
	}
	return known.view.refuses(claims.sessionID, claims.userID, claims.generation)
}

func identifiedByVerify(token string, ask askVerify) (*caller, *refusal) {
	identity, refused := ask(token)
	if refused != nil {
		return nil, refused
	}
	return &caller{token: token, identity: *identity}, nil
}

// bearerToken is step 2.
func bearerToken(md metadata.MD) (string, *refusal) {
	entries := md.Get("authorization")
	if len(entries) == 0 {
		return "", tokenMissing
	}
	// Proxies and servers take blanks off an entry, or drop it for them; it must not matter which.
	bare := strings.Trim(entries[0], " \t")
	if len(entries) == 1 && (bare == "" || strings.EqualFold(bare, "bearer")) {
		return "", tokenMissing
	}
	scheme, token, _ := strings.Cut(entries[0], " ")
	if len(entries) > 1 || !strings.EqualFold(scheme, "bearer") || token == "" {
		return "", tokenMalformed
	}
	return token, nil
}

// readToken is step 3: signature and claims. Without claims and without a refusal the token cannot be judged here, and only
// Verify can say.
func (j *judge) readToken(token string, known knowledge) (*claims, *refusal) {
	canJudge := known.keys != nil && !known.keys.isSharedSecret && known.keyAge <= j.maxKeyAge
	if canJudge {
		if claims := j.cache.find(token, known.keys); claims != nil {
			j.tokenSeen(true)
			return claims, nil
		}
	}
	parsed, refused := parseToken(token)
	if refused != nil {
		return nil, refused
	}
	if !canJudge {
		_, refused := j.readPayload(parsed.payload)
		return nil, refused
	}
	key := known.keys.keys[parsed.kid]
	if key == nil && (known.view == nil || max(known.viewAge, known.keyAge) > keyNotice) {
		_, refused := j.readPayload(parsed.payload)
		return nil, refused
	}
	if key == nil || key.alg != parsed.alg || !key.verifies(parsed.signed, parsed.signature) {
		return nil, tokenInvalid
	}
	claims, refused := j.readPayload(parsed.payload)
	if refused != nil {
		return nil, refused
	}
	j.tokenSeen(false)
	j.cache.add(token, key.keyIdentity, claims)
	return claims, nil
}

// readPayload does what of step 3 needs no key, also where the signature is for Verify to judge: whatever that says, a token
// of another issuer or for another audience does not count here.
func (j *judge) readPayload(payload []byte) (*claims, *refusal) {
	claims, from, ok := readClaims(payload)
	if !ok {
		return nil, tokenInvalid
	}
	if from != j.accepted {
		j.foreignToken(from)
		return nil, tokenInvalid
	}
	return claims, nil
}

func hasExpired(expires, now time.Time) bool { return !now.Add(-leeway).Before(expires) }

// authorize is step 7.
func authorize(rule *rule, who *caller, now time.Time) *refusal {
	holds := func(role string) bool { return slices.Contains(who.identity.Roles, role) }
	switch {
	case len(rule.anyRole) > 0 && !slices.ContainsFunc(rule.anyRole, holds):
		return roleMissing
	case rule.mfa && !slices.Contains(who.identity.AuthMethods, "mfa"):
		return mfaRequired
	case rule.maxAuthAge > 0 && now.Add(-leeway).After(who.identity.AuthTime.Add(rule.maxAuthAge)):
		return authenticationOld
	}
	return nil
}
