package authclient

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
)

// nameServer answers every question for IPv4 addresses with those that a test may change, and has no other records.
type nameServer struct {
	address string
	answer  atomic.Pointer[[]netip.Addr] // nil: there is no such name
	asked   atomic.Int64
}

func newNameServer(t *testing.T) *nameServer {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	server := &nameServer{address: socket.LocalAddr().String()}
	go func() {
		question := make([]byte, 512)
		for {
			size, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(server.reply(question[:size]), from)
		}
	}()
	return server
}

// reply is RFC 1035, section 4, for a message of one question.
func (s *nameServer) reply(question []byte) []byte {
	const headerSize, typeA, nameError = 12, 1, 3
	end := headerSize
	for question[end] != 0 {
		end += int(question[end]) + 1
	}
	kind := binary.BigEndian.Uint16(question[end+1:])
	reply := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[headerSize:end+5]...)
	answer := s.answer.Load()
	switch {
	case answer == nil:
		reply[3] |= nameError
	case kind == typeA:
		s.asked.Add(1)
		for _, address := range *answer {
			reply[7]++
			reply = append(reply, 0xc0, headerSize, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // that name, with a life of 0 seconds
			reply = append(reply, address.AsSlice()...)
		}
	}
	return reply
}

func (s *nameServer) say(addresses ...string) {
	parsed := make([]netip.Addr, len(addresses))
	for i, address := range addresses {
		parsed[i] = netip.MustParseAddr(address)
	}
	s.answer.Store(&parsed)
}

// serveAt serves on any port where port is 0, and returns the server and its port.
func serveAt(w *world, host string, port int) (*grpc.Server, int) {
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
	if err != nil {
		w.Fatal(err)
	}
	server := w.auth.grpcServer()
	go func() { _ = server.Serve(listener) }()
	w.Cleanup(server.Stop)
	return server, listener.Addr().(*net.TCPAddr).Port
}

func (w *world) dialed(address string) *grpc.ClientConn {
	conn, err := Dial(address, insecure.NewCredentials())
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestAServerThatMovesBehindItsNameIsFoundSoon(t *testing.T) {
	for name, changesLate := range map[string]bool{"the name moves first": false, "the server goes first": true} {
		t.Run(name, func(t *testing.T) {
			overTCP(t, func(w *world) {
				names := newNameServer(w.T)
				names.say("127.0.0.2")
				first, port := serveAt(w, "127.0.0.2", 0)
				serveAt(w, "127.0.0.3", port)
				w.startWith(w.dialed(fmt.Sprintf("dns://%s/auth.test:%d", names.address, port)))
				w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
				w.eventually("there is a view", func() bool { _, complete := w.guard.ViewAge(); return complete })

				before := names.asked.Load()
				if !changesLate {
					names.say("127.0.0.3")
				}
				gone := time.Now()
				first.Stop()
				if changesLate {
					w.eventually("the name is asked for again", func() bool { return names.asked.Load() > before })
					names.say("127.0.0.3")
				}
				w.auth.nextWatch()
				// gRPC by itself asks for the name no earlier than 30 s after it did last.
				if took := time.Since(gone); took > 15*time.Second {
					w.Errorf("it took %v", took)
				} else {
					w.Logf("after %v", took)
				}
			})
		})
	}
}

func TestANameThatComesUpLaterIsFoundSoon(t *testing.T) {
	overTCP(t, func(w *world) {
		names := newNameServer(w.T)
		_, port := serveAt(w, "127.0.0.2", 0)
		w.startWith(w.dialed(fmt.Sprintf("dns://%s/auth.test:%d", names.address, port)))
		w.eventually("the name is not found", func() bool { return w.seen.faults() > 2 })
		names.say("127.0.0.2")
		w.auth.nextWatch()
	})
}

func TestPlaintextIsForThisMachine(t *testing.T) {
	for _, address := range []string{"127.0.0.1:1", "127.9.9.9:1", "localhost:1", "[::1]:1", "dns:///127.0.0.1:1", "unix:/run/auth", "unix:///run/auth"} {
		conn, err := Dial(address, nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = conn.Close()
	}
	for _, address := range []string{"10.0.0.1:50051", "auth:50051", "0.0.0.0:50051", "localhost.example.com:50051", "dns:///auth:50051"} {
		if _, err := Dial(address, nil); err == nil || !strings.Contains(err.Error(), "another machine") {
			t.Errorf("%s: %v", address, err)
		}
		conn, err := Dial(address, insecure.NewCredentials())
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		_ = conn.Close()
	}
}

func TestWhatIsNoAddressIsSaidToBeNone(t *testing.T) {
	for _, address := range []string{"", "auth", "127.0.0.1", "::1", "::1:50051", "[::1]", "127.0.0.1:", ":50051", "127.0.0.1:99999", "127.0.0.1:0",
		"127.0.0.1:-1", "auth:grpc", "http://127.0.0.1:50051", "https://auth.example"} {
		if _, err := Dial(address, insecure.NewCredentials()); err == nil || !strings.Contains(err.Error(), "host:port") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// elsewhere is a connection that says it leads to another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 50051} }

func TestAPlaintextConnectionToAnotherMachineIsRefusedWhoeverMadeIt(t *testing.T) {
	for name, isAllowed := range map[string]bool{"unless it is allowed": true, "by default": false} {
		t.Run(name, func(t *testing.T) {
			overTCP(t, func(w *world) {
				_, port := serveAt(w, "127.0.0.1", 0)
				dial := func(ctx context.Context, _ string) (net.Conn, error) {
					var dialer net.Dialer
					conn, err := dialer.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
					return elsewhere{conn}, err
				}
				w.config.Insecure, w.config.FirstViewWait = isAllowed, time.Millisecond
				w.startWith(connect(w.T, "passthrough:elsewhere", dial))
				if isAllowed {
					w.auth.nextWatch().send(snapshotEnd().with(w.auth.keySet()))
					w.eventually("there is a view", func() bool { _, complete := w.guard.ViewAge(); return complete })
					return
				}
				w.eventually("it is told of", func() bool {
					return w.seen.countIf(func(event string) bool {
						return strings.Contains(event, "192.0.2.1:50051, another machine, is not encrypted")
					}) > 0
				})
				_, err := w.call("Buy", w.auth.token())
				w.mustRefuse(codes.Unavailable, "VERIFICATION_UNAVAILABLE", err)
				if asked := w.auth.asked.Load(); asked != 0 {
					w.Errorf("%d tokens went over the network in the clear", asked)
				}
			})
		})
	}
}

// behindProxy says which connection to make to a process that a proxy is named to: net/http reads that once.
const behindProxy = "AUTHCLIENT_TEST_BEHIND_PROXY"

func TestPlaintextPassesNoProxyOfTheEnvironment(t *testing.T) {
	if how := os.Getenv(behindProxy); how != "" {
		connectBehindProxy(newWorld(t, dialTCP), how)
		return
	}
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = proxy.Close() }()
	var connections atomic.Int64
	go func() {
		for {
			conn, err := proxy.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = conn.Close()
		}
	}()
	for how, isProxied := range map[string]bool{"grpc.NewClient": true, "Dial": false} {
		connections.Store(0)
		again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		url := "http://" + proxy.Addr().String()
		again.Env = append(os.Environ(), behindProxy+"="+how, "NO_PROXY=", "no_proxy=", "HTTPS_PROXY="+url, "https_proxy="+url)
		if said, err := again.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", how, err, said)
		}
		if took := connections.Load() > 0; took != isProxied {
			t.Errorf("%s went through the proxy: %v", how, took)
		}
	}
}

func connectBehindProxy(w *world, how string) {
	names := newNameServer(w.T)
	names.say("127.0.0.2")
	_, port := serveAt(w, "127.0.0.2", 0)
	target := fmt.Sprintf("dns://%s/auth.test:%d", names.address, port)
	if how == "Dial" {
		w.startWith(w.dialed(target))
		w.auth.nextWatch()
		return
	}
	w.startWith(connect(w.T, target, nil))
	w.eventually("the proxy refuses", func() bool { return w.seen.faults() > 0 })
}
