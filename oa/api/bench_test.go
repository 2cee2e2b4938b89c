package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wenzihq/wenzi/oa/api"
)

// BenchmarkCall is a call of the client beside the same call by a plain
// http.Client, over loopback and in memory.
func BenchmarkCall(b *testing.B) {
	const answer = `{"errcode":0,"errmsg":"ok"}`
	serve := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, answer)
	}
	server := httptest.NewServer(http.HandlerFunc(serve))
	defer server.Close()
	memory := pipeTransport(func(r *http.Request) (*http.Response, error) {
		io.Copy(io.Discard, r.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader([]byte(answer))), Request: r}, nil
	})
	for name, transport := range map[string]http.RoundTripper{"loopback": http.DefaultTransport, "memory": memory} {
		h := &http.Client{Transport: transport}
		b.Run(name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body, err := json.Marshal(api.CustomText(openID, "你好"))
				if err != nil {
					b.Fatal(err)
				}
				resp, err := h.Post(server.URL+"/cgi-bin/message/custom/send?access_token=TOKEN_0001", "application/json", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				var e struct {
					ErrCode int    `json:"errcode"`
					ErrMsg  string `json:"errmsg"`
				}
				if err != nil || json.Unmarshal(text, &e) != nil || e.ErrCode != 0 {
					b.Fatal(string(text), err)
				}
			}
		})
		b.Run(name+"/client", func(b *testing.B) {
			c, err := api.NewClient(api.Account{AppID: appID}, api.WithBaseURL(server.URL), api.WithTokenSource(api.StaticToken("TOKEN_0001")), api.WithHTTPClient(h))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.CustomMessage.Send(b.Context(), api.CustomText(openID, "你好")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpload is the memory of an upload of 10 MB: B/op must not follow
// the size of the file.
func BenchmarkUpload(b *testing.B) {
	const size = 10 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"type":"image","media_id":"M","created_at":1}`)
	}))
	defer server.Close()
	c, err := api.NewClient(api.Account{AppID: appID}, api.WithBaseURL(server.URL), api.WithTokenSource(api.StaticToken("TOKEN_0001")))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		_, err := c.Media.Upload(b.Context(), api.MediaUploadRequest{Type: "image",
			Media: api.Upload{Name: "big.jpg", Size: size, Body: io.LimitReader(zeros{}, size)}})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkToken is what every call pays for the token.
func BenchmarkToken(b *testing.B) {
	p := offlinePlatform(b)
	c, err := api.NewClient(api.Account{AppID: appID, Secret: secret}, api.WithHTTPClient(&http.Client{Transport: p}))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := c.Tokens().Token(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
