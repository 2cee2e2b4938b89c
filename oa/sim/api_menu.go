package sim

// menuState are the menus of an account.
type menuState struct{}

var menuHandlers = map[string]handler{}
