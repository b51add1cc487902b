package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	simconnect "connectroster/internal/sim/connect"
	simokta "connectroster/internal/sim/okta"
)

func simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulator of Okta or Amazon Connect",
		Long: `Run a simulator over the vendor's own wire, to try things without an account.
Both can be looked at and changed while they run, under /_sim/. They listen on
this machine only and must never stand where real ones belong.`,
	}
	cmd.AddCommand(simulateConnectCommand(), simulateOktaCommand())
	return group(cmd)
}

func simulateConnectCommand() *cobra.Command {
	var (
		listen string
		c      simconnect.Config
		set    = simconnect.DefaultSettings()
	)
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "Run a simulated Amazon Connect instance",
		Long: `Run a simulated Amazon Connect instance. Point any AWS SDK or the AWS CLI at it
with the variable that it prints; any credentials will do.

The instance has what a small contact centre has: the routing profiles Sales,
Support, Billing and Parked (without queues) beside "Basic Routing Profile", the
security profile "No permissions" beside those of a fresh instance, a hierarchy
such as EMEA/Support/Tier 1, the predefined attributes language and product.
Under /_sim/ you play the floor: change agents as a supervisor does, make them
busy, rename what they refer to. GET /_sim/ lists the routes too:

` + indented(simconnect.ControlRoutes),
		Example: `  connectroster simulate connect
  AWS_ENDPOINT_URL_CONNECT=http://127.0.0.1:8081 aws connect list-users --instance-id 11111111-2222-3333-4444-555555555555
  curl -s -d '{"Username":"ana.silva@example.com","HierarchyGroupId":"EMEA/Support/Tier 1"}' http://127.0.0.1:8081/_sim/agents
  curl -s -X PUT http://127.0.0.1:8081/_sim/denied/UpdateUserRoutingProfile`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Settings = &set
			sim, err := simconnect.New(c)
			if err != nil {
				return err
			}
			return simulate(cmd.Context(), listen, sim, func(url string) {
				fmt.Fprintf(cmd.OutOrStdout(), "Amazon Connect simulator: instance %s in %s\n\n  AWS_ENDPOINT_URL_CONNECT=%s\n  control                  %s/_sim/\n  statistics               %s/_sim/stats\n",
					sim.ID(), sim.Region(), url, url, url)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8081", "the loopback `address` to listen on")
	f.StringVar(&c.Region, "region", "eu-central-1", "the AWS region")
	f.StringVar(&c.InstanceID, "instance", "11111111-2222-3333-4444-555555555555", "the `id` of the instance")
	f.StringVar(&set.IdentityType, "identity-type", set.IdentityType, "SAML, CONNECT_MANAGED or EXISTING_DIRECTORY")
	f.Float64Var(&set.Limit.Rate, "rate", set.Limit.Rate, "calls per second and operation; 0 is without limit")
	f.IntVar(&set.Limit.Burst, "burst", set.Limit.Burst, "calls at once and operation")
	f.BoolVar(&c.Demo, "demo", true, "add what a small contact centre has; false is a fresh instance")
	f.IntVar(&set.Quota, "quota", set.Quota, "how many users the instance holds")
	return cmd
}

func simulateOktaCommand() *cobra.Command {
	var listen string
	c := simokta.Config{AllowHTTP: true, Tokens: []string{"dev-token-of-the-simulator"}}
	cmd := &cobra.Command{
		Use:   "okta",
		Short: "Run a simulated Okta org",
		Long: `Run a simulated Okta org with its management API, System Log and event hooks.
Unlike the real one it delivers hooks to plain http addresses on this machine.

Under /_sim/ you play the administrator: hire and suspend people, move them between
groups, let deliveries fail. These routes take no token; GET /_sim/ lists them too:

` + indented(simokta.ControlRoutes),
		Example: `  connectroster simulate okta
  curl -s -d '{"name":"Amazon Connect Agents"}' http://127.0.0.1:8082/_sim/groups
  curl -s -d '{"firstName":"Ana","lastName":"Silva","login":"ana.silva@example.com","groups":["Amazon Connect Agents"]}' http://127.0.0.1:8082/_sim/people`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			org, err := simokta.New(c)
			if err != nil {
				return err
			}
			err = simulate(cmd.Context(), listen, org, func(url string) {
				fmt.Fprintf(cmd.OutOrStdout(), "Okta simulator\n\n  org URL                  %s\n  API token                %s\n  control                  %s/_sim/\n  statistics               %s/_sim/stats\n",
					url, c.Tokens[0], url, url)
			})
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return errors.Join(err, org.Close(ctx))
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "127.0.0.1:8082", "the loopback `address` to listen on")
	f.Uint64Var(&c.Seed, "seed", 1, "the seed of all that is random")
	return cmd
}

// indented sets a table apart from the prose around it.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// simulate serves a simulator until ctx is done. It refuses addresses that
// others could reach.
func simulate(ctx context.Context, address string, h http.Handler, started func(url string)) error {
	server, url, err := serveLoopback(ctx, address, h)
	if err != nil {
		return err
	}
	started(url)
	<-ctx.Done()
	return server.Close()
}

// serveLoopback starts an HTTP server on a loopback address.
func serveLoopback(ctx context.Context, address string, h http.Handler) (server *http.Server, url string, err error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("listen: %q is not an IP address with a port, such as 127.0.0.1:8081", address)
	}
	if !at.Addr().IsLoopback() {
		return nil, "", fmt.Errorf("listen: %s can be reached from other machines; a simulator listens on a loopback address such as 127.0.0.1:8081 only", address)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, "", err
	}
	server = &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return server, "http://" + listener.Addr().String(), nil
}
