package authclient

import (
	"encoding/base64"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	maxTokenBytes = 4096
	// tokenType is RFC 9068 section 2.1. Any other type is a token for another purpose.
	tokenType    = "at+jwt"
	longestLife  = 24 * 60 * 60    // seconds
	latestTime   = 253_402_300_799 // seconds; the end of the year 9999, the last moment of a Timestamp
	maxInt32     = 2_147_483_647   // of min_generation, which `gen` is compared with
	headerFields = 3               // alg, kid and typ
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// unpadded base64url. Strict refuses unused bits that are not zero, so that a token has one spelling (RFC 4648 section 3.5).
var base64URL = base64.RawURLEncoding.Strict()

// claims is what a good access token says. Immutable; identity makes the copy that handlers get.
type claims struct {
	userID, userName, sessionID string
	roles, authMethods          []string
	authTime                    time.Time
	notBefore, expires          time.Time // notBefore: the later one of nbf and iat
	generation                  int32
}

// parsedToken is a token text that has the form of ours. Nothing in it is proven.
type parsedToken struct {
	kid, alg                   string
	signed, payload, signature []byte
}

// parseToken refuses whatever cannot be a token of ours whichever key signed it. Nothing is decoded before length and
// alphabet are known.
func parseToken(text string) (*parsedToken, *refusal) {
	if len(text) > maxTokenBytes {
		return nil, tokenInvalid
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, tokenInvalid
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		// The decoder skips line breaks, so the alphabet is checked here.
		if part == "" || strings.ContainsAny(part, "\r\n") {
			return nil, tokenInvalid
		}
		if decoded[i], err = base64URL.DecodeString(part); err != nil {
			return nil, tokenInvalid
		}
	}
	// Exactly these members: whatever else a header may hold (crit, jku, jwk, x5u, zip, b64) asks for something that is not
	// done here.
	header, err := readObject(decoded[0])
	kid, hasKid := header["kid"].(string)
	alg, hasAlg := header["alg"].(string)
	if err != nil || len(header) != headerFields || !hasKid || !hasAlg || header["typ"] != tokenType {
		return nil, tokenInvalid
	}
	signed := text[:len(text)-len(parts[2])-1]
	return &parsedToken{kid, alg, []byte(signed), decoded[1], decoded[2]}, nil
}

// origin says who made a token, and for whom.
type origin struct{ issuer, audience string }

// readClaims reads a payload. Every claim is required and has one type (RFC 8725 section 3.8, RFC 9068 section 2.2).
func readClaims(payload []byte) (*claims, origin, bool) {
	object, err := readObject(payload)
	if err != nil {
		return nil, origin{}, false
	}
	r := claimReader{object: object, ok: true}
	issued, expires := r.integer("iat", latestTime), r.integer("exp", latestTime)
	authenticated := r.integer("auth_time", latestTime)
	c := &claims{
		userID:      r.uuid("sub"),
		userName:    r.text("preferred_username"),
		sessionID:   r.uuid("sid"),
		roles:       r.texts("roles"),
		authMethods: r.texts("amr"),
		authTime:    time.Unix(authenticated, 0).UTC(),
		notBefore:   time.Unix(max(r.integer("nbf", latestTime), issued), 0).UTC(),
		expires:     time.Unix(expires, 0).UTC(),
		generation:  int32(r.integer("gen", maxInt32)),
	}
	r.text("jti")
	r.text("client_id")
	from := origin{issuer: r.text("iss"), audience: r.text("aud")}
	life := expires - issued
	// A login later than the token would be recent enough for any max_auth_age, however old the token becomes.
	return c, from, r.ok && 0 < life && life <= longestLife && authenticated <= issued
}

// claimReader remembers whether every claim so far was there and of its type.
type claimReader struct {
	object map[string]any
	ok     bool
}

func (r *claimReader) text(name string) string {
	text, isText := r.object[name].(string)
	r.ok = r.ok && isText && isGoodText(text)
	return text
}

func (r *claimReader) uuid(name string) string {
	text := r.text(name)
	r.ok = r.ok && uuid.MatchString(text)
	return text
}

func (r *claimReader) integer(name string, most int64) int64 {
	value, isInteger := r.object[name].(int64)
	r.ok = r.ok && isInteger && 0 <= value && value <= most
	return value
}

func (r *claimReader) texts(name string) []string {
	items, isList := r.object[name].([]any)
	r.ok = r.ok && isList
	texts := make([]string, 0, len(items))
	for _, item := range items {
		text, isText := item.(string)
		r.ok = r.ok && isText && isGoodText(text)
		texts = append(texts, text)
	}
	return texts
}

// isGoodText also refuses half a surrogate pair: see readObject.
func isGoodText(text string) bool { return text != "" && utf8.ValidString(text) }

// signatureCache remembers for which token texts signature and claims were good, and with which key. Time, view and rule
// are judged at each call, so an entry that outlives its token does no harm.
//
// It holds at most 2 * half entries: a full new half becomes the old one, and what is used again moves to the new one.
type signatureCache struct {
	mu       sync.Mutex
	half     int
	new, old map[string]cachedToken
}

type cachedToken struct {
	key    keyIdentity
	claims *claims
}

func newSignatureCache(size int) *signatureCache {
	return &signatureCache{half: max(size/2, 1), new: map[string]cachedToken{}}
}

// find returns the claims of a token that was good and whose key is still in the set.
func (c *signatureCache) find(text string, keys *keySet) *claims {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, found := c.new[text]
	if !found {
		if entry, found = c.old[text]; !found {
			return nil
		}
		c.put(text, entry)
	}
	if key := keys.keys[entry.key.kid]; key == nil || key.keyIdentity != entry.key {
		return nil
	}
	return entry.claims
}

func (c *signatureCache) add(text string, key keyIdentity, claims *claims) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(text, cachedToken{key, claims})
}

func (c *signatureCache) put(text string, entry cachedToken) {
	if len(c.new) >= c.half {
		c.old, c.new = c.new, make(map[string]cachedToken, c.half)
	}
	c.new[text] = entry
}
