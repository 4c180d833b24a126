package authclient

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/grpc/metadata"
)

// Identity is the caller of an RPC, as their access token describes them.
type Identity struct {
	UserID      string    // UUID; the key to store with anything that belongs to the user
	UserName    string    // as it was typed at registration; for people to read
	SessionID   string    // UUID
	Roles       []string  // held when the token was issued
	AuthMethods []string  // how the user proved who they are (RFC 8176)
	AuthTime    time.Time // when they last did
	ExpireTime  time.Time // when the access token stops being accepted
}

// HasRole tells whether the caller holds a role.
func (i Identity) HasRole(role string) bool { return slices.Contains(i.Roles, role) }

// identity copies the lists, so that a handler that changes its own cannot change what is remembered of the token.
func (c *claims) identity() Identity {
	return Identity{
		UserID:      c.userID,
		UserName:    c.userName,
		SessionID:   c.sessionID,
		Roles:       slices.Clone(c.roles),
		AuthMethods: slices.Clone(c.authMethods),
		AuthTime:    c.authTime,
		ExpireTime:  c.expires,
	}
}

func identityFromMessage(message *authapi.Identity) *Identity {
	return &Identity{
		UserID:      message.GetUserId(),
		UserName:    message.GetUserName(),
		SessionID:   message.GetSessionId(),
		Roles:       message.GetRoles(),
		AuthMethods: message.GetAuthMethods(),
		AuthTime:    message.GetAuthTime().AsTime(),
		ExpireTime:  message.GetExpireTime().AsTime(),
	}
}

type callerKey struct{}

// currentCaller changes during a call when its stream is renewed.
type currentCaller = atomic.Pointer[caller]

func withCaller(ctx context.Context, who *currentCaller) context.Context {
	return context.WithValue(ctx, callerKey{}, who)
}

func callerFromContext(ctx context.Context) *caller {
	who, ok := ctx.Value(callerKey{}).(*currentCaller)
	if !ok {
		return nil
	}
	return who.Load()
}

// IdentityFromContext returns who is calling. False under a public rule, and where a rule with `observe` let a call pass
// that it would refuse for its token.
func IdentityFromContext(ctx context.Context) (Identity, bool) {
	who := callerFromContext(ctx)
	if who == nil {
		return Identity{}, false
	}
	return who.identity, true
}

// ForwardToken returns a context for calls that a handler makes on behalf of its caller: they carry the caller's token, so
// the next service judges the same user. Without it no token is ever passed on. ctx is returned as it is if nobody is known.
//
// Whoever receives the token can use it as the caller until it expires. Forward it to your own services only.
func ForwardToken(ctx context.Context) context.Context {
	who := callerFromContext(ctx)
	if who == nil {
		return ctx
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	md.Set("authorization", "Bearer "+who.token)
	return metadata.NewOutgoingContext(ctx, md)
}

// Entries by which other systems pass on who is calling. Here anybody could have set them. The list is that of guard.py.
var (
	forgeable = regexp.MustCompile(`^(?s:` +
		`x-(?:user(?:-.*|id|name|info)?|auth-.*|authenticated-.*|remote-user|roles?|identity-.*|email|groups|subject` +
		`|forwarded-(?:user|email|groups|preferred-username|client-cert)|consumer-.*|credential-.*|jwt-.*` +
		`|goog-authenticated-.*|endpoint-api-userinfo|amzn-oidc-.*|ms-client-principal.*)` +
		`|x_user.*|remote-user|authclient-.*)$`)
	// forgeableStarts is how each of them begins, for a quick look at each entry of each call.
	forgeableStarts = []string{"x-", "x_user", "remote-user", "authclient-"}
)

func isForged(key string) bool {
	begins := func(start string) bool { return strings.HasPrefix(key, start) }
	return slices.ContainsFunc(forgeableStarts, begins) && forgeable.MatchString(key)
}

// withoutForgedIdentity returns the metadata that a handler may see, and a context with just that.
func withoutForgedIdentity(ctx context.Context) (context.Context, metadata.MD) {
	md, _ := metadata.FromIncomingContext(ctx) // a copy
	before := len(md)
	for key := range md {
		if isForged(key) {
			delete(md, key)
		}
	}
	if len(md) < before {
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	return ctx, md
}
