package sim

// codeState are the QR codes of an account.
type codeState struct{}

var codeHandlers = map[string]handler{}
