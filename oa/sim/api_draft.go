package sim

// draftState are the drafts and published articles of an account.
type draftState struct{}

var draftHandlers = map[string]handler{}
