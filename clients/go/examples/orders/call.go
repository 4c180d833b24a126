package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	authapi "authservice/clients/go/authapi/v1"
	"authservice/clients/go/authclient"
	orders "authservice/clients/go/examples/orders/ordersv1"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// logoutLimit is how soon after a logout a guarded service has to refuse the token.
const logoutLimit = 2 * time.Second

func call(ctx context.Context, authAddress, ordersAddress, user, password string) error {
	authConn, err := authclient.Dial(authAddress, nil)
	if err != nil {
		return err
	}
	defer authConn.Close()
	ordersConn, err := authclient.Dial(ordersAddress, nil)
	if err != nil {
		return err
	}
	defer ordersConn.Close()
	auth, shop := authapi.NewAuthServiceClient(authConn), orders.NewOrdersServiceClient(ordersConn)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()

	login, err := auth.Login(ctx, &authapi.LoginRequest{UserNameOrEmail: user, Password: password})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	fmt.Println("logged in as", login.GetUserId())
	asUser := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+login.GetTokens().GetAccessToken())

	catalog, err := shop.GetCatalog(ctx, &orders.GetCatalogRequest{})
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if len(catalog.GetArticles()) == 0 {
		return errors.New("the catalog is empty")
	}
	order := &orders.PlaceOrderRequest{Article: catalog.GetArticles()[0]}
	placed, err := shop.PlaceOrder(asUser, order)
	if err != nil {
		return fmt.Errorf("order: %w", err)
	}
	fmt.Printf("placed order %d: %s\n", placed.GetOrder().GetId(), placed.GetOrder().GetArticle())

	watch, err := shop.WatchOrders(asUser, &orders.WatchOrdersRequest{})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	seen, err := watch.Recv()
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	fmt.Printf("saw order %d\n", seen.GetOrder().GetId())

	if _, err := auth.Logout(asUser, &authapi.LogoutRequest{}); err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	return awaitRefusal(asUser, shop, order)
}

// awaitRefusal calls until the logout is known.
func awaitRefusal(asUser context.Context, shop orders.OrdersServiceClient, order *orders.PlaceOrderRequest) error {
	loggedOut := time.Now()
	for {
		_, err := shop.PlaceOrder(asUser, order)
		after := time.Since(loggedOut)
		switch {
		case err != nil && status.Code(err) != codes.Unauthenticated:
			return fmt.Errorf("refused for another cause, %v after the logout: %w", after, err)
		case after > logoutLimit:
			return fmt.Errorf("not refused within %v of the logout", logoutLimit)
		case err != nil:
			fmt.Printf("refused with %s, %v after the logout\n", authclient.Reason(err), after.Round(100*time.Microsecond))
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}
