package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa/api"
)

const sendPath = "/cgi-bin/message/custom/send"

// cut answers by cutting the connection.
func cut(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	io.WriteString(w, "<html><title>502</title></html>")
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// What a send answers when no proper answer comes: it is not repeated, and its
// outcome is unknown. A call that only reads is repeated and then fails.
func TestNoProperAnswer(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"cut connection", cut},
		{"HTML", html},
		{"empty answer", func(http.ResponseWriter, *http.Request) {}},
		{"500", status(500)},
		{"502", status(502)},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"errcode":0,`)
		}},
		{"broken JSON", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"errcode":0,"errmsg`) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t)
			c := p.client()
			p.on(sendPath, test.handler)
			err := c.CustomMessage.Send(t.Context(), api.CustomText(openID, "你好"))
			var e *api.Error
			if !errors.Is(err, api.ErrUnknownOutcome) || !errors.Is(err, api.ErrUnreachable) || !errors.As(err, &e) {
				t.Errorf("send: %v", err)
			}
			if n := p.count(sendPath); n != 1 {
				t.Errorf("sent %d times", n)
			}
			p.on(menuPath, test.handler)
			_, err = c.Menu.Get(t.Context())
			if errors.Is(err, api.ErrUnknownOutcome) || !errors.Is(err, api.ErrUnreachable) {
				t.Errorf("read: %v", err)
			}
			if n := p.count(menuPath); n != 3 {
				t.Errorf("read %d times, want 3", n)
			}
		})
	}
}

func TestRefusedStatusIsNotUnknown(t *testing.T) {
	p := newPlatform(t)
	for _, code := range []int{301, 403, 404, 413} {
		p.on(sendPath, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		})
		err := p.client().CustomMessage.Send(t.Context(), api.CustomText(openID, "x"))
		if err == nil || errors.Is(err, api.ErrUnknownOutcome) || !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("%d: %v", code, err)
		}
	}
	if n := p.count("/elsewhere"); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

// A request that never left is not of unknown outcome.
func TestNotSentIsNotUnknown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	l.Close()
	c, err := api.NewClient(api.Account{AppID: appID}, api.WithBaseURL(address), api.WithTokenSource(api.StaticToken("TOKEN_0001")))
	if err != nil {
		t.Fatal(err)
	}
	err = c.CustomMessage.Send(t.Context(), api.CustomText(openID, "x"))
	if !errors.Is(err, api.ErrUnreachable) || errors.Is(err, api.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
}

func TestSlowPlatform(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	if _, err := c.Tokens().Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{}, 10)
	release := make(chan struct{})
	defer close(release)
	slow := func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
	}
	for _, path := range []string{sendPath, menuPath} {
		p.on(path, slow)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	err := c.CustomMessage.Send(ctx, api.CustomText(openID, "x"))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, api.ErrUnknownOutcome) {
		t.Errorf("send: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = c.Menu.Get(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, api.ErrUnknownOutcome) {
		t.Errorf("read: %v", err)
	}
	if n := p.count(menuPath); n > 1 {
		t.Errorf("read %d times though the caller's time was over", n)
	}
}

// pipeTransport answers in memory, which lets the fake clock run.
type pipeTransport func(*http.Request) (*http.Response, error)

func (f pipeTransport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(body string) *http.Response {
	rec := httptest.NewRecorder()
	io.WriteString(rec, body)
	return rec.Result()
}

func TestOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c, err := api.NewClient(api.Account{AppID: appID}, api.WithTokenSource(api.StaticToken("TOKEN_0001")),
			api.WithHTTPClient(&http.Client{Transport: pipeTransport(func(r *http.Request) (*http.Response, error) {
				calls++
				<-r.Context().Done()
				return nil, r.Context().Err()
			})}))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err = c.CustomMessage.Send(t.Context(), api.CustomText(openID, "x"))
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 15*time.Second || calls != 1 {
			t.Errorf("after %s and %d calls: %v", took, calls, err)
		}
	})
}

func TestBusyReadIsRepeated(t *testing.T) {
	p := newPlatform(t)
	p.fail(menuPath, -1, 61450)
	if _, err := p.client().Menu.Get(t.Context()); err != nil || p.count(menuPath) != 3 {
		t.Errorf("%d calls: %v", p.count(menuPath), err)
	}
	p.fail(sendPath, -1)
	err := p.client().CustomMessage.Send(t.Context(), api.CustomText(openID, "x"))
	if !errors.Is(err, api.ErrBusy) || p.count(sendPath) != 1 {
		t.Errorf("a busy send must not be repeated: %d calls, %v", p.count(sendPath), err)
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		code int
		want error
	}{
		{40003, api.ErrFollowerGone}, {43004, api.ErrFollowerGone}, {45009, api.ErrQuota}, {45011, api.ErrRate},
		{45015, api.ErrWindowClosed}, {45047, api.ErrWindowClosed}, {48001, api.ErrPermission}, {40164, api.ErrIPNotAllowed},
		{40007, api.ErrBadRequest}, {45065, api.ErrDuplicate}, {40249, api.ErrContent}, {46003, api.ErrNotFound},
		{61023, api.ErrReauthorize}, {89503, api.ErrIPNotAllowed}, {89505, api.ErrConfirm}, {45171, api.ErrPartial},
		{61503, api.ErrNotReady}, {47009, api.ErrRetired}, {40013, api.ErrConfig}, {999999, nil},
	} {
		t.Run(fmt.Sprint(test.code), func(t *testing.T) {
			p := newPlatform(t)
			p.fail(sendPath, test.code, test.code)
			err := p.client().CustomMessage.Send(t.Context(), api.CustomText(openID, "x"))
			var e *api.Error
			if !errors.As(err, &e) || e.Code != test.code || e.RID != rid || e.Endpoint != "custom_message_send" || e.HTTPStatus != 200 || e.Msg != "some reason" {
				t.Fatalf("%+v", e)
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("not %v: %v", test.want, err)
			}
			if p.count(sendPath) != 1 {
				t.Errorf("%d calls", p.count(sendPath))
			}
			for _, category := range []error{api.ErrToken, api.ErrQuota, api.ErrRate, api.ErrWindowClosed, api.ErrUnknownOutcome} {
				if !errors.Is(test.want, category) && errors.Is(err, category) {
					t.Errorf("also %v", category)
				}
			}
		})
	}
	e := &api.Error{Endpoint: "menu_create", Code: 40033, Msg: "invalid charset", RID: "r-1"}
	want := `api: menu_create: 40033 请求里含有 \uXXXX 转义，应直接发送 UTF-8 invalid charset (rid r-1)；直接发送 UTF-8，不要转义中文`
	if e.Error() != want {
		t.Errorf("%s", e)
	}
}

func TestAllCodesExplained(t *testing.T) {
	c := catalogue.Load()
	if len(c.Codes) != 298 {
		t.Errorf("%d codes", len(c.Codes))
	}
	for _, code := range c.Codes {
		meaning, advice, ok := api.CodeMeaning(code.Code)
		if !ok || !hasChinese(meaning) || !hasChinese(advice) {
			t.Errorf("%d: %q %q %v", code.Code, meaning, advice, ok)
		}
	}
	if _, _, ok := api.CodeMeaning(123456789); ok {
		t.Error("an unknown code is explained")
	}
}

func hasChinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff })
}

// Some errors carry data.
func TestErrorWithData(t *testing.T) {
	p := newPlatform(t)
	p.on("/cgi-bin/message/mass/sendall", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"errcode":"45065","errmsg":"clientmsgid exist hint: [abc-1]","msg_id":"34182","msg_data_id":206227730}`)
	})
	resp, err := p.client().Mass.SendAll(t.Context(), api.MassText("hi").ToAll("id-1"))
	var e *api.Error
	if !errors.Is(err, api.ErrDuplicate) || !errors.As(err, &e) || e.RID != "abc-1" || resp.MsgID != 34182 || resp.MsgDataID != 206227730 {
		t.Errorf("%+v %+v", resp, e)
	}
}

func TestRawUTF8(t *testing.T) {
	p := newPlatform(t)
	var body []byte
	p.on(sendPath, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	})
	text := "你好 <a href=\"https://example.com/?a=1&b=2\">x</a> 😀 \u2028 \\u2028 bad\xff"
	if err := p.client().CustomMessage.Send(t.Context(), api.CustomText(openID, text)); err != nil {
		t.Fatal(err)
	}
	want := `{"touser":"` + openID + `","msgtype":"text","text":{"content":"你好 <a href=\"https://example.com/?a=1&b=2\">x</a> 😀 ` + "\u2028" + ` \\u2028 bad` + "\ufffd" + `"}}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeForgives(t *testing.T) {
	type inner struct {
		Text string `json:"text"`
	}
	type all struct {
		N      int64            `json:"n"`
		F      float64          `json:"f"`
		B      bool             `json:"b"`
		S      string           `json:"s"`
		List   []int64          `json:"list"`
		Reply  inner            `json:"reply"`
		Many   []inner          `json:"many"`
		ByName map[string]inner `json:"by_name"`
	}
	for name, test := range map[string]struct {
		in   string
		want all
	}{
		"big id in quotes":      {`{"n":"9223372036854775807"}`, all{N: 9223372036854775807}},
		"big id bare":           {`{"n":9223372036854775807,"b":1}`, all{N: 9223372036854775807, B: true}},
		"float for int":         {`{"n":7200.0,"f":"0.5"}`, all{N: 7200, F: 0.5}},
		"number for string":     {`{"s":12345678901234567890}`, all{S: "12345678901234567890"}},
		"flags":                 {`{"b":"0","n":true}`, all{N: 1}},
		"list for object":       {`{"reply":[{"text":"a"}]}`, all{Reply: inner{"a"}}},
		"object for list":       {`{"many":{"text":"a"},"list":"5"}`, all{Many: []inner{{"a"}}, List: []int64{5}}},
		"empties":               {`{"n":"","f":"","b":"","list":{},"reply":[],"many":"","by_name":[]}`, all{}},
		"control characters":    {"{\"s\":\"a\x01b\nc\\\"\"}", all{S: "a\x01b\nc\""}},
		"byte order mark":       {"\ufeff{\"n\":1}", all{N: 1}},
		"names in another case": {`{"N":"4","Reply":{"TEXT":7}}`, all{N: 4, Reply: inner{"7"}}},
		"map":                   {`{"by_name":{"x":{"text":1}}}`, all{ByName: map[string]inner{"x": {"1"}}}},
	} {
		var got all
		if err := api.Decode([]byte(test.in), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, bad := range []string{``, `{`, `{"n":"x"}`, `{"list":["x"]}`, `{"n":1} {"n":2}`, `<html>`} {
		if err := api.Decode([]byte(bad), new(all)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range catalogue.Load().Endpoints() {
		if e.SampleResponse != nil {
			f.Add([]byte(e.SampleResponse))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v api.MenuGetResponse
		_ = api.Decode(b, &v)
		var u api.UserInfoBatchGetResponse
		_ = api.Decode(b, &u)
	})
}

func TestCallUntyped(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	type query struct {
		KFAccount string `query:"kf_account" json:"-"`
	}
	type sessions struct {
		List []api.KFSession `json:"sessionlist"`
	}
	for _, name := range []string{"kf_session_list", "GET /customservice/kfsession/getsessionlist"} {
		got, err := api.Call[query, sessions](t.Context(), c, name, query{"helper@example"})
		if err != nil || len(got.List) == 0 {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	p.on("/new/path", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"echo":%q,"token":%t}`, b, r.URL.Query().Get("access_token") != "")
	})
	type echo struct {
		Echo  string `json:"echo"`
		Token bool   `json:"token"`
	}
	got, err := api.Call[map[string]int, echo](t.Context(), c, "POST /new/path", map[string]int{"a": 1})
	if err != nil || got != (echo{`{"a":1}`, true}) {
		t.Errorf("%+v %v", got, err)
	}
	for _, bad := range []string{"", "no_such_id", "PUT /x", "GET x", "GET /x?access_token=1", "oauth_authorize_page"} {
		if _, err := api.Call[any, echo](t.Context(), c, bad, nil); err == nil {
			t.Errorf("%q was called", bad)
		}
	}
}

func TestDo(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	ctx := t.Context()
	r, err := c.Do(ctx, api.Request{Endpoint: "user_info_get", Query: url.Values{"openid": {openID}}})
	if err != nil || r.File != nil || !bytes.Contains(r.JSON, []byte("subscribe")) {
		t.Errorf("%s %v", r.JSON, err)
	}
	e, _ := catalogue.Load().Endpoint("menu_create")
	if r, err = c.Do(ctx, api.Request{Endpoint: "menu_create", Body: e.SampleRequest}); err != nil {
		t.Errorf("%s %v", r.JSON, err)
	}
	if r, err = c.Do(ctx, api.Request{Endpoint: "blacklist_list"}); err != nil {
		t.Errorf("without a body: %s %v", r.JSON, err)
	}
	upload := api.Request{Endpoint: "material_add", Query: url.Values{"type": {"video"}},
		Form: map[string]string{"description": api.VideoDescription("题", "<b>")},
		File: api.Upload{Name: "a.mp4", Body: strings.NewReader("video")}}
	if r, err = c.Do(ctx, upload); err != nil || !bytes.Contains(r.JSON, []byte("MEDIA_ID")) {
		t.Errorf("upload: %s %v", r.JSON, err)
	}
	r, err = c.Do(ctx, api.Request{Endpoint: "qrcode_show", Query: url.Values{"ticket": {"T"}}})
	if err != nil || r.File == nil {
		t.Fatalf("download: %v", err)
	}
	r.File.Close()
	p.fail(menuPath, 46003)
	r, err = c.Do(ctx, api.Request{Endpoint: "menu_get"})
	if !errors.Is(err, api.ErrNotFound) || !bytes.Contains(r.JSON, []byte("46003")) {
		t.Errorf("an error's JSON: %s %v", r.JSON, err)
	}
	for name, bad := range map[string]api.Request{
		"unknown":       {Endpoint: "nothing"},
		"body of a GET": {Endpoint: "menu_get", Body: []byte("{}")},
		"file of JSON":  {Endpoint: "menu_create", File: api.Upload{Body: strings.NewReader("x")}},
		"page":          {Endpoint: "oauth_authorize_page"},
	} {
		if _, err := c.Do(ctx, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	page, err := c.PageURL("onetime_subscribe_page", url.Values{"scene": {"1"}})
	if err != nil || page != p.URL+"/mp/subscribemsg?scene=1#wechat_redirect" {
		t.Errorf("%s %v", page, err)
	}
	if _, err := c.PageURL("menu_get", nil); err == nil {
		t.Error("menu_get is no page")
	}
}

func TestUploadInConstantMemory(t *testing.T) {
	const size = 10 << 20
	p := newPlatform(t)
	p.on("/cgi-bin/media/upload", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != r.ContentLength || n < size || n > size+1000 {
			t.Errorf("body of %d bytes, announced %d: %v", n, r.ContentLength, err)
		}
		io.WriteString(w, `{"type":"image","media_id":"M","created_at":1}`)
	})
	c := p.client()
	if _, err := c.Tokens().Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	resp, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: "image",
		Media: api.Upload{Name: "big.jpg", Size: size, Body: io.LimitReader(zeros{}, size)}})
	runtime.ReadMemStats(&after)
	if err != nil || resp.MediaID != "M" {
		t.Fatal(resp, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("an upload of 10 MB allocated %d bytes", used)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A token that died is found out after the upload was sent: it is sent again
// from the start, if it can be rewound.
func TestUploadAgain(t *testing.T) {
	content := strings.Repeat("0123456789", 1000)
	for _, test := range []struct {
		name   string
		upload api.Upload
		again  bool
	}{
		{"seeker", api.Upload{Body: strings.NewReader(content)}, true},
		{"unknown size", api.Upload{Body: io.MultiReader(strings.NewReader(content))}, true},
		{"stream", api.Upload{Size: int64(len(content)), Body: io.MultiReader(strings.NewReader(content))}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlatform(t)
			calls := 0
			p.on("/cgi-bin/media/uploadimg", func(w http.ResponseWriter, r *http.Request) {
				calls++
				f, h, err := r.FormFile("media")
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(f)
				if err != nil || string(b) != content || h.Filename != "file.jpg" || h.Header.Get("Content-Type") != "image/jpeg" {
					t.Errorf("%d bytes of %q: %v", len(b), h.Filename, err)
				}
				if calls == 1 {
					refuse(w, 42001, "access_token expired")
					return
				}
				io.WriteString(w, `{"url":"https://example.com/i"}`)
			})
			test.upload.Name = "猫.jpg"
			_, err := p.client().Media.UploadImage(t.Context(), api.MediaUploadImageRequest{Media: test.upload})
			if test.again && (err != nil || calls != 2) {
				t.Errorf("%d calls: %v", calls, err)
			}
			if !test.again && (!errors.Is(err, api.ErrToken) || calls != 1) {
				t.Errorf("%d calls: %v", calls, err)
			}
		})
	}
}

func TestUploadLimits(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	for name, req := range map[string]api.MediaUploadRequest{
		"too large":         {Type: "thumb", Media: api.Upload{Name: "a.jpg", Size: 64<<10 + 1, Body: zeros{}}},
		"unknown too large": {Type: "thumb", Media: api.Upload{Name: "a.jpg", Body: zeros{}}},
		"wrong type":        {Type: "image", Media: api.Upload{Name: "a.bmp", Size: 5, Body: zeros{}}},
		"no extension":      {Type: "voice", Media: api.Upload{Name: "a", Size: 5, Body: zeros{}}},
		"empty":             {Type: "image", Media: api.Upload{Name: "a.jpg", Body: strings.NewReader("")}},
		"broken reader":     {Type: "image", Media: api.Upload{Name: "a.jpg", Body: io.MultiReader(brokenReader{})}},
	} {
		if _, err := c.Media.Upload(t.Context(), req); !errors.Is(err, api.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := p.count("/cgi-bin/media/upload"); n != 0 {
		t.Errorf("%d uploads were sent", n)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk gone") }

func TestDownloads(t *testing.T) {
	const path = "/cgi-bin/media/get"
	get := func(t *testing.T, contentType, body string) (api.MediaGetResponse, error) {
		p := newPlatform(t)
		p.on(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			io.WriteString(w, body)
		})
		return p.client().Media.Get(t.Context(), api.MediaGetRequest{MediaID: "M"})
	}
	for _, contentType := range []string{"application/json", "text/plain", "text/json; charset=utf-8", ""} {
		_, err := get(t, contentType, `{"errcode":40007,"errmsg":"invalid media_id rid: `+rid+`"}`)
		var e *api.Error
		if !errors.As(err, &e) || e.Code != 40007 || e.RID != rid {
			t.Errorf("%q: error in JSON: %v", contentType, err)
		}
		resp, err := get(t, contentType, ` {"video_url":"https://example.com/v.mp4"}`)
		if err != nil || resp.File != nil || resp.VideoURL != "https://example.com/v.mp4" {
			t.Errorf("%q: video: %+v %v", contentType, resp, err)
		}
	}
	if _, err := get(t, "text/html", "<html>"); !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("HTML: %v", err)
	}
	for _, contentType := range []string{"image/jpeg", "audio/amr", "voice/speex", ""} {
		content := "#!AMR\n" + strings.Repeat("x", 100_000)
		resp, err := get(t, contentType, content)
		if err != nil || resp.File == nil {
			t.Errorf("%q: %v", contentType, err)
			continue
		}
		b, err := io.ReadAll(resp.File)
		if err != nil || string(b) != content {
			t.Errorf("%q: %d bytes, %v", contentType, len(b), err)
		}
		resp.File.Close()
	}
	// A line that is cut in the middle of a file is an error, not its end.
	p := newPlatform(t)
	p.on(path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Content-Length", "100000")
		io.WriteString(w, strings.Repeat("x", 5000))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	resp, err := p.client().Media.Get(t.Context(), api.MediaGetRequest{MediaID: "M"})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.File.Close()
	if _, err := io.ReadAll(resp.File); err == nil {
		t.Error("half a file was taken for a whole one")
	}
}

func TestDownloadIsBounded(t *testing.T) {
	const most = 64 << 20
	for size, fits := range map[int64]bool{most: true, most + 1: false} {
		c, err := api.NewClient(api.Account{AppID: appID}, api.WithTokenSource(api.StaticToken("TOKEN_0001")),
			api.WithHTTPClient(&http.Client{Transport: pipeTransport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"video/mp4"}},
					Body: io.NopCloser(io.LimitReader(zeros{}, size)), Request: r}, nil
			})}))
		if err != nil {
			t.Fatal(err)
		}
		file, err := c.Media.GetHDVoice(t.Context(), api.MediaGetHDVoiceRequest{MediaID: "M"})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, file)
		if (err == nil) != fits || n != most {
			t.Errorf("%d bytes: read %d, %v", size, n, err)
		}
		file.Close()
	}
}

func TestBadQRTicket(t *testing.T) {
	p := newPlatform(t)
	p.on("/cgi-bin/showqrcode", status(404))
	_, err := p.client().QRCode.Show(t.Context(), api.QRCodeShowRequest{Ticket: "secret-ticket"})
	if !errors.Is(err, api.ErrNotFound) || strings.Contains(err.Error(), "secret-ticket") {
		t.Errorf("got %v", err)
	}
}

// Nothing that is printed may hold a token or a secret, whatever goes wrong.
func TestNoSecretsAnywhere(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"sample": nil, "cut": cut, "html": html, "500": status(500),
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
		},
		"echo": func(w http.ResponseWriter, r *http.Request) { // a platform that says everything back
			b, _ := io.ReadAll(r.Body)
			q := strings.ReplaceAll(r.URL.RawQuery+string(b), `"`, `'`)
			fmt.Fprintf(w, `{"errcode":40001,"errmsg":"bad request %s rid: %s"}`, strings.ReplaceAll(q, "私密的话", "…"), rid)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := everythingPrinted(t, h)
				for _, s := range []string{secret, "TOKEN_0", "xxxxxxxx", oauthCode, refreshToken, openID, "私密"} {
					if i := strings.Index(all, s); i >= 0 {
						t.Errorf("%q was printed: …%s…", s, all[max(0, i-200):min(len(all), i+100)])
					}
				}
			})
		})
	}
}

const oauthCode, refreshToken = "OAUTHCODE0123456789", "REFRESH0123456789"

// everythingPrinted makes calls of many kinds to a platform that answers by h,
// and then cuts every line, and collects all errors, logs, traces and values.
func everythingPrinted(t *testing.T, h http.HandlerFunc) string {
	var out bytes.Buffer
	locked := &lockedWriter{w: &out}
	p := offlinePlatform(t)
	account := api.Account{AppID: appID, Secret: secret}
	c, err := api.NewClient(account, api.WithHTTPClient(&http.Client{Transport: p}),
		api.WithLogger(slog.New(slog.NewTextHandler(locked, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		api.WithTrace(func(_ context.Context, a api.Attempt) func(api.Result) {
			return func(r api.Result) { fmt.Fprintf(locked, "%+v %+v\n", a, r) }
		}))
	if err != nil {
		t.Fatal(err)
	}
	token, err := c.Tokens().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(locked, nil)).Info("values", "account", account, "secret", account.Secret, "token", token, "static", api.StaticToken(secret))
	fmt.Fprintf(locked, "%v %+v %#v %s %v %+v %#v\n", token, token, token, token, account, account, account)
	if b, err := json.Marshal(account); err != nil {
		t.Error(err)
	} else {
		locked.Write(b)
	}
	if h != nil {
		for _, path := range []string{sendPath, menuPath, stablePath, "/sns/oauth2/access_token", "/sns/oauth2/refresh_token", "/cgi-bin/clear_quota/v2", "/cgi-bin/media/get"} {
			p.on(path, h)
		}
	}
	report := func(err error) {
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintf(locked, "%v %+v\n", e, e)
		}
	}
	ctx := t.Context()
	text := "私密的话"
	for range 2 {
		report(c.CustomMessage.Send(ctx, api.CustomText(openID, text)))
		_, err = c.Menu.Get(ctx)
		report(err)
		_, err = c.ExchangeCode(ctx, oauthCode)
		report(err)
		_, err = c.RefreshUserToken(ctx, refreshToken)
		report(err)
		report(c.Quota.ClearBySecret(ctx, api.QuotaClearBySecretRequest{AppID: appID, AppSecret: secret}))
		_, err = c.Media.Get(ctx, api.MediaGetRequest{MediaID: "M"})
		report(err)
		for path := range p.handlers { // and now nobody answers
			p.on(path, cut)
		}
	}
	if out.Len() < 1000 {
		t.Errorf("only %d bytes were printed", out.Len())
	}
	return out.String()
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func TestTrace(t *testing.T) {
	p := newPlatform(t)
	p.fail(menuPath, 42001, -1)
	var got []string
	c := p.client(api.WithTrace(func(_ context.Context, a api.Attempt) func(api.Result) {
		return func(r api.Result) {
			got = append(got, fmt.Sprintf("%s %s %d: %d %d %s", a.AppID, a.Endpoint, a.Number, r.HTTPStatus, r.Code, r.RID))
		}
	}))
	if _, err := c.Menu.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		appID + " token_get_stable 1: 200 0 ",
		appID + " menu_get 1: 200 42001 " + rid,
		appID + " token_get_stable 1: 200 0 ",
		appID + " menu_get 2: 200 -1 " + rid,
		appID + " menu_get 3: 200 0 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c, err := api.NewClient(api.Account{AppID: appID}, api.WithTokenSource(api.StaticToken("TOKEN_0001")),
			api.WithLimits(map[string]api.Limit{"menu_get": {PerMinute: 2, PerDay: 5}}),
			api.WithHTTPClient(&http.Client{Transport: pipeTransport(func(*http.Request) (*http.Response, error) {
				calls++
				return answer(`{"menu":{"button":[]}}`), nil
			})}))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for i := range 5 {
			if _, err := c.Menu.Get(t.Context()); err != nil {
				t.Fatal(i, err)
			}
		}
		if took := time.Since(begin); took != 2*time.Minute {
			t.Errorf("5 calls of 2 a minute took %s", took)
		}
		if _, err := c.Menu.Get(t.Context()); !errors.Is(err, api.ErrQuota) || calls != 5 {
			t.Errorf("after the day's limit: %d calls, %v", calls, err)
		}
		time.Sleep(24 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 2 {
			if _, err := c.Menu.Get(ctx); err != nil {
				t.Fatal("next day:", err)
			}
		}
		if _, err := c.Menu.Get(ctx); !errors.Is(err, api.ErrRate) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no time to wait: %v", err)
		}
	})
	if l := api.DefaultLimits()["mass_send_all"]; l != (api.Limit{PerMinute: 60, PerDay: 100}) {
		t.Errorf("mass_send_all: %+v", l)
	}
}

func TestNewClientRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		account api.Account
		option  api.Option
	}{
		"no AppID":  {api.Account{Secret: secret}, api.WithBaseURL(api.DefaultHost)},
		"no secret": {api.Account{AppID: appID}, api.WithBaseURL(api.DefaultHost)},
		"bad URL":   {api.Account{AppID: appID, Secret: secret}, api.WithBaseURL("api.weixin.qq.com")},
		"bad pages": {api.Account{AppID: appID, Secret: secret}, api.WithPagesURL("https://x/?" + secret)},
	} {
		if _, err := api.NewClient(test.account, test.option); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where the token is a visitor's, a dead one is a matter of logging in again.
func TestUserToken(t *testing.T) {
	p := newPlatform(t)
	for _, code := range []int{40001, 40014, 42001} {
		p.fail("/sns/userinfo", code)
		_, err := p.client().OAuth.UserInfo(t.Context(), api.OAuthUserInfoRequest{AccessToken: "USER_TOKEN_0001", OpenID: openID})
		if !errors.Is(err, api.ErrReauthorize) || errors.Is(err, api.ErrToken) || strings.Contains(err.Error(), "AppSecret 属于") {
			t.Errorf("%d: %v", code, err)
		}
	}
	if n := p.count("/sns/userinfo"); n != 3 {
		t.Errorf("%d calls, want 3", n)
	}
}

func TestUploadThatReadsCannotBeRewound(t *testing.T) {
	p := newPlatform(t)
	p.on("/cv/ocr/comm", cut)
	_, err := p.client().OCR.Common(t.Context(), api.OCRCommonRequest{
		Image: api.Upload{Name: "a.jpg", Size: 5, Body: io.LimitReader(zeros{}, 5)}})
	if !errors.Is(err, api.ErrUnreachable) || errors.Is(err, api.ErrToken) || p.count("/cv/ocr/comm") != 1 {
		t.Errorf("%d calls: %v", p.count("/cv/ocr/comm"), err)
	}
}

func TestLookup(t *testing.T) {
	for _, e := range catalogue.Load().Endpoints() {
		got, ok := api.Lookup(e.ID)
		if !ok || got.Method != e.Method || got.Path != e.Path || got.Reads != e.Reads() || (got.Auth == api.AccountToken) != (e.Auth == catalogue.AuthAccount) {
			t.Errorf("%s: %+v", e.ID, got)
		}
	}
	e, ok := api.Lookup("POST /cgi-bin/menu/create")
	if !ok || e.ID != "menu_create" {
		t.Errorf("by path: %+v", e)
	}
}
