//go:build unix

package app

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// need skips a test that this machine cannot run. CI must be able to.
func need(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// pythonWithFlask is the command of one; the first in PATH may have none.
func pythonWithFlask(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import flask").Run() == nil {
			return python
		}
	}
	need(t, "no python3 has Flask; scripts/deps.sh installs it")
	return ""
}

// nodeProgram is the path of a program of testdata/foreign/node, which node can run.
func nodeProgram(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join("testdata", "foreign", "node")
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		need(t, "no Node.js, or no packages in "+dir+"; scripts/deps.sh installs them")
	}
	return filepath.Join(dir, name)
}

var loopbackURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// serveForeign starts a server that takes a free port and prints its address,
// which is returned. It ends with the test, and with it all its processes.
func serveForeign(t *testing.T, command string, args ...string) (base string) {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(command, args...), done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said:\n%s", command, p.logged())
		}
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	})
	p.waitUntil(func() bool {
		base = loopbackURL.FindString(p.logged())
		return base != "" || len(p.done) > 0
	})
	if base == "" {
		t.Fatal("it did not start")
	}
	return base
}

// delivered is a message and what WeChat makes of the answer of a program.
type delivered struct {
	message oa.Message
	outcome sim.Outcome
	problem sim.Rule
	seen    string // the bubble
}

// driveForeign checks the address of a server and delivers messages to it.
func driveForeign(t *testing.T, a oa.Account, url string, all []delivered) {
	t.Helper()
	transport := sim.NewTransport()
	defer transport.CloseIdleConnections()
	wechat := sim.Sender{Account: a, URL: url, Transport: transport}
	check := func(what string, e *sim.Exchange, err error, want delivered) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		var problem sim.Rule
		if e.Verdict.Problem != nil {
			problem = e.Verdict.Problem.Rule
		}
		seen := ""
		for _, b := range e.Verdict.Bubbles {
			seen += b.String()
		}
		if e.Verdict.Outcome != want.outcome || problem != want.problem || seen != want.seen {
			t.Errorf("%s, %s:\n%s%s", e.Mode, what, e.Transcript(), e.Response.Body)
		}
	}
	e, err := wechat.Check(t.Context())
	check("the address", e, err, delivered{outcome: sim.Verified})
	for _, d := range all {
		e, err := wechat.Deliver(t.Context(), d.message)
		check(sim.Describe(d.message), e, err, d)
	}
	wechat.Account.Token = "another"
	e, err = wechat.Check(t.Context())
	check("another Token", e, err, delivered{outcome: sim.Refused, problem: sim.RuleStatus})
}

func eventHeader(name string) oa.EventHeader {
	return oa.EventHeader{Event: name, Header: oa.Header{ToUserName: gh, FromUserName: "oA", CreateTime: time.Now().Unix(), MsgType: "event"}}
}

func image(from, mediaID string, id int64) *oa.ImageMessage {
	return &oa.ImageMessage{Header: oa.Header{ToUserName: gh, FromUserName: from, CreateTime: time.Now().Unix(), MsgType: "image"},
		PicURL: "https://example.com/p.jpg", MediaID: mediaID, Ident: oa.Ident{MsgID: id}}
}

// A program as a beginner writes it, with the usual mistake: it fails where WeChat
// sends what is no XML, and is sent it again.
func TestForeignFlask(t *testing.T) {
	python := pythonWithFlask(t)
	base := serveForeign(t, python, filepath.Join("testdata", "foreign", "flask", "echo.py"), guest.Token)
	driveForeign(t, guest, base+"/wx", []delivered{
		{message: subscribe("oA"), outcome: sim.Answered, seen: "Hi~ 终于等到你"},
		{message: text("oA", "你好，世界 😀 <a> & b", 1), outcome: sim.Answered, seen: "你好，世界 😀 <a> & b"},
		{message: image("oA", "m1", 2), outcome: sim.Answered, seen: "[图片] m1"},
		{message: &oa.ViewEvent{EventHeader: eventHeader("VIEW"), URL: "https://example.com/"}, outcome: sim.Acknowledged},
		{message: text("oA", "a]]>b", 3), outcome: sim.Repeated, problem: sim.RuleStatus},
	})
}

// The npm package co-wechat, in every mode. What a follower says can end the
// CDATA section of its replies.
func TestForeignCoWechat(t *testing.T) {
	server := nodeProgram(t, "server.mjs")
	for _, mode := range []oa.Mode{oa.Plain, oa.Compat, oa.Secure} {
		t.Run(mode.String(), func(t *testing.T) {
			a := oa.Account{Token: "hello", Mode: mode}
			config := map[string]string{"token": a.Token}
			if mode != oa.Plain {
				a.AppID, a.AESKey = sayAppID, sayKey
				config["appid"], config["encodingAESKey"] = a.AppID, a.AESKey
			}
			asJSON, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			base := serveForeign(t, "node", server, string(asJSON))
			driveForeign(t, a, base+"/wx?own=1", []delivered{
				{message: subscribe("oA"), outcome: sim.Answered, seen: "Hi~ 终于等到你"},
				{message: text("oA", "你好，世界 😀 <a> & b", 1), outcome: sim.Answered, seen: "你好，世界 😀 <a> & b"},
				{message: image("oA", "m1", 2), outcome: sim.Answered, seen: "[图片] m1"},
				{message: &oa.ClickEvent{EventHeader: eventHeader("CLICK"), Key: "ABOUT"}, outcome: sim.Answered,
					seen: "[图文] 关于我们\n  说明\n  https://example.com/p.jpg\n  https://example.com/a"},
				{message: &oa.UnsubscribeEvent{EventHeader: eventHeader("unsubscribe")}, outcome: sim.Acknowledged},
				{message: text("oA", "a]]>b", 3), outcome: sim.Refused, problem: sim.RuleXML, seen: sim.FaultNotice},
			})
		})
	}
}
