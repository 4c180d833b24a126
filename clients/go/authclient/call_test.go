package authclient

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func TestAGoodTokenTellsTheHandlerWhoIsCalling(t *testing.T) {
	overTCP(t, func(w *world) {
		w.started()
		var identity Identity
		w.service.unary = func(ctx context.Context) { identity, _ = IdentityFromContext(ctx) }
		name, err := w.call("Buy", w.auth.token(map[string]any{"roles": []string{"reader"}}))
		w.mustPass(err)
		isHers := identity.UserID == ada && identity.SessionID == session && identity.HasRole("reader")
		if name != "ada" || !isHers || time.Until(identity.ExpireTime) > 15*time.Minute {
			w.Errorf("the handler saw %+v", identity)
		}
	})
}

func TestMethodsWithoutAGoodRuleAreRefusedToEverybody(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		for _, method := range []string{"Forgotten", "Contradiction"} {
			_, err := w.call(method, w.auth.token())
			w.mustRefuse(codes.PermissionDenied, "METHOD_WITHOUT_RULE", err)
		}
		w.service.stream = func(grpc.ServerStream) error { w.Error("the handler ran"); return nil }
		_, _, err := w.open("ForgottenBoth", w.auth.token()).receive()
		w.mustRefuse(codes.PermissionDenied, "METHOD_WITHOUT_RULE", err)
	})
}

// Before 1.79.3 grpc routes such a path as the right one, and tells interceptors of streams what stands there
// (CVE-2026-33186); since then it refuses it.
func TestAPathWithoutItsSlashReachesNoHandlerWithoutAToken(t *testing.T) {
	overTCP(t, func(w *world) {
		w.started()
		w.service.unary = func(context.Context) { w.Error("the handler of a call ran") }
		w.service.stream = func(grpc.ServerStream) error { w.Error("the handler of a stream ran"); return nil }
		if w.client.Invoke(context.Background(), "test.v1.Shop/Buy", text(""), text("")) == nil {
			w.Error("the call was let through")
		}
		stream, err := w.client.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, "test.v1.Shop/Down")
		if err == nil {
			w.mustPass(stream.SendMsg(text("")))
			w.mustPass(stream.CloseSend())
			err = stream.RecvMsg(text(""))
		}
		if err == nil {
			w.Error("the stream was let through")
		}
	})
}

func TestWhyAMethodIsRefusedToEverybodyIsToldOnce(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.Policy = ReadPolicy(&protoregistry.Files{})
		w.started()
		for range 3 {
			_, err := w.call("Buy", w.auth.token())
			w.mustRefuse(codes.PermissionDenied, "METHOD_WITHOUT_RULE", err)
		}
		unread := "fault: refused to everybody: /test.v1.Shop/Buy: its .proto is not among those that were read"
		if w.seen.count(unread) != 1 {
			w.Errorf("told of: %v", w.seen.events)
		}
	})
}

func TestCheckNamesTheMethodsThatAreRefusedToEverybody(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		server := grpc.NewServer()
		w.service.register(server)
		healthpb.RegisterHealthServer(server, healthpb.UnimplementedHealthServer{})
		server.RegisterService(&grpc.ServiceDesc{ServiceName: "x.Unread", Methods: []grpc.MethodDesc{{MethodName: "M"}}}, nil)
		want := "/test.v1.Shop/Contradiction: nothing can stand beside public\n" +
			"/test.v1.Shop/Forgotten: it has no rule\n" +
			"/test.v1.Shop/ForgottenBoth: it has no rule\n" +
			"/x.Unread/M: its .proto is not among those that were read"
		if got := fmt.Sprint(w.guard.Check(server)); got != want {
			w.Errorf("got:\n%s", got)
		}
	})
}

func TestAPublicMethodLooksAtNoToken(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		for _, token := range []string{"", "garbage", w.auth.token()} {
			if name, err := w.call("Look", token); name != "nobody" || err != nil {
				w.Errorf("with %q: %s, %v", token, name, err)
			}
		}
	})
}

func TestHealthAndReflectionNeedNoRule(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		_, err := healthpb.NewHealthClient(w.client).Check(context.Background(), &healthpb.HealthCheckRequest{})
		w.mustPass(err)
		stream, err := reflectionpb.NewServerReflectionClient(w.client).ServerReflectionInfo(context.Background())
		w.mustPass(err)
		w.mustPass(stream.Send(&reflectionpb.ServerReflectionRequest{
			MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{},
		}))
		_, err = stream.Recv()
		w.mustPass(err)
		w.mustPass(stream.CloseSend())
	})
}

func TestATokenComesInExactlyOneBearerEntry(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		token := w.auth.token()
		_, err := w.call("Buy", "")
		w.mustRefuse(codes.Unauthenticated, "TOKEN_MISSING", err)
		_, err = w.call("Buy", token, "authorization", "Bearer "+token)
		w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
		for _, entry := range []string{"Basic " + token, token, "Basic", "Bearer:" + token} {
			_, err = w.call("Buy", "", "authorization", entry)
			w.mustRefuse(codes.Unauthenticated, "TOKEN_INVALID", err)
			if said := status.Convert(err).Message(); said != textMissing {
				w.Errorf("%s: it does not say how the entry has to look: %s", entry, said)
			}
		}
		for _, entry := range []string{"Bearer", "bearer", "Bearer ", "Bearer  ", ""} {
			_, err = w.call("Buy", "", "authorization", entry)
			w.mustRefuse(codes.Unauthenticated, "TOKEN_MISSING", err)
		}
		_, err = w.call("Buy", "", "authorization", "bEARER "+token)
		w.mustPass(err)
	})
}

func TestForgedIdentityNeverReachesAHandler(t *testing.T) {
	forged := []string{
		"x-user", "x-user-id", "x-auth-token", "x-authenticated-user", "x-forwarded-user", "x-forwarded-email", "x-forwarded-groups",
		"x-forwarded-preferred-username", "x-remote-user", "remote-user", "x-role", "x-roles", "x-identity-sub", "authclient-stream",
		"x-userid", "x-username", "x-userinfo", "x-user-", "x-email", "x-groups", "x-subject", "x-forwarded-client-cert", "x-consumer-id",
		"x-credential-identifier", "x-jwt-payload", "x-goog-authenticated-user-email", "x-endpoint-api-userinfo",
		"x-amzn-oidc-data", "x-ms-client-principal", "x-ms-client-principal-id", "x_user", "x_user_id",
	}
	overTCP(t, func(w *world) {
		w.started()
		var entries []string
		for _, key := range append(forged, "x-users", "x-request-id", "x-forwarded-for", "x-emails", "user") {
			entries = append(entries, key, "eve")
		}
		see := func(ctx context.Context) {
			md, _ := metadata.FromIncomingContext(ctx)
			for key := range md {
				if slices.Contains(forged, key) {
					w.Errorf("the handler saw %s", key)
				}
			}
			if len(md["x-users"]) != 1 || len(md["x-request-id"]) != 1 || len(md["x-forwarded-for"]) != 1 || len(md["x-emails"]) != 1 || len(md["user"]) != 1 {
				w.Errorf("too much was removed: %v", md)
			}
		}
		w.service.unary = see
		w.service.stream = func(stream grpc.ServerStream) error { see(stream.Context()); return nil }
		for _, method := range []string{"Look", "Buy"} {
			_, err := w.call(method, w.auth.token(), entries...)
			w.mustPass(err)
		}
		for _, method := range []string{"LookBoth", "Both"} {
			w.open(method, w.auth.token(), entries...).mustEndWell()
		}
	})
}

func TestACallerWithoutTheRoleIsRefused(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		_, err := w.call("Support", w.auth.token(map[string]any{"roles": []string{"reader"}}))
		w.mustRefuse(codes.PermissionDenied, "ROLE_MISSING", err)
		_, err = w.call("Support", w.auth.token(map[string]any{"roles": []string{"reader", "support"}}))
		w.mustPass(err)
	})
}

func TestARuleThatObservesCountsAndLetsPass(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		name, err := w.call("Observed", w.auth.token())
		w.mustPass(err)
		if name != "ada" || w.seen.count("/test.v1.Shop/Observed ROLE_MISSING true") != 1 {
			w.Errorf("%s: %v", name, w.seen.events)
		}
		name, err = w.call("Observed", "garbage")
		w.mustPass(err)
		if name != "nobody" || w.seen.count("/test.v1.Shop/Observed TOKEN_INVALID true") != 1 {
			w.Errorf("%s: %v", name, w.seen.events)
		}
	})
}

func TestRefusalsAreObserved(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		_, _ = w.call("Buy", "")
		if w.seen.count("/test.v1.Shop/Buy TOKEN_MISSING false") != 1 {
			w.Error(w.seen.events)
		}
	})
}

func TestZeroStalenessAsksVerifyEachTime(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		token := w.auth.token()
		w.auth.verifyAnswers(identityOf(ada), nil)
		for range 3 {
			_, err := w.call("Careful", token)
			w.mustPass(err)
		}
		if asked := w.auth.asked.Load(); asked != 3 {
			w.Errorf("asked %d times", asked)
		}
		w.auth.verifyAnswers(nil, refusalOfVerify("SESSION_ENDED"))
		_, err := w.call("Careful", token)
		w.mustRefuse(codes.Unauthenticated, "SESSION_ENDED", err)
	})
}

func TestOnlyAReasonOfVerifySaysThatATokenIsBad(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		for _, answer := range []error{
			status.Error(codes.Unavailable, "away"),
			status.Error(codes.Internal, "broken"),
			status.Error(codes.Unauthenticated, "a proxy on the way"),
			refusalOfVerify("A_REASON_OF_THE_FUTURE"),
			refusalOfVerify("CREDENTIALS_INVALID"),
			nil, // an answer without an identity
		} {
			w.auth.verifyAnswers(nil, answer)
			_, err := w.call("Careful", w.auth.token())
			w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
			isRetry := func(detail any) bool {
				retry, is := detail.(*errdetails.RetryInfo)
				return is && retry.GetRetryDelay().AsDuration() == time.Second
			}
			if !slices.ContainsFunc(status.Convert(err).Details(), isRetry) {
				w.Errorf("no RetryInfo: %v", err)
			}
		}
	})
}

func TestACallBeforeTheFirstViewWaitsForIt(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		token := w.auth.token()
		answered := make(chan error)
		go func() { _, err := w.call("Buy", token); answered <- err }()
		watch := w.auth.nextWatch()
		time.Sleep(time.Second)
		watch.send(snapshotEnd().with(w.auth.keySet()))
		w.mustPass(<-answered)
		if w.auth.asked.Load() != 0 {
			w.Error("Verify was asked")
		}
	})
}

func TestACallThatHasWaitedLongEnoughAsksVerify(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.start()
		w.auth.verifyAnswers(identityOf(ada), nil)
		before := time.Now()
		name, err := w.call("Buy", w.auth.token())
		w.mustPass(err)
		if waited := time.Since(before); name != "by verify" || waited != 2*time.Second {
			w.Errorf("%s after %v", name, waited)
		}
		_, err = w.call("Support", w.auth.token()) // its roles are those that Verify says
		w.mustPass(err)
	})
}

func TestACallNeverWaitsBeyondItsDeadline(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.FirstViewWait = time.Hour
		w.start()
		ended := make(chan time.Duration, 1)
		before := time.Now()
		w.service.unary = func(context.Context) { w.Error("the handler ran") }
		w.seen.onRefusal = func() { ended <- time.Since(before) }
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.client.Invoke(withToken(ctx, w.auth.token()), "/test.v1.Shop/Buy", text(""), text(""))
		if waited := <-ended; waited > 1100*time.Millisecond {
			w.Errorf("it waited %v", waited)
		}
	})
}

func TestAPanicInsideTheGuardRefusesTheCall(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.config.Observer = brokenObserver{}
		w.start()
		w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
		synctest.Wait()
		_, err := w.call("Buy", w.auth.token())
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		_, err = w.call("Forgotten", w.auth.token())
		w.mustRefuse(codes.PermissionDenied, "METHOD_WITHOUT_RULE", err)
		name, err := w.call("Observed", w.auth.token())
		if w.mustPass(err); name != "nobody" {
			w.Errorf("the handler saw %s", name)
		}
		_, _, err = w.open("Both", w.auth.token()).receive()
		w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
		w.service.stream = func(stream grpc.ServerStream) error { greet(stream); return nil }
		w.open("ObservedBoth", w.auth.token()).mustReceive("nobody")
	})
}

type brokenObserver struct{}

func (brokenObserver) Refused(string, string, bool) { panic("refused") }
func (brokenObserver) TokenSeen(bool)               { panic("seen") }
func (brokenObserver) ForeignToken(string, string)  { panic("foreign") }
func (brokenObserver) WatchLost(error)              { panic("lost") }
func (brokenObserver) WatchOpened()                 { panic("opened") }
func (brokenObserver) Fault(error)                  { panic("fault") }

func TestATokenIsForwardedOnlyOnRequest(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		token := w.auth.token()
		w.service.unary = func(ctx context.Context) {
			if md, _ := metadata.FromOutgoingContext(ctx); len(md) > 0 {
				w.Errorf("it is forwarded without being asked: %v", md)
			}
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer mine", "x-request-id", "7")
			md, _ := metadata.FromOutgoingContext(ForwardToken(ctx))
			if !slices.Equal(md["authorization"], []string{"Bearer " + token}) || len(md["x-request-id"]) != 1 {
				w.Errorf("forwarded: %v", md)
			}
		}
		_, err := w.call("Buy", token)
		w.mustPass(err)
		w.service.unary = func(ctx context.Context) {
			if md, _ := metadata.FromOutgoingContext(ForwardToken(ctx)); len(md) > 0 {
				w.Errorf("the token of a public call was forwarded: %v", md)
			}
		}
		_, err = w.call("Look", token)
		w.mustPass(err)
	})
}

func TestAHandlerCannotChangeWhatIsRememberedOfAToken(t *testing.T) {
	inFakeTime(t, func(w *world) {
		w.started()
		token := w.auth.token(map[string]any{"roles": []string{"reader"}})
		w.service.unary = func(ctx context.Context) {
			identity, _ := IdentityFromContext(ctx)
			identity.Roles[0] = "support"
		}
		_, err := w.call("Buy", token)
		w.mustPass(err)
		_, err = w.call("Support", token)
		w.mustRefuse(codes.PermissionDenied, "ROLE_MISSING", err)
	})
}

func TestTheCacheStaysWithinItsSizeAndKeepsWhatIsUsed(t *testing.T) {
	cache := newSignatureCache(100)
	key := keyIdentity{kid: "k"}
	keys := &keySet{keys: map[string]*publicKey{"k": {keyIdentity: key}}}
	used := &claims{}
	cache.add("used", key, used)
	for i := range 10_000 {
		cache.add(strings.Repeat("x", i), key, &claims{})
		if cache.find("used", keys) != used {
			t.Fatalf("it was forgotten after %d others", i)
		}
	}
	if size := len(cache.new) + len(cache.old); size > 100 {
		t.Errorf("%d entries", size)
	}
}
