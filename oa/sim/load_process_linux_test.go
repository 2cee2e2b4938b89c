package sim

import (
	"math"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestProcessUse(t *testing.T) {
	p := measure(os.Getpid())
	for began := p.now.cpu; p.now.cpu < began+100*time.Millisecond; { // the work is this loop
		p.sample()
	}
	if r := p.report(10); r.CPUSeconds < .1 || r.CPUSeconds > 30 || math.Abs(r.CPUPerMessage-r.CPUSeconds*1e5) > 1 || r.RSS < 1e6 || r.MaxRSS < r.RSS {
		t.Errorf("%+v", r)
	}
	if r := p.report(0); r.CPUPerMessage != 0 {
		t.Errorf("%+v", r)
	}
}

// Children are found, and of a process that has ended the last sample stays.
func TestProcessEnds(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "cat", "/proc/self/comm", "-")
	_, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if !slices.Contains(childrenOf("/proc/self"), pid) {
		t.Errorf("%d is not among the children %v", pid, childrenOf("/proc/self"))
	}
	p := measure(pid)
	before := *p
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	p.sample()
	if p.now.rss != before.now.rss || p.max != before.max || before.now.rss == 0 {
		t.Errorf("%+v, then %+v", before, *p)
	}
	if gone := measure(pid); gone != nil || gone.report(1) != nil {
		t.Errorf("of no process: %+v", gone)
	}
	if _, err := Load(t.Context(), testAccount(t), LoadConfig{Followers: 1, Messages: 1, Pattern: LoadTalkative, PID: pid}, nil); err == nil {
		t.Error("a load takes a process that is not there")
	}
}

func testAccount(t *testing.T) *Account {
	p := New(Settings{})
	t.Cleanup(p.Close)
	a, err := p.NewAccount(AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}
