//go:build failpoints

package turn

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var failpointHits atomic.Int64

// failpoint kills the process, as kill -9 does, when it comes to the place that
// WENZI_FAILPOINT names for the n-th time: "before claim:2".
func failpoint(place string) {
	name, nth, _ := strings.Cut(os.Getenv("WENZI_FAILPOINT"), ":")
	if name != place {
		return
	}
	n, err := strconv.ParseInt(nth, 10, 64)
	if err != nil {
		n = 1
	}
	if failpointHits.Add(1) == n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
