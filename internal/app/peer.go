package app

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/user"
	"regexp"
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

// SudoHeader tells of a request who gave it by sudo. Only the daemon's user and root can
// use the socket, so whoever could lie here could write the journal as well; but one of
// several people who are that user by sudo is told from the others.
const SudoHeader = "Connectroster-Sudo-User"

// bySudo puts who has become the user that asks before that user's name.
func bySudo(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sudo, as := r.Header.Get(SudoHeader), operator(r.Context())
		if sudo != as && plainName.MatchString(sudo) {
			r = r.WithContext(withOperator(r.Context(), sudo+" as "+as))
		}
		next.ServeHTTP(w, r)
	})
}

// plainName is what a user of a machine can be called, in a domain too.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_.@+\\-]{1,64}\$?$`)

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
