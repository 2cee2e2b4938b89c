package sim

var messageHandlers = map[string]handler{}
