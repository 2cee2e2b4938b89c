package sim

// massState are the mass sends of an account.
type massState struct{}

var massHandlers = map[string]handler{}
