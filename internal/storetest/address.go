package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddresses gives n loopback addresses, HOST:PORT, that nobody listens on, for
// programs that a test starts. Where the system has more loopback hosts than the usual
// one they are on a host of their own, and their ports are not of those that systems
// give out by themselves, from 32768 on: nobody else comes by them before the program
// listens. They are not tried out for the same reason: a process that is just being
// started somewhere else may hold what was tried out open for a while.
func FreeAddresses(n int) ([]string, error) {
	var listen net.ListenConfig
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	if l, err := listen.Listen(context.Background(), "tcp", net.JoinHostPort(host, "0")); err == nil {
		_ = l.Close()
		var out []string
		for _, port := range rand.Perm(20_000)[:n] {
			out = append(out, net.JoinHostPort(host, strconv.Itoa(10_000+port)))
		}
		return out, nil
	}
	var out []string
	for range n {
		l, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}
