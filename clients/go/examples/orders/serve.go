package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"

	authapi "authservice/clients/go/authapi/v1"
	"authservice/clients/go/authclient"
	orders "authservice/clients/go/examples/orders/ordersv1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func serve(ctx context.Context, address, authAddress, issuer, audience string) error {
	if err := mustBeLoopback(address); err != nil {
		return err
	}
	auth, err := authclient.Dial(authAddress, nil)
	if err != nil {
		return err
	}
	defer auth.Close()
	guard, err := authclient.New(auth, authclient.Config{Issuer: issuer, Audience: audience})
	if err != nil {
		return err
	}
	defer guard.Close()

	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(guard.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(guard.StreamServerInterceptor()),
	)
	orders.RegisterOrdersServiceServer(server, &shop{changed: make(chan struct{})})
	authapi.RegisterStreamServiceServer(server, guard.StreamService())
	healthpb.RegisterHealthServer(server, health.NewServer())
	if err := guard.Check(server); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("serving on", listener.Addr())
	context.AfterFunc(ctx, server.Stop)
	return server.Serve(listener)
}

// shop keeps orders in memory. Who may call what is not its business: that stands in orders.proto.
type shop struct {
	orders.UnimplementedOrdersServiceServer
	mu      sync.Mutex
	placed  []*orders.Order // in the order of their ids; cancelled ones are gone
	last    int64
	changed chan struct{} // closed, and replaced, with each new order
}

var articles = []string{"copper lantern", "paper boat", "quiet river"}

func (s *shop) GetCatalog(context.Context, *orders.GetCatalogRequest) (*orders.GetCatalogResponse, error) {
	return &orders.GetCatalogResponse{Articles: articles}, nil
}

func (s *shop) PlaceOrder(ctx context.Context, request *orders.PlaceOrderRequest) (*orders.PlaceOrderResponse, error) {
	caller, known := authclient.IdentityFromContext(ctx)
	if !known {
		return nil, status.Error(codes.Internal, "the interceptor is missing")
	}
	if !slices.Contains(articles, request.GetArticle()) {
		return nil, status.Error(codes.InvalidArgument, "there is no such article")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	order := &orders.Order{Id: s.last, Article: request.GetArticle(), UserId: caller.UserID}
	s.placed = append(s.placed, order)
	close(s.changed)
	s.changed = make(chan struct{})
	return &orders.PlaceOrderResponse{Order: order}, nil
}

func (s *shop) WatchOrders(_ *orders.WatchOrdersRequest, stream grpc.ServerStreamingServer[orders.WatchOrdersResponse]) error {
	caller, known := authclient.IdentityFromContext(stream.Context())
	if !known {
		return status.Error(codes.Internal, "the interceptor is missing")
	}
	for seen := int64(0); ; {
		news, changed := s.after(seen, caller.UserID)
		for _, order := range news {
			if err := stream.Send(&orders.WatchOrdersResponse{Order: order}); err != nil {
				return err
			}
			seen = order.GetId()
		}
		select {
		case <-changed:
		case <-stream.Context().Done(): // also when the caller has logged out
			return stream.Context().Err()
		}
	}
}

// after returns a user's orders that come after one, and what is closed with the next new order.
func (s *shop) after(id int64, userID string) ([]*orders.Order, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var news []*orders.Order
	for _, order := range s.placed {
		if order.GetId() > id && order.GetUserId() == userID {
			news = append(news, order)
		}
	}
	return news, s.changed
}

func (s *shop) CancelOrder(_ context.Context, request *orders.CancelOrderRequest) (*orders.CancelOrderResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	isMeant := func(order *orders.Order) bool { return order.GetId() == request.GetId() }
	if !slices.ContainsFunc(s.placed, isMeant) {
		return nil, status.Error(codes.NotFound, "there is no such order")
	}
	s.placed = slices.DeleteFunc(s.placed, isMeant)
	return &orders.CancelOrderResponse{}, nil
}
