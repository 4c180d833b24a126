package authclient

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gateway leads connections to a server, and fails as networks do.
type gateway struct {
	*testing.T
	address string
	target  string
	delay   atomic.Int64 // nanoseconds until a new connection leads anywhere
	mu      sync.Mutex
	ways    []*atomic.Bool // of each connection, whether what goes over it is swallowed
}

func newGateway(t *testing.T, host string, port int, target string) *gateway {
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	g := &gateway{T: t, address: listener.Addr().String(), target: target}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go g.lead(client)
		}
	}()
	return g
}

func (g *gateway) lead(client net.Conn) {
	defer func() { _ = client.Close() }()
	isSilent := new(atomic.Bool)
	g.mu.Lock()
	g.ways = append(g.ways, isSilent)
	g.mu.Unlock()
	select {
	case <-time.After(time.Duration(g.delay.Load())):
	case <-g.Context().Done():
		return
	}
	server, err := net.Dial("tcp", g.target)
	if err != nil {
		return
	}
	pass := func(from, to net.Conn) {
		buffer := make([]byte, 1<<16)
		for {
			count, err := from.Read(buffer)
			if err == nil && !isSilent.Load() {
				_, err = to.Write(buffer[:count])
			}
			if err != nil {
				if !isSilent.Load() {
					_, _ = from.Close(), to.Close()
				}
				return
			}
		}
	}
	go pass(server, client)
	pass(client, server)
	<-g.Context().Done()
}

// silence swallows what goes over the connections that there are, and closes none of them.
func (g *gateway) silence() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, way := range g.ways {
		way.Store(true)
	}
}

// freeze is silence that new connections meet as well.
func (g *gateway) freeze() {
	g.delay.Store(int64(time.Hour))
	g.silence()
}

func (w *world) mustHaveAView(watch *openWatch) {
	w.Helper()
	watch.send(snapshotEnd().with(w.auth.keySet()))
	w.eventually("there is a view", func() bool { _, complete := w.guard.ViewAge(); return complete })
}

func TestAConnectionThatDiesWithoutAWordIsLeft(t *testing.T) {
	overTCP(t, func(w *world) {
		_, port := serveAt(w, "127.0.0.1", 0)
		way := newGateway(w.T, "127.0.0.1", 0, fmt.Sprintf("127.0.0.1:%d", port))
		w.startWith(w.dialed(way.address))
		w.mustHaveAView(w.auth.nextWatch())
		way.silence()
		begin := time.Now()
		w.mustHaveAView(w.auth.nextWatch())
		w.Logf("after %v", time.Since(begin))
		_, err := w.call("Buy", w.auth.token())
		w.mustPass(err)
	})
}

func TestAServerThatStandsStillIsLeftForAnotherOneOfTheName(t *testing.T) {
	overTCP(t, func(w *world) {
		_, port := serveAt(w, "127.0.0.1", 0)
		target := fmt.Sprintf("127.0.0.1:%d", port)
		still := newGateway(w.T, "127.0.0.2", 0, target)
		_, port = mustSplit(w.T, still.address)
		newGateway(w.T, "127.0.0.3", port, target)
		names := newNameServer(w.T)
		names.say("127.0.0.2", "127.0.0.3")
		w.startWith(w.dialed(fmt.Sprintf("dns://%s/auth.test:%d", names.address, port)))
		w.mustHaveAView(w.auth.nextWatch())
		still.freeze()
		begin := time.Now()
		w.mustHaveAView(w.auth.nextWatch())
		w.Logf("after %v", time.Since(begin))
	})
}

func TestAWayThatTakesSecondsToSetUpIsWaitedForAndMakesNothingOlder(t *testing.T) {
	overTCP(t, func(w *world) {
		_, port := serveAt(w, "127.0.0.1", 0)
		way := newGateway(w.T, "127.0.0.1", 0, fmt.Sprintf("127.0.0.1:%d", port))
		const delay = 3 * time.Second
		way.delay.Store(int64(delay))
		w.startWith(w.dialed(way.address))
		w.mustHaveAView(w.auth.nextWatch())
		if age, _ := w.guard.ViewAge(); age >= delay {
			w.Errorf("the view is %v old", age)
		}
	})
}

func mustSplit(t *testing.T, address string) (host string, port int) {
	tcp, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return tcp.IP.String(), tcp.Port
}
