package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// controlError is what a [Control] says when it does not do something.
type controlError struct {
	status  int
	Code    string `json:"code"`
	Chinese string `json:"zh"`
	English string `json:"en"`
}

func (e *controlError) Error() string { return e.Chinese + "（" + e.English + "）" }

// badValue is the error of a member, or a parameter, whose value is no use.
func badValue(name, chinese, english string) error {
	return &controlError{http.StatusBadRequest, "bad_value", name + "：" + chinese, name + ": " + english}
}

// notTaken is the error for what a platform or a model does not take.
func notTaken(err error) error {
	said := strings.TrimPrefix(err.Error(), "sim: ")
	return &controlError{http.StatusBadRequest, "refused", "平台没有接受：" + said, "the platform does not take it: " + said}
}

func notFound(chinese, english string) error {
	return &controlError{http.StatusNotFound, "not_found", chinese, english}
}

func writeControlError(w http.ResponseWriter, err error) {
	e, known := errors.AsType[*controlError](err)
	if !known {
		e = &controlError{http.StatusInternalServerError, "internal", "模拟平台出错：" + err.Error(), "the simulated platform failed: " + err.Error()}
	}
	writeControl(w, e.status, map[string]any{"error": e})
}

func writeControl(w http.ResponseWriter, status int, value any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		panic(err) // the values are our own
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// read reads the JSON object of the body into what to points to. Nothing at all
// is an empty object.
func (o *order) read(to any) error {
	body, err := o.readBody()
	if err != nil {
		return err
	}
	return decodeStrictly(body, to)
}

func (o *order) readBody() ([]byte, error) {
	body, err := io.ReadAll(o.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &controlError{http.StatusRequestEntityTooLarge, "too_large",
			fmt.Sprintf("请求超过 %d 字节", tooLarge.Limit), fmt.Sprintf("the request has more than %d bytes", tooLarge.Limit)}
	}
	if err != nil {
		return nil, &controlError{http.StatusBadRequest, "bad_json", "请求没有收完整", "the request did not arrive as a whole"}
	}
	return body, nil
}

// decodeStrictly reads a JSON object of which every member must be known.
func decodeStrictly(body []byte, to any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil && len(bytes.TrimSpace(body[d.InputOffset():])) > 0 {
		err = errors.New("there is more after the object")
	}
	if err == nil {
		return nil
	}
	if e, ours := errors.AsType[*controlError](err); ours {
		return e
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return &controlError{http.StatusBadRequest, "unknown_member",
			"不认识 " + name + "；检查拼写，docs/sim.md 列出全部", name + " is not known: check its spelling, docs/sim.md lists what there is"}
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
		return &controlError{http.StatusBadRequest, "wrong_type",
			fmt.Sprintf("%s 的类型不对：应是 %s，这里是 %s", wrong.Field, wrong.Type, wrong.Value),
			fmt.Sprintf("%s is of the wrong type: it must be %s, this is %s", wrong.Field, wrong.Type, wrong.Value)}
	}
	said := strings.TrimPrefix(err.Error(), "json: ")
	return &controlError{http.StatusBadRequest, "bad_json",
		"请求体应是一个 JSON 对象：" + said, "the body must be a JSON object: " + said}
}

// duration is a time.Duration that is a string such as "1.5s" in JSON.
type duration time.Duration

// MarshalText writes what [time.ParseDuration] reads.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalJSON refuses numbers as well, whose unit nobody knows.
func (d *duration) UnmarshalJSON(b []byte) error {
	var text string
	err := json.Unmarshal(b, &text)
	var v time.Duration
	if err == nil {
		v, err = time.ParseDuration(text)
	}
	if err != nil {
		return &controlError{http.StatusBadRequest, "bad_value",
			fmt.Sprintf("%s 不是时长：写成 \"1.5s\"、\"200ms\" 或 \"2h\"", clip(string(b))),
			fmt.Sprintf("%s is no duration: write \"1.5s\", \"200ms\" or \"2h\"", clip(string(b)))}
	}
	*d = duration(v)
	return nil
}

// rounded is for a person to read.
func rounded(d time.Duration) duration {
	if d >= time.Second {
		return duration(d.Round(time.Millisecond))
	}
	return duration(d.Round(10 * time.Microsecond))
}
