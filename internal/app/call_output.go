package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
)

// callOutput is where the answer of a call goes: standard output, or the file
// of --output.
type callOutput struct {
	*env
	file string
}

// write hands the place to a function. A file appears under its name only when
// it is whole.
func (o *callOutput) write(answer func(io.Writer) error) error {
	if o.file == "" {
		return answer(o.stdout)
	}
	if info, err := os.Stat(o.file); err == nil && !info.Mode().IsRegular() { // a pipe, a device
		f, err := os.OpenFile(o.file, os.O_WRONLY, 0)
		if err != nil {
			return errUsage{fmt.Errorf("--output: %w", err)}
		}
		return errors.Join(answer(f), f.Close())
	}
	part := o.file + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o666)
	if err != nil {
		return errUsage{fmt.Errorf("--output: %w", err)}
	}
	err = errors.Join(answer(f), f.Close())
	if err == nil {
		err = os.Rename(part, o.file)
	}
	if err != nil {
		_ = os.Remove(part) // the mistake before counts
	}
	return err
}

// json writes the platform's JSON as it is, laid out where a person reads it.
func (o *callOutput) json(text []byte) error {
	var b bytes.Buffer
	person := o.file == "" && isTerminal(o.stdout)
	var err error
	if person {
		err = json.Indent(&b, text, "", "  ")
	} else {
		err = json.Compact(&b, text)
	}
	if err != nil { // the platform is loose about JSON
		b.Reset()
		b.Write(text)
	}
	out := b.String() + "\n"
	if person {
		out = tame(out)
	}
	return o.write(func(w io.Writer) error { _, err := io.WriteString(w, out); return err })
}

// download writes a file.
func (o *callOutput) download(d *api.Download) error {
	if err := o.takesFiles(); err != nil {
		return err
	}
	var n int64
	err := o.write(func(w io.Writer) (err error) { n, err = io.Copy(w, d); return err })
	if err == nil && o.file != "" {
		fmt.Fprintf(o.stderr, "已写入（written）%s  %s  %d 字节（bytes）\n", o.file, tame(d.ContentType), n)
	}
	return err
}

// takesFiles refuses to show bytes to a person.
func (o *callOutput) takesFiles() error {
	if o.file == "" && isTerminal(o.stdout) {
		return errUsage{errors.New("应答是文件，不能显示在终端上：加上 --output 文件名（the answer is a file; give --output FILE）")}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// tame writes the control characters of a text that comes from elsewhere as
// \u…: they would steer the terminal. In JSON that means the same.
func tame(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r <= 0x9f {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// tellsMore reports whether the answer beside an error has more than the error:
// some have the id of what was sent before, or the items that failed.
func tellsMore(answer []byte) bool {
	var members map[string]json.RawMessage
	if len(answer) == 0 || api.Decode(answer, &members) != nil {
		return false
	}
	delete(members, "errcode")
	delete(members, "errmsg")
	return len(members) > 0
}

// callError is a failed call in the words for the person who made it.
type callError struct {
	text string
	err  error
}

func (e callError) Error() string { return e.text }
func (e callError) Unwrap() error { return e.err }

// described says what failed, what it means, and what to do about it.
func described(err error) error {
	if _, told := errors.AsType[callError](err); told {
		return err
	}
	text := strings.TrimPrefix(err.Error(), "api: ")
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		return callError{tame(text), err}
	}
	var b strings.Builder
	advice := e.Advice()
	if e.Code == 0 {
		b.WriteString(strings.TrimSuffix(text, "；"+advice))
		if advice == "" && errors.Is(err, api.ErrUnreachable) {
			advice = "检查网络、代理和 --base-url（check the network, proxies and --base-url）"
		}
	} else {
		fmt.Fprintf(&b, "%s: %d %s", e.Endpoint, e.Code, e.Meaning())
		if e.Msg != "" {
			fmt.Fprintf(&b, "（%s）", e.Msg)
		}
	}
	for _, line := range [][2]string{
		{"怎么办（what to do）", advice},
		{"本机出口 IP（the address to allow）", e.IP},
		{"rid", e.RID},
	} {
		if line[1] != "" {
			fmt.Fprintf(&b, "\n  %s: %s", line[0], line[1])
		}
	}
	described := error(callError{tame(b.String()), err})
	if e.Code == 0 && e.HTTPStatus == 0 && errors.Is(err, api.ErrBadRequest) {
		return errUsage{described} // a file that the endpoint does not take; nothing was sent
	}
	return described
}

// traceTo tells what is asked and answered, without parameters and bodies.
func traceTo(w io.Writer) func(context.Context, api.Attempt) func(api.Result) {
	return func(_ context.Context, a api.Attempt) func(api.Result) {
		return func(r api.Result) {
			answer := fmt.Sprintf("HTTP %d errcode %d", r.HTTPStatus, r.Code)
			if r.HTTPStatus == 0 {
				answer = "没有应答（no answer）"
			}
			if r.RID != "" {
				answer += " rid " + r.RID
			}
			fmt.Fprintf(w, "> %s %s 第 %d 次（attempt）: %s  %v\n", a.Method, a.Path, a.Number, tame(answer), r.Duration.Round(time.Millisecond))
		}
	}
}
