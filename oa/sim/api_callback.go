package sim

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

var callbackHandlers = map[string]handler{
	"callback_ip_list":   listAddresses,
	"api_domain_ip_list": listAddresses,
	"callback_check":     checkCallback,
}

// listAddresses lists where the simulated platform is: on this machine, which
// deliveries come from and calls go to.
func listAddresses(*call) (any, error) {
	list := []string{"127.0.0.1", "::1"}
	own, _ := net.InterfaceAddrs() // without them, loopback is right mostly
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
			list = append(list, n.IP.String())
		}
	}
	return map[string]any{"ip_list": list}, nil
}

// unresolved stands for the address of a name: none is looked up, because that
// would go out into the world (RFC 5737).
const unresolved = "203.0.113.7"

// checkCallback is the check of reference §8.1. It looks at the server's URL
// and at the trouble that was asked for, and touches no network.
func checkCallback(c *call) (any, error) {
	var in struct {
		Action   string `json:"action"`
		Operator string `json:"check_operator"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	server := c.account.server()
	switch {
	case !slices.Contains([]string{"dns", "ping", "all"}, in.Action):
		return nil, fail(40202)
	case !slices.Contains([]string{"CHINANET", "UNICOM", "CAP", "DEFAULT"}, in.Operator):
		return nil, fail(40203)
	case server == nil:
		return nil, fail(40201)
	}
	if in.Operator == "DEFAULT" {
		in.Operator = "UNICOM"
	}
	ip, answer := addressOf(server.sender.URL), map[string]any{}
	if in.Action != "ping" {
		answer["dns"] = []any{map[string]any{"ip": ip, "real_operator": in.Operator}}
	}
	if in.Action != "dns" {
		loss, way := "0%", cmp.Or(c.p.trouble.Latency, 300*time.Microsecond)
		if happens(c.p.trouble.Unreachable) {
			loss, way = "100%", 0
		}
		answer["ping"] = []any{map[string]any{
			"ip": ip, "from_operator": in.Operator, "package_loss": loss,
			"time": fmt.Sprintf("%.3fms", float64(way)/float64(time.Millisecond)),
		}}
	}
	return answer, nil
}

// server is the account's own server, nil where it has none.
func (a *Account) server() *receiver {
	if len(a.receivers) > 0 && a.receivers[0].name == "" {
		return a.receivers[0]
	}
	return nil
}

// addressOf is the address of a URL's host.
func addressOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return unresolved
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil {
		return ip.Unmap().String()
	}
	if u.Hostname() == "localhost" {
		return "127.0.0.1"
	}
	return unresolved
}
