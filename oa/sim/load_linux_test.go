package sim_test

import (
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// What this machine lacks is not the server's fault.
func TestLoadOwnFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := sim.New(sim.Settings{})
		defer p.Close()
		c := account(oa.Plain)
		c.URL, c.Transport = "http://127.0.0.1:1/", failing{syscall.EMFILE}
		a, err := p.NewAccount(c)
		if err != nil {
			t.Fatal(err)
		}
		r, err := sim.Load(t.Context(), a, sim.LoadConfig{Followers: 1, Messages: 2, Pattern: sim.LoadTalkative}, nil)
		if err != nil || r.Failed != 2 || r.OwnFaults != 6 || r.Problems[sim.RuleConnection] != 6 || !strings.Contains(r.String(), "文件描述符") {
			t.Errorf("%v\n%v", err, r)
		}
	})
}

type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", f.err)}
}
