// Package oa receives and answers the callbacks of WeChat Official Accounts
// (微信公众号): it proves a server to WeChat, verifies and decrypts what WeChat
// delivers, hands it to handlers as typed Go values, and encodes and encrypts
// their replies. It needs nothing but the standard library, stores nothing, and
// has no goroutine that outlives a request.
//
// # A server in six lines
//
//	mux := oa.NewMux()
//	oa.On(mux, func(ctx context.Context, e *oa.SubscribeEvent) (oa.Reply, error) { return oa.Text("Hi~ 终于等到你") })
//	oa.On(mux, func(ctx context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text(m.Content) })
//	srv, err := oa.NewServer(oa.Account{Token: "hello"}, mux)
//	if err != nil { log.Fatal(err) }
//	log.Fatal(http.ListenAndServe(":8080", srv))
//
// In WeChat's 服务器配置 page enter the server's address as URL and hello as
// Token. WeChat calls port 80 or 443 only, so a proxy usually stands in front.
// How long a client may take to send its request is the business of
// [net/http.Server]: set its ReadHeaderTimeout and ReadTimeout.
//
// # Verification
//
// Every request is signed with the account's Token; what is not, gets 404.
// Whether deliveries are encrypted is the account's [Mode], never the
// request's choice: with an AESKey it is [Secure], and in [Secure] and [Compat]
// mode every body without a verified envelope is refused, and nothing but the
// envelope is read. During a change of Token or key the previous one is accepted
// besides. In plain mode the signature covers neither the body nor the sender:
// use an encrypted mode where that matters.
//
// # Messages
//
// A [Message] is a pointer to one of the structs of this package. Fields that
// they lack are in [Request.Elements] or fit a struct of your own by
// [Request.Decode]. New types of WeChat's arrive as [UnknownMessage] or
// [UnknownEvent]. The parser takes what WeChat really sends, which is not
// always XML: control characters in texts, and "]]>" that nobody split.
//
// # Replies
//
// [Text], [Image] and the others check what the platform demands and return
// what a handler returns, so a handler can end in one of them:
//
//	return oa.Text("你好")
//
// Nothing to say is [None]. Every string survives: "]]>" is split, forbidden
// characters go. Blank text is an error, and so is text over [MaxTextBytes], not
// a silent cut; [Clip] cuts.
//
// # Time
//
// WeChat waits 5 seconds, then delivers the same message again, three times in
// all. The context of a handler ends after 4.5. A handler that comes later, or
// returns [ErrUnanswered], leaves its delivery without a byte, for whatever is
// written would end the series; with net/http/httptest it panics with
// [net/http.ErrAbortHandler], as net/http wants it. [Once] joins the repeats,
// which gives a handler 14 seconds.
//
// # Errors
//
// A handler's error or panic is logged by type only (its text might hold what
// the follower wrote) and WeChat gets `success`. So does a delivery that is
// verified but cannot be read, is over [DefaultMaxBody], or pretends to come
// from another follower than its query says; the handler does not see it. Wrap handlers in [Middleware]
// of your own to answer something instead. [WithObserver] sees how every
// exchange ended.
//
// # Tests
//
// [NewDelivery] builds what WeChat would send, [OpenReply] and [ParseElements]
// read the answer. Section numbers in the comments are those of
// reference/callback.md in the repository.
package oa
