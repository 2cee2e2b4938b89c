// Package sim plays WeChat, so that a server can be tried and tested without a
// phone, a public address or an account. It is as strict as the platform: what
// WeChat would refuse is refused here, and said in one sentence.
//
// # A platform
//
// [Start] is a whole platform for a test: accounts with their followers, who act
// and see what their phones would show; deliveries in WeChat's time, with its
// repeats and its fault notice; and the API that the server calls, by
// [Platform.Client]. [New] makes one that is no test's. [NewHandler] is all of it
// under one address, with a model, a [Control] for programs in other languages,
// and a page; `wenzi sim` serves it.
//
// # A message to a server
//
//	wechat := sim.Sender{Account: oa.Account{Token: "hello"}, URL: "http://127.0.0.1:8080/wx"}
//	exchange, err := wechat.Deliver(ctx, &oa.TextMessage{Header: …, Content: "你好"})
//	fmt.Print(exchange.Transcript())
//
// prints what a person would see:
//
//	我        你好
//	公众号    你好                         （12 毫秒，明文，text）
//
// [Sender.Check] is the check of the server's address.
//
// # The judge
//
// [Rules.Judge] looks at one delivery and the HTTP response to it and says what
// the follower sees, or which [Rule] the response breaks, and where. The zero
// Rules are what reference/callback.md in the repository holds to be true;
// section numbers in the comments are those of that file. What is unconfirmed
// there is a field of Rules.
package sim
