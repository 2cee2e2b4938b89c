package sim_test

import (
	"context"
	"fmt"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// A server hands its follower to a human agent.
func ExampleAgent() {
	mux := oa.NewMux()
	oa.On(mux, func(context.Context, *oa.TextMessage) (oa.Reply, error) { return oa.Transfer("") })
	server, err := oa.NewServer(oa.Account{Token: "hello"}, mux)
	if err != nil {
		panic(err)
	}
	platform := sim.New(sim.Settings{})
	defer platform.Close()
	account, err := platform.NewAccount(sim.AccountConfig{Handler: server})
	if err != nil {
		panic(err)
	}
	agent, err := account.NewAgent("helper@test", "小雯")
	if err != nil {
		panic(err)
	}
	if err := agent.SetOnline(true); err != nil {
		panic(err)
	}

	follower := account.Follower()
	follower.Subscribe()
	follower.Say("人工").Wait(context.Background())
	if err := agent.Accept(follower); err != nil {
		panic(err)
	}
	fmt.Println(follower.Say("有人吗").Fate())
	if err := agent.Say(follower, "您好，请讲"); err != nil {
		panic(err)
	}
	chat := follower.Chat()
	fmt.Println(chat[len(chat)-1].Agent, chat[len(chat)-1].Text())
	// Output:
	// not_pushed
	// helper@test 您好，请讲
}
