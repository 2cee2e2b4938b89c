package app

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// Somebody who types is told how, sees no line twice, and leaves in peace.
func TestChatOnATerminal(t *testing.T) {
	person, tty := terminal(t)
	cmd := program(t.Context(), "sim", "chat", "--url", sayTo(t, sayLinks(t)))
	cmd.Stdin = tty
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tty.Close()
	io.WriteString(person, "你好\n/图片\n")
	var shown bytes.Buffer
	for b := make([]byte, 1<<10); strings.Count(shown.String(), "公众号    ") < 2; {
		n, err := stdout.Read(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, shown.String())
		}
		shown.Write(b[:n])
	}
	io.WriteString(person, "/飞\n/退出\n")
	io.Copy(&shown, stdout)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	text := shown.String()
	if !strings.HasPrefix(text, "雯子模拟微信") || strings.Contains(text, "我  ") || !strings.Contains(text, "text 你好") || !strings.Contains(text, "没有动作 /飞") {
		t.Error(text)
	}
}
