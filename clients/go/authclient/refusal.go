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

var (
	methodWithoutRule = &refusal{codes.PermissionDenied, "METHOD_WITHOUT_RULE", "This method says nowhere who may call it."}
	roleMissing       = &refusal{codes.PermissionDenied, "ROLE_MISSING", "None of your roles may call this."}
	mfaRequired       = &refusal{codes.PermissionDenied, "MFA_REQUIRED", "Log in with a second factor."}
	authenticationOld = &refusal{codes.PermissionDenied, "AUTHENTICATION_TOO_OLD", "You logged in too long ago. Log in again."}

	tokenMissing     = &refusal{codes.Unauthenticated, "TOKEN_MISSING", "Send an access token."}
	tokenInvalid     = &refusal{codes.Unauthenticated, "TOKEN_INVALID", "The access token is not valid. Log in again."}
	tokenExpired     = &refusal{codes.Unauthenticated, "TOKEN_EXPIRED", "The access token has expired. Refresh it."}
	tokenNotYetValid = &refusal{codes.Unauthenticated, "TOKEN_NOT_YET_VALID", "The access token is not valid yet. Compare clocks."}
	sessionEnded     = &refusal{codes.Unauthenticated, "SESSION_ENDED", "The session has ended. Log in again."}
	tokenOutdated    = &refusal{codes.Unauthenticated, "TOKEN_OUTDATED", "The access token is outdated. Refresh it."}

	unavailable   = &refusal{codes.Unavailable, "VERIFICATION_UNAVAILABLE", "The token cannot be judged right now. Try again."}
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
