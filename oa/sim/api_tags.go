package sim

// tagState are the tags of an account.
type tagState struct{}

var tagHandlers = map[string]handler{}
