package authclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authapi "authservice/clients/go/authapi/v1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	ada       = "01a20085-fa8a-7737-a98f-785dd68aad51"
	bob       = "01a20085-fa8a-7737-a98f-785dd68aad52"
	session   = "01a20086-00bf-7c76-ae3d-97a520b94d9f"
	laterHers = "01a20086-00bf-7c76-ae3d-97a520b94da0"
)

// world is an auth server, a guarded service and a client, each with real connections between them.
//
// In inFakeTime the connections are pipes and the clock moves when everybody waits, so that hours take no time and nothing
// depends on how fast the machine is.
type world struct {
	*testing.T
	auth    *authServer
	dial    func(*grpc.Server) *grpc.ClientConn
	config  Config
	seen    *observations
	guard   *Guard
	service *service
	client  *grpc.ClientConn
}

// inFakeTime runs a claim in a world where only the auth server is up.
func inFakeTime(t *testing.T, claim func(w *world)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { claim(newWorld(t, dialPipe)) })
}

// overTCP is for claims about real connections.
func overTCP(t *testing.T, claim func(w *world)) {
	t.Parallel()
	claim(newWorld(t, dialTCP))
}

func newWorld(t *testing.T, dial func(*testing.T, *grpc.Server) *grpc.ClientConn) *world {
	seen := &observations{}
	return &world{
		T:      t,
		auth:   newAuthServer(t),
		dial:   func(server *grpc.Server) *grpc.ClientConn { return dial(t, server) },
		config: Config{Issuer: "authservice", Audience: "internal", Observer: seen, Policy: ReadPolicy(shopFiles(t))},
		seen:   seen,
	}
}

// start brings up the guard and the guarded service.
func (w *world) start() *world {
	return w.startWith(w.dial(w.auth.grpcServer()))
}

func (w *world) startWith(auth *grpc.ClientConn) *world {
	guard, err := New(auth, w.config)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(guard.Close)
	w.guard, w.service = guard, &service{}
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(guard.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(guard.StreamServerInterceptor()),
	)
	w.service.register(server)
	authapi.RegisterStreamServiceServer(server, guard.StreamService())
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	w.client = w.dial(server)
	return w
}

// started is a world whose guard has a complete, empty view.
func (w *world) started() (*world, *openWatch) {
	w.start()
	watch := w.auth.nextWatch()
	watch.send(snapshotEnd().with(w.auth.keySet()))
	w.eventually("there is a view", func() bool { _, complete := w.guard.ViewAge(); return complete })
	return w, watch
}

// eventually waits for a condition that holds soon.
func (w *world) eventually(what string, condition func() bool) {
	w.Helper()
	for range 10_000 {
		if condition() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	w.Fatalf("never: %s", what)
}

// call makes a unary call of the shop and returns the name of the user whom the handler saw.
func (w *world) call(method, token string, more ...string) (string, error) {
	answer := &wrapperspb.StringValue{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := w.client.Invoke(withToken(ctx, token, more...), "/test.v1.Shop/"+method, &wrapperspb.StringValue{}, answer)
	return answer.GetValue(), err
}

func (w *world) mustRefuse(code codes.Code, reason string, err error) {
	w.Helper()
	if status.Code(err) != code || Reason(err) != reason {
		w.Errorf("want %v with %s, got: %v", code, reason, err)
	}
}

func (w *world) mustPass(err error) {
	w.Helper()
	if err != nil {
		w.Errorf("refused: %v", err)
	}
}

func withToken(ctx context.Context, token string, more ...string) context.Context {
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return metadata.AppendToOutgoingContext(ctx, more...)
}

// --- connections -----------------------------------------------------------------------------------------------------

func dialPipe(t *testing.T, server *grpc.Server) *grpc.ClientConn {
	listener := bufconn.Listen(1 << 16)
	serve(t, server, listener)
	return connect(t, "passthrough:pipe", func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) })
}

func dialTCP(t *testing.T, server *grpc.Server) *grpc.ClientConn {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, server, listener)
	return connect(t, listener.Addr().String(), nil)
}

func serve(t *testing.T, server *grpc.Server, listener net.Listener) {
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
}

func connect(t *testing.T, target string, dialer func(context.Context, string) (net.Conn, error)) *grpc.ClientConn {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if dialer != nil {
		options = append(options, grpc.WithContextDialer(dialer))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// --- the auth server -------------------------------------------------------------------------------------------------

// authServer plays TrustService and AuthService. Tests say what each watch is sent, and what Verify answers.
type authServer struct {
	authapi.UnimplementedTrustServiceServer
	authapi.UnimplementedAuthServiceServer
	t       testing.TB
	key     *ecdsa.PrivateKey
	started time.Time
	watches chan *openWatch
	asked   atomic.Int32
	mu      sync.Mutex
	verify  func(token string) (*authapi.Identity, error)
}

var signingKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

func newAuthServer(t *testing.T) *authServer {
	a := &authServer{t: t, key: signingKey(), started: time.Now(), watches: make(chan *openWatch, 100)}
	a.verifyAnswers(nil, status.Error(codes.Unavailable, "nobody has said what Verify answers"))
	return a
}

func (a *authServer) grpcServer() *grpc.Server {
	server := grpc.NewServer()
	authapi.RegisterTrustServiceServer(server, a)
	authapi.RegisterAuthServiceServer(server, a)
	return server
}

func (a *authServer) verifyAnswers(identity *authapi.Identity, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verify = func(string) (*authapi.Identity, error) { return identity, err }
}

func (a *authServer) Verify(_ context.Context, request *authapi.VerifyRequest) (*authapi.VerifyResponse, error) {
	a.asked.Add(1)
	a.mu.Lock()
	verify := a.verify
	a.mu.Unlock()
	identity, err := verify(request.GetAccessToken())
	return &authapi.VerifyResponse{Identity: identity, ServerTime: timestamppb.Now()}, err
}

// openWatch is one WatchRevocations stream, as the server sees it.
type openWatch struct {
	server  *authServer
	request *authapi.WatchRevocationsRequest
	opened  time.Time
	answers chan *authapi.WatchRevocationsResponse
	end     chan error
	over    context.Context
	first   bool
}

func (a *authServer) WatchRevocations(
	request *authapi.WatchRevocationsRequest, stream grpc.ServerStreamingServer[authapi.WatchRevocationsResponse],
) error {
	w := &openWatch{
		server: a, request: request, opened: time.Now(), first: true,
		answers: make(chan *authapi.WatchRevocationsResponse), end: make(chan error), over: stream.Context(),
	}
	a.watches <- w
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case err := <-w.end:
			return err
		case answer := <-w.answers:
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
	}
}

func (a *authServer) nextWatch() *openWatch {
	a.t.Helper()
	select {
	case w := <-a.watches:
		return w
	case <-time.After(20 * time.Second):
		a.t.Fatal("no watch was opened")
		return nil
	}
}

// send stamps an answer with the time and sends it.
func (w *openWatch) send(answer *answer) {
	w.sendAsItIs(answer.readNow(w.server))
}

func (w *openWatch) sendAsItIs(answer *answer) {
	if !w.deliver(answer) {
		w.server.t.Error("the watch has ended")
	}
}

func (w *openWatch) deliver(answer *answer) bool {
	if w.first {
		answer.OpenUptime = durationpb.New(w.opened.Sub(w.server.started) + time.Hour)
	}
	w.first = false
	select {
	case w.answers <- answer.WatchRevocationsResponse:
		return true
	case <-w.over.Done():
		return false
	}
}

// beat sends heartbeats for a while, one a second.
func (w *openWatch) beat(count int32, seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		w.send(delta().counting(count))
	}
}

// keepBeating sends heartbeats of an empty view until the watch ends.
func (w *openWatch) keepBeating() {
	for w.deliver(delta().readNow(w.server)) {
		select {
		case <-time.After(time.Second):
		case <-w.over.Done():
		}
	}
}

type answer struct {
	*authapi.WatchRevocationsResponse
}

func newAnswer(part authapi.WatchPart, rules []*authapi.Revocation) *answer {
	return &answer{&authapi.WatchRevocationsResponse{Part: part, Revocations: rules, RuleCount: int32(len(rules))}}
}

func snapshotPart(rules ...*authapi.Revocation) *answer {
	return newAnswer(authapi.WatchPart_WATCH_PART_SNAPSHOT, rules)
}

func snapshotEnd(rules ...*authapi.Revocation) *answer {
	return newAnswer(authapi.WatchPart_WATCH_PART_SNAPSHOT_END, rules)
}

func delta(rules ...*authapi.Revocation) *answer {
	return newAnswer(authapi.WatchPart_WATCH_PART_DELTA, rules)
}

func (a *answer) readNow(server *authServer) *answer {
	a.ReadTime = timestamppb.Now()
	a.ReadUptime = durationpb.New(time.Since(server.started) + time.Hour)
	return a
}

func (a *answer) with(keys *authapi.KeySet) *answer { a.KeySet = keys; return a }

func (a *answer) counting(rules int32) *answer { a.RuleCount = rules; return a }

func (a *answer) resumingAt(seq int64) *answer {
	a.ResumePoint = &authapi.ResumePoint{History: "h", Seq: seq}
	return a
}

func ended(seq int64, sessionID string) *authapi.Revocation {
	return &authapi.Revocation{
		Seq: seq, Subject: &authapi.Revocation_SessionId{SessionId: sessionID}, ExpireTime: inAnHour(),
	}
}

func outdated(seq int64, userID string, generation int32) *authapi.Revocation {
	return &authapi.Revocation{
		Seq: seq,
		Subject: &authapi.Revocation_OutdatedTokens{
			OutdatedTokens: &authapi.OutdatedTokens{UserId: userID, MinGeneration: generation},
		},
		ExpireTime: inAnHour(),
	}
}

func inAnHour() *timestamppb.Timestamp {
	return timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Minute))
}

func (a *authServer) keySet() *authapi.KeySet {
	der, err := x509.MarshalPKIXPublicKey(&a.key.PublicKey)
	if err != nil {
		a.t.Fatal(err)
	}
	key := &authapi.SigningKey{Kid: "k1", Alg: "ES256", PublicKey: der, State: authapi.KeyState_KEY_STATE_ACTIVE}
	return &authapi.KeySet{Keys: []*authapi.SigningKey{key}}
}

// otherKeySet is what is left after the key that signs was removed.
func (a *authServer) otherKeySet() *authapi.KeySet {
	set := a.keySet()
	set.Keys[0].Kid = "k2"
	return set
}

// token signs claims: those of Ada, with changes.
func (a *authServer) token(changes ...map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "authservice", "aud": "internal", "client_id": "first-party", "jti": "KYUlQzBb0TXwXgeZHnUB7g",
		"sub": ada, "sid": session, "preferred_username": "ada", "gen": 0,
		"iat": now, "nbf": now, "auth_time": now, "exp": now + 900, "amr": []string{"pwd"}, "roles": []string{},
	}
	for _, change := range changes {
		maps.Copy(claims, change)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		a.t.Fatal(err)
	}
	signed := base64URL.EncodeToString([]byte(`{"alg":"ES256","kid":"k1","typ":"at+jwt"}`)) + "." + base64URL.EncodeToString(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, a.key, digest[:])
	if err != nil {
		a.t.Fatal(err)
	}
	if order := a.key.Params().N; s.Cmp(new(big.Int).Rsh(order, 1)) > 0 {
		s.Sub(order, s)
	}
	return signed + "." + base64URL.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func identityOf(userID string) *authapi.Identity {
	now := time.Now()
	return &authapi.Identity{
		UserId: userID, UserName: "by verify", SessionId: session, Roles: []string{"support"},
		AuthTime: timestamppb.New(now), ExpireTime: timestamppb.New(now.Add(15 * time.Minute)),
	}
}

func refusalOfVerify(reason string) error {
	refused, _ := status.New(codes.Unauthenticated, "no").WithDetails(errorInfo(reason))
	return refused.Err()
}

func errorInfo(reason string) *errdetails.ErrorInfo {
	return &errdetails.ErrorInfo{Domain: ErrorDomain, Reason: reason}
}

// --- the guarded service ---------------------------------------------------------------------------------------------

// shop is a service with a method for each kind of call and each kind of rule.
var shop = []struct {
	name                   string
	clientStreams, streams bool
	rule                   *authapi.Rule
}{
	{"Buy", false, false, &authapi.Rule{Authenticated: true}},
	{"Look", false, false, &authapi.Rule{Public: true}},
	{"Forgotten", false, false, nil},
	{"Contradiction", false, false, &authapi.Rule{Public: true, Mfa: true}},
	{"Support", false, false, &authapi.Rule{AnyRole: []string{"support", "admin"}}},
	{"Observed", false, false, &authapi.Rule{AnyRole: []string{"support"}, Observe: true}},
	{"Careful", false, false, &authapi.Rule{Authenticated: true, MaxStaleness: &durationpb.Duration{}}},
	{"Up", true, false, &authapi.Rule{Authenticated: true}},
	{"Down", false, true, &authapi.Rule{Authenticated: true}},
	{"Both", true, true, &authapi.Rule{Authenticated: true}},
	{"SupportBoth", true, true, &authapi.Rule{AnyRole: []string{"support"}}},
	{"ProvedBoth", true, true, &authapi.Rule{Authenticated: true, Mfa: true}},
	{"CarefulBoth", true, true, &authapi.Rule{Authenticated: true, MaxStaleness: &durationpb.Duration{}}},
	{"ObservedBoth", true, true, &authapi.Rule{Authenticated: true, Observe: true}},
	{"LookBoth", true, true, &authapi.Rule{Public: true}},
	{"ForgottenBoth", true, true, nil},
}

// shopFiles is the shop's .proto, and those of this package.
func shopFiles(t testing.TB) *protoregistry.Files {
	text := ".google.protobuf.StringValue"
	described := &descriptorpb.ServiceDescriptorProto{Name: proto.String("Shop")}
	for _, m := range shop {
		method := &descriptorpb.MethodDescriptorProto{
			Name: &m.name, InputType: &text, OutputType: &text, ClientStreaming: &m.clientStreams, ServerStreaming: &m.streams,
			Options: &descriptorpb.MethodOptions{},
		}
		if m.rule != nil {
			proto.SetExtension(method.Options, authapi.E_Rule, m.rule)
		}
		described.Method = append(described.Method, method)
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("test/v1/shop.proto"), Package: proto.String("test.v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"}, Service: []*descriptorpb.ServiceDescriptorProto{described},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	files := &protoregistry.Files{}
	for _, err := range []error{files.RegisterFile(file), files.RegisterFile(authapi.File_authapi_v1_stream_service_proto)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// service answers each unary call with the name of the caller. A test says what its streams do.
type service struct {
	unary  func(ctx context.Context)
	stream func(stream grpc.ServerStream) error
}

func (s *service) register(server *grpc.Server) {
	described := &grpc.ServiceDesc{ServiceName: "test.v1.Shop"}
	for _, m := range shop {
		if m.clientStreams || m.streams {
			described.Streams = append(described.Streams, grpc.StreamDesc{
				StreamName: m.name, ClientStreams: m.clientStreams, ServerStreams: m.streams,
				Handler: func(_ any, stream grpc.ServerStream) error { return s.stream(stream) },
			})
			continue
		}
		described.Methods = append(described.Methods, grpc.MethodDesc{MethodName: m.name, Handler: s.answer("/test.v1.Shop/" + m.name)})
	}
	server.RegisterService(described, nil)
}

func (s *service) answer(fullMethod string) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		request := &wrapperspb.StringValue{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return interceptor(ctx, request, &grpc.UnaryServerInfo{FullMethod: fullMethod}, func(ctx context.Context, _ any) (any, error) {
			if s.unary != nil {
				s.unary(ctx)
			}
			return wrapperspb.String(nameOfCaller(ctx)), nil
		})
	}
}

func nameOfCaller(ctx context.Context) string {
	identity, known := IdentityFromContext(ctx)
	if !known {
		return "nobody"
	}
	return identity.UserName
}

// --- what was observed -----------------------------------------------------------------------------------------------

type observations struct {
	mu        sync.Mutex
	events    []string
	onRefusal func()
}

func (o *observations) note(event string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

func (o *observations) Refused(method, reason string, wouldBe bool) {
	o.note(fmt.Sprintf("%s %s %v", method, reason, wouldBe))
	if o.onRefusal != nil {
		o.onRefusal()
	}
}
func (o *observations) TokenSeen(cached bool) { o.note(fmt.Sprintf("seen %v", cached)) }
func (o *observations) ForeignToken(issuer, audience string) {
	o.note("foreign: " + issuer + " " + audience)
}
func (o *observations) WatchLost(err error) { o.note("lost: " + err.Error()) }
func (o *observations) WatchOpened()        { o.note("opened") }
func (o *observations) Fault(err error)     { o.note("fault: " + err.Error()) }

func (o *observations) has(event string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.events, event)
}

func (o *observations) count(event string) int {
	return o.countIf(func(e string) bool { return e == event })
}

func (o *observations) faults() int {
	return o.countIf(func(e string) bool { return strings.HasPrefix(e, "fault: ") || strings.HasPrefix(e, "lost: ") })
}

func (o *observations) countIf(isMeant func(event string) bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, e := range o.events {
		if isMeant(e) {
			n++
		}
	}
	return n
}
