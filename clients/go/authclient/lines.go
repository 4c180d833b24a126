package authclient

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
)

// lineSilence is when a connection is given up over which nothing comes any more. The watch is heard every second.
const lineSilence = silenceLimit + time.Second

// lively makes connections that end when they have died without a word, such as those that a firewall has forgotten or that
// lead to a process that stands still. gRPC would open one stream after the other on them until TCP gives up, after 15 minutes.
type lively struct {
	credentials.TransportCredentials
}

func (l lively) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return l.TransportCredentials.ClientHandshake(ctx, authority, &line{conn})
}

func (l lively) Clone() credentials.TransportCredentials {
	return lively{l.TransportCredentials.Clone()}
}

// line is a connection on which reading fails when nothing has come for lineSilence since something came last.
type line struct{ net.Conn }

func (l *line) Read(into []byte) (int, error) {
	count, err := l.Conn.Read(into)
	if err == nil {
		err = l.SetReadDeadline(time.Now().Add(lineSilence))
	}
	return count, err
}
