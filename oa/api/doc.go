// Package api calls the HTTP API of the WeChat Official Account platform.
//
// A [Client] works for one account. It gets and renews the account's token,
// and has a method for every endpoint that is in use, in groups:
//
//	client, err := api.NewClient(api.Account{AppID: appID, Secret: secret})
//	…
//	err = client.CustomMessage.Send(ctx, api.CustomText(openID, "你好"))
//
// # Names
//
// Every endpoint has an id, such as menu_create for POST /cgi-bin/menu/create;
// docs/api-coverage.md lists them by path. The first word of the id is the
// group and the rest is the method: client.Menu.Create. Its request, if it has
// any input, is MenuCreateRequest, and its answer, if it has more than errcode
// and errmsg, is MenuCreateResponse. Members are named as on the wire. What is
// optional is left out when it is zero; what is required is always sent.
//
// Endpoints of niche products and retired ones have no methods. [Call] calls
// them with types of the caller's, [Client.Do] with JSON as it is.
//
// # Tokens
//
// By default a client asks for the stable token, keeps it in its [Store] and
// renews it shortly before its end. However many goroutines, and processes
// with the same store, want a token, one of them asks the platform; the others
// go on with the old token, which stays valid for some minutes, or wait. When
// the platform refuses a token (40001, 40014, 42001, 42007) it is renewed once
// and the call repeated once. Other sources are [StaticToken], [HubTokens] and
// [Platform].
//
// # Errors
//
// A failed call returns an [*Error] with the platform's code, its meaning and
// advice in Chinese. [errors.Is] tells the categories:
//
//	switch {
//	case errors.Is(err, api.ErrWindowClosed): // the follower must write first
//	case errors.Is(err, api.ErrUnknownOutcome): // perhaps sent
//	}
//
// A call that only reads is repeated up to twice when the platform is busy or
// the line is cut. A call that does something is sent once; if no answer came
// it fails with [ErrUnknownOutcome], and only the caller can know whether
// sending again is right. Errors and logs never hold tokens, secrets or
// OpenIDs.
//
// # Numbers
//
// The platform mixes numbers and strings, and has many ways to say empty.
// Answers are read leniently, see [Decode]. Sizes are bytes, times are seconds
// since 1970, days are the platform's, in Beijing.
package api
