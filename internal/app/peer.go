package app

import (
	"context"
	"net"
	"os"
	"os/user"
	"strconv"
)

// operatorKey is the key of the operator in the context of a request.
type operatorKey struct{}

// withOperator says who asks.
func withOperator(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, operatorKey{}, name)
}

// operator is who asks: the user of the operating system at the other end of the
// socket, or whoever runs this program.
func operator(ctx context.Context) string {
	if name, ok := ctx.Value(operatorKey{}).(string); ok && name != "" {
		return name
	}
	return userName(os.Getuid())
}

// fromPeer puts the user at the other end of a connection into its context.
func fromPeer(ctx context.Context, c net.Conn) context.Context {
	socket, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	uid, ok := peer(socket)
	if !ok {
		return ctx
	}
	return withOperator(ctx, userName(uid))
}

// userName gives the name of a user of this machine, or the number of one who
// has none.
func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + strconv.Itoa(uid)
}
