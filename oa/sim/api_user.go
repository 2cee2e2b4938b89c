package sim

var userHandlers = map[string]handler{}
