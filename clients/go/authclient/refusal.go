package authclient

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// ErrorDomain is the domain of the google.rpc.ErrorInfo in each refusal.
const ErrorDomain = "authservice"

// refusal is why a call is not let through. It is nil where nothing stands against the call, and otherwise the error that
// an interceptor returns.
type refusal struct {
	code    codes.Code
	reason  string // name of an authapi.v1.ErrorReason without its prefix
	message string
}

// Clients of services in any language read the same texts: they are those of refusals.py.
const (
	textMissing     = `Send one access token, as one entry "authorization: Bearer <token>".`
	textNotAccepted = "The token is not accepted. Refresh it or log in again."
	textWithoutRule = "This method is refused to everybody, because its server has no rule for it. The log there says why."
)

var (
	tokenMissing     = &refusal{codes.Unauthenticated, "TOKEN_MISSING", textMissing}
	tokenInvalid     = &refusal{codes.Unauthenticated, "TOKEN_INVALID", textNotAccepted}
	tokenMalformed   = &refusal{codes.Unauthenticated, "TOKEN_INVALID", textMissing} // the entry, and not the token
	tokenExpired     = &refusal{codes.Unauthenticated, "TOKEN_EXPIRED", textNotAccepted}
	tokenNotYetValid = &refusal{codes.Unauthenticated, "TOKEN_NOT_YET_VALID", textNotAccepted}
	tokenOutdated    = &refusal{codes.Unauthenticated, "TOKEN_OUTDATED", textNotAccepted}
	sessionEnded     = &refusal{codes.Unauthenticated, "SESSION_ENDED", textNotAccepted}

	methodWithoutRule = &refusal{codes.PermissionDenied, "METHOD_WITHOUT_RULE", textWithoutRule}
	roleMissing       = &refusal{codes.PermissionDenied, "ROLE_MISSING", "This needs a role that you do not have."}
	mfaRequired       = &refusal{codes.PermissionDenied, "MFA_REQUIRED", "This needs a second factor. Call StepUp with a code or a passkey, or set one up first."}
	authenticationOld = &refusal{codes.PermissionDenied, "AUTHENTICATION_TOO_OLD", "This needs a more recent proof of who you are. Call StepUp, or log in again."}

	unavailable   = &refusal{codes.Unavailable, "VERIFICATION_UNAVAILABLE", "The token cannot be checked right now. Try again."}
	streamUnknown = &refusal{codes.NotFound, "STREAM_UNKNOWN", "There is no such stream of yours here."}
)

// retryDelay travels with UNAVAILABLE.
const retryDelay = time.Second

func (r *refusal) Error() string { return r.GRPCStatus().String() }

// GRPCStatus lets gRPC send the refusal as it is.
func (r *refusal) GRPCStatus() *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: r.reason, Domain: ErrorDomain}}
	if r.code == codes.Unavailable {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay)})
	}
	withDetails, err := status.New(r.code, r.message).WithDetails(details...)
	if err != nil {
		return status.New(r.code, r.message)
	}
	return withDetails
}

// Reason returns the reason of a refusal by authservice or by any service that it protects, such as "SESSION_ENDED":
// the name of an authapi.v1.ErrorReason without its prefix. Empty if err is something else.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == ErrorDomain {
			return info.GetReason()
		}
	}
	return ""
}

// refusedByVerify is the refusal that an UNAUTHENTICATED answer of Verify asks for. Without one of these reasons the answer
// came from something else on the way, a proxy that does not know this service for one, and says nothing about the token.
func refusedByVerify(err error) *refusal {
	reason := Reason(err)
	for _, r := range []*refusal{tokenMissing, tokenInvalid, tokenExpired, tokenNotYetValid, sessionEnded, tokenOutdated} {
		if status.Code(err) == r.code && reason == r.reason {
			return r
		}
	}
	return unavailable
}
