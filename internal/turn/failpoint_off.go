//go:build !failpoints

package turn

// failpoint is a place between two steps where a test kills the process. In
// builds without the tag "failpoints" there is none.
func failpoint(string) {}
