//go:build !linux

package sim

// useOf knows of no process.
func useOf(int) (processUse, bool) { return processUse{}, false }

// isOwnFault knows of none.
func isOwnFault(error) bool { return false }
