package sim

// noteState are the subscription notices of an account.
type noteState struct{}

var noteHandlers = map[string]handler{}
