package sim_test

import (
	"context"
	"fmt"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// A thousand followers, each of whom asks three questions of a server in the
// same process.
func ExampleLoad() {
	account := oa.Account{Token: "hello"}
	server, err := oa.NewServer(account, oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text(r.Text())
	}))
	if err != nil {
		panic(err)
	}
	wechat := sim.New(sim.Settings{})
	defer wechat.Close()
	a, err := wechat.NewAccount(sim.AccountConfig{Token: account.Token, Handler: server})
	if err != nil {
		panic(err)
	}
	report, err := sim.Load(context.Background(), a, sim.LoadConfig{
		Followers: 1000, Messages: 3, Pattern: sim.LoadTalkative, Think: time.Second,
	}, nil)
	if err != nil {
		panic(err)
	}
	fmt.Print(report)
	if !report.OK() {
		fmt.Println("somebody got no answer, or two")
	}
}
