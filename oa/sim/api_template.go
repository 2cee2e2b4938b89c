package sim

// templateState are the message templates of an account.
type templateState struct{}

var templateHandlers = map[string]handler{}
