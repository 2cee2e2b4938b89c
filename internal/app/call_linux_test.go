package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// terminal opens a pseudo-terminal: a person's side, and the program's.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err) // a sandbox without terminals
	}
	t.Cleanup(func() { person.Close() })
	ioctl := func(request uintptr, arg *int32) {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	var unlock, number int32
	ioctl(syscall.TIOCSPTLCK, &unlock)
	ioctl(syscall.TIOCGPTN, &number)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	return person, program
}

// onTerminal runs a command whose output a person sees.
func onTerminal(t *testing.T, args ...string) (shown, stderr string, code int) {
	t.Helper()
	person, tty := terminal(t)
	cmd := program(t.Context(), args...)
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = tty, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	b, _ := io.ReadAll(person) // it ends with EIO when the program has ended
	_ = cmd.Wait()
	return strings.ReplaceAll(string(b), "\r\n", "\n"), errs.String(), cmd.ProcessState.ExitCode()
}

func TestCallOnATerminal(t *testing.T) {
	p := newPlatform(t, map[string]http.HandlerFunc{
		"/cgi-bin/user/info": says(`{"openid":"oA","remark":"你` + "\u009b" + `2J"}`),
		"/cgi-bin/user/get":  says(`{"total":1,"count":1,"data":{"openid":["o` + "\u009b" + `1"]},"next_openid":""}`),
		"/cgi-bin/media/get": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/jpeg")
			io.WriteString(w, "\x1b[2Jpicture")
		},
	})
	t.Setenv("WENZI_APP_SECRET", appSecret)
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"user_info_get", "openid=oA"}, "{\n  \"openid\": \"oA\",\n  \"remark\": \"你\\u009b2J\"\n}\n", 0},
		{[]string{"user_list", "--all"}, "\"o\\u009b1\"\n", 0},
		{[]string{"media_get", "media_id=a"}, "", 2},
		{[]string{"qrcode_show", "ticket=t"}, "", 2},
	} {
		shown, stderr, code := onTerminal(t, append([]string{"call", "--app-id", appID}, tt.args...)...)
		if code != tt.code || shown != tt.want || tt.code == 2 && !strings.Contains(stderr, "--output") {
			t.Errorf("%v: exit %d\n%q\n%s", tt.args, code, shown, stderr)
		}
	}
	for _, s := range p.calls() {
		if s.path == "/cgi-bin/showqrcode" {
			t.Error("what can only be a file is asked for before it is refused")
		}
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("/dev/null is taken for a terminal")
	}
}
