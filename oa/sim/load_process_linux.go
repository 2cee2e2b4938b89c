package sim

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ticksPerSecond is USER_HZ, which Linux has fixed.
const ticksPerSecond = 100

// useOf reads what a process takes. It reports false where there is none.
func useOf(pid int) (use processUse, ok bool) {
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		dir := filepath.Join("/proc", strconv.Itoa(pids[i]))
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			continue // it has ended
		}
		// The third field comes after the name, which is in brackets and may have
		// any character.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
		if len(fields) <= rss {
			continue
		}
		ok = true
		use.cpu += time.Duration(statNumber(fields[utime])+statNumber(fields[stime])) * time.Second / ticksPerSecond
		use.rss += statNumber(fields[rss]) * int64(os.Getpagesize())
		pids = append(pids, childrenOf(dir)...)
	}
	return use, ok
}

func statNumber(digits []byte) int64 {
	n, _ := strconv.ParseInt(string(digits), 10, 64) // the kernel writes numbers
	return n
}

func childrenOf(dir string) (pids []int) {
	files, _ := filepath.Glob(filepath.Join(dir, "task", "*", "children")) // the pattern is right
	for _, file := range files {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(list)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// isOwnFault reports whether a delivery failed because this machine has run out
// of ports or file descriptors, of which the server cannot know.
func isOwnFault(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
