//go:build unix

package app

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// replicasExample is a running examples/replicas/run.sh.
type replicasExample struct {
	*process
	dir   string
	front string // http://127.0.0.1:port
	ports []string
}

func startReplicasExample(t *testing.T, proxy string, env ...string) *replicasExample {
	t.Helper()
	needProgram(t, proxy, "/usr/sbin/"+proxy, "/usr/bin/"+proxy)
	needProgram(t, "pg_ctl", "/usr/lib/postgresql/*/bin/pg_ctl")
	// Not in t.TempDir, which PostgreSQL's own user cannot enter.
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("wenzi_test_%d", rand.Uint64()))
	x := &replicasExample{process: &process{t: t, done: make(chan error, 1)}, dir: dir, ports: freePorts(t, 8)}
	x.front = "http://127.0.0.1:" + x.ports[0]
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	x.cmd = exec.Command("../../examples/replicas/run.sh", proxy)
	x.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0", "WENZI="+self, "DIR="+x.dir, "PORT="+x.ports[0],
		"REPLICA_PORTS="+strings.Join(x.ports[1:4], " "), "ADMIN_PORTS="+strings.Join(x.ports[4:7], " "), "POSTGRES_PORT="+x.ports[7])
	x.cmd.Env = append(x.cmd.Env, env...)
	x.cmd.Stdout, x.cmd.Stderr = x, x
	if err := x.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { x.done <- x.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s\nthe proxy's log:\n%s", x.cmd, x.logged(), x.proxyLog())
		}
		if x.cmd.ProcessState == nil {
			x.end()
		}
	})
	for began := time.Now(); !strings.Contains(x.logged(), "Ctrl-C stops"); time.Sleep(50 * time.Millisecond) {
		if len(x.done) > 0 || time.Since(began) > time.Minute {
			t.Fatal("the example did not start")
		}
	}
	return x
}

// needProgram skips the test where none of the files is there and the program
// is not in PATH.
func needProgram(t *testing.T, name string, files ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	for _, f := range files {
		if found, err := filepath.Glob(f); err == nil && len(found) > 0 {
			return
		}
	}
	need(t, "no "+name+" here; scripts/deps.sh installs it")
}

// pid reads one that the script or PostgreSQL has written.
func (x *replicasExample) pid(file string) int {
	x.t.Helper()
	text, err := os.ReadFile(filepath.Join(x.dir, file))
	first, _, _ := strings.Cut(string(text), "\n")
	n, convErr := strconv.Atoi(first)
	if err := errors.Join(err, convErr); err != nil {
		x.t.Fatal(err)
	}
	return n
}

// pids are those of everything that the script has started.
func (x *replicasExample) pids() (all []int) {
	x.t.Helper()
	for _, file := range []string{"1.pid", "2.pid", "3.pid", "proxy/pid", "postgres/postmaster.pid"} {
		all = append(all, x.pid(file))
	}
	return all
}

func (x *replicasExample) proxyLog() (log string) {
	for _, name := range []string{"wenzi.log", "wenzi-error.log", "start.log"} {
		text, err := os.ReadFile(filepath.Join(x.dir, "proxy", name))
		if err == nil {
			log += string(text)
		}
	}
	return log
}

// end stops the script as a terminal that closes does, and returns its status.
func (x *replicasExample) end() error {
	x.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-x.done:
		return err
	case <-time.After(30 * time.Second):
		x.t.Errorf("the example did not end")
		for _, pid := range x.pids() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		x.kill()
		return nil
	}
}

// The example behind both proxies: deliveries go on while replicas are killed, a
// slow answer comes on WeChat's repeats, no Token is logged, and nothing is left.
func TestReplicasExample(t *testing.T) {
	for _, proxy := range []string{"nginx", "caddy"} {
		t.Run(proxy, func(t *testing.T) {
			t.Parallel()
			testReplicasExample(t, proxy)
		})
	}
}

func testReplicasExample(t *testing.T, proxy string) {
	const slug, token = "slugslug", "secrettoken"
	model := newThinking(t, sim.ModelSettings{Text: "想好了。", Delay: "7s"})
	bot := write(t, "bot.yaml", "accounts:\n  - path: "+slug+"\n    token: "+token+"\n    greeting: 你好呀\n    rules:\n      - {text: 帮助, reply: 发文字就行}\n")
	x := startReplicasExample(t, proxy, "WENZI_BOT="+bot, "WENZI_MODEL_URL="+model.url, "WENZI_MODEL=sim", "WENZI_MODEL_KEY="+modelKey)
	account, url := oa.Account{Token: token}, x.front+"/wechatMP/"+slug

	for _, tt := range []struct{ arg, want string }{{"--check", "验证通过"}, {"--event=subscribe", "你好呀"}, {"帮助", "发文字就行"}} {
		if out, errs, code := say(t, tt.arg, "--url", url, "--token", token); code != 0 || !strings.Contains(out, tt.want) {
			t.Errorf("say %s: exit %d\n%s%s", tt.arg, code, out, errs)
		}
	}
	m := text("oA", "帮助", 1)
	first := mustDeliver(t, account, url, m)
	for range 3 { // one of them at each replica
		if again := mustDeliver(t, account, url, m); again != first {
			t.Errorf("a repeat gets other bytes:\n%s\n%s", first, again)
		}
	}
	if status, _, err := deliver(account, x.front+"/wechatMP/othertoken", m); status != 404 || err != nil {
		t.Errorf("an unknown address: %d, %v", status, err)
	}
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		if status, _ := get(t, x.front+path); status != 404 {
			t.Errorf("the proxy answers %s with %d", path, status)
		}
		if status, _ := get(t, "http://127.0.0.1:"+x.ports[4]+path); status != 200 {
			t.Errorf("the admin address answers %s with %d", path, status)
		}
	}

	x.killOneUnderLoad(account, url, proxy == "nginx")

	p := sim.New(sim.Settings{})
	t.Cleanup(p.Close)
	official, err := p.NewAccount(sim.AccountConfig{Kind: sim.Subscription, URL: url, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	const question = "怎么办理？"
	asker := official.Follower()
	asker.Subscribe().Wait(t.Context())
	began := time.Now()
	sent := asker.Say(question)
	if fate := sent.Wait(t.Context()); fate != sim.Replied || len(sent.Attempts()) != 2 {
		t.Errorf("the slow answer: %q after %d deliveries", fate, len(sent.Attempts()))
	}
	stats := model.Stats()
	t.Logf("%s: the slow answer came after %v, %d calls of the model", proxy, time.Since(began).Round(10*time.Millisecond), stats.Asked(question))
	if n := stats.Asked(question); n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
	chat := asker.Chat()
	if got := chat[len(chat)-1].Text(); got != "想好了。" {
		t.Errorf("the follower sees %q", got)
	}
	checkBroken(t, sent)

	// All replicas are dead for 5 s. WeChat must not see a status, which it would
	// repeat at once; Caddy has the delivery wait for a replica.
	for i := range 3 {
		syscall.Kill(x.pid(fmt.Sprintf("%d.pid", i+1)), syscall.SIGKILL)
	}
	for _, port := range x.ports[1:4] {
		x.waitUntil(func() bool {
			c, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	}
	time.Sleep(4 * time.Second)
	sent = asker.Say("帮助")
	if fate := sent.Wait(t.Context()); fate != sim.Replied {
		t.Errorf("after all replicas were killed: %q", fate)
	}
	if n := len(sent.Attempts()); proxy == "caddy" && n != 1 {
		t.Errorf("behind Caddy it took %d deliveries", n)
	}
	checkBroken(t, sent)

	x.waitUntil(func() bool { // replica 1 may not be back yet
		out, _, code := wenzi(t, "turns", "--data", filepath.Join(x.dir, "1"))
		return code == 0 && strings.Contains(out, "model")
	})
	log := x.proxyLog()
	for _, secret := range []string{slug, token, "othertoken", "signature", asker.OpenID(), "openid"} {
		if strings.Contains(log, secret) {
			t.Errorf("the proxy's log holds %q", secret)
		}
	}
	if !strings.Contains(log, "/wechatMP/...") {
		t.Error("the proxy logs no deliveries")
	}
	pids := x.pids()
	if err := x.end(); x.cmd.ProcessState.ExitCode() != 143 {
		t.Errorf("the script ends with %v", err)
	}
	for _, pid := range pids { // PostgreSQL says that it has ended just before it does
		x.waitUntil(func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	}
	if _, err := os.Stat(x.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is left: %v", err)
	}
}

// checkBroken sees that every delivery that was not answered ended without a
// byte.
func checkBroken(t *testing.T, sent *sim.Sent) {
	t.Helper()
	for _, a := range sent.Attempts() {
		if a.Exchange.Response.Status != 0 && a.Exchange.Response.Status != 200 {
			t.Errorf("delivery %d got status %d", a.Number, a.Exchange.Response.Status)
		}
		t.Logf("delivery %d: %s, status %d after %v", a.Number, a.Exchange.Verdict.Outcome, a.Exchange.Response.Status, a.Exchange.Response.Elapsed.Round(10*time.Millisecond))
	}
}

// killOneUnderLoad kills a replica while followers write, and waits until it is
// back. Every delivery is answered; only where the proxy cannot pass on what it
// had sent, those that were on their way at that moment may break, without a
// byte.
func (x *replicasExample) killOneUnderLoad(a oa.Account, url string, passesOn bool) {
	x.t.Helper()
	var killed atomic.Int64 // since when it is gone, in Unix nanoseconds
	var wg sync.WaitGroup
	var answered, broken atomic.Int64
	stop := time.Now().Add(2500 * time.Millisecond)
	for f := range 6 {
		wg.Go(func() {
			from := fmt.Sprintf("oF%d", f)
			for i := 0; time.Now().Before(stop); i++ {
				m := text(from, "帮助", int64(f*100_000+i+10))
				began := time.Now().UnixNano()
				status, body, err := deliver(a, url, m)
				if err != nil && !passesOn && (killed.Load() == 0 || began < killed.Load()) {
					broken.Add(1)
					status, body, err = deliver(a, url, m)
				}
				if err != nil || status != 200 || said(x.t, body) != "发文字就行" {
					x.t.Errorf("%s, message %d: status %d, %v, %q", from, i, status, err, body)
					return
				}
				answered.Add(1)
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	pid := x.pid("2.pid")
	syscall.Kill(pid, syscall.SIGKILL)
	x.waitUntil(func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
	killed.Store(time.Now().UnixNano())
	wg.Wait()
	x.t.Logf("%d deliveries answered, %d broken, around the death of replica 2", answered.Load(), broken.Load())
	x.waitFor(fmt.Sprintf("副本 2（PID %d）停了", pid))
	x.waitUntil(func() bool { return x.pid("2.pid") != pid })
}
