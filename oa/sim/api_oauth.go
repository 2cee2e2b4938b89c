package sim

// oauthState are the codes and user tokens of web OAuth.
type oauthState struct{}

var oauthHandlers = map[string]handler{}
