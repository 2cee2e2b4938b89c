package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// threeAccounts is the simulated platform with one account in each mode, whose server
// is to be started at the address.
type threeAccounts struct {
	*sim.Platform
	accounts []*sim.Account // plain, compat, secure
	media    map[*sim.Account]map[string]string
}

var threeModes = []oa.Mode{oa.Plain, oa.Compat, oa.Secure}

func newThreeAccounts(t *testing.T) *threeAccounts {
	t.Helper()
	w := &threeAccounts{Platform: sim.New(sim.Settings{}), media: map[*sim.Account]map[string]string{}}
	t.Cleanup(w.Close)
	for _, mode := range threeModes {
		c := sim.AccountConfig{Name: mode.String(), Token: "token" + mode.String(), Mode: mode, URL: "http://127.0.0.1:1/"}
		if mode != oa.Plain {
			c.AESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
		}
		a, err := w.NewAccount(c)
		if err != nil {
			t.Fatal(err)
		}
		w.accounts = append(w.accounts, a)
		w.media[a] = map[string]string{}
		client := w.client(t, a)
		for kind, name := range map[string]string{"image": "a.jpg", "voice": "a.mp3", "video": "a.mp4", "thumb": "a.jpg"} {
			up, err := client.Media.Upload(t.Context(), api.MediaUploadRequest{Type: kind, Media: api.Upload{Name: name, Body: strings.NewReader("content")}})
			if err != nil {
				t.Fatal(err)
			}
			w.media[a][kind] = up.MediaID + up.ThumbMediaID
		}
	}
	return w
}

func (w *threeAccounts) client(t *testing.T, a *sim.Account) *api.Client {
	t.Helper()
	client, err := api.NewClient(api.Account{AppID: a.Config().AppID, Secret: api.Secret(a.Config().AppSecret)}, api.WithHTTPClient(w.Client()))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// bot is a bot.yaml with a rule for each kind of reply.
func (w *threeAccounts) bot() string {
	var b strings.Builder
	b.WriteString("accounts:\n")
	for i, a := range w.accounts {
		c, m := a.Config(), w.media[a]
		fmt.Fprintf(&b, "  - path: %s\n    token: %s\n    mode: %s\n    app_id: %s\n", threeModes[i], c.Token, threeModes[i], c.AppID)
		if c.AESKey != "" {
			fmt.Fprintf(&b, "    aes_key: %s\n", c.AESKey)
		}
		fmt.Fprintf(&b, `    rules:
      - {text: 文字, reply: "第一行\n第二行 <a href=\"https://example.com\">链接</a> ]]> 😀"}
      - {text: 图片, reply: {image: %s}}
      - {text: 语音, reply: {voice: %s}}
      - {text: 视频, reply: {video: {media_id: %s, title: 标题, description: 说明}}}
      - {text: 音乐, reply: {music: {thumb_media_id: %s, title: 歌名, music_url: 'https://example.com/a.mp3'}}}
      - {text: 图文, reply: {news: {title: 标题, description: 摘要, pic_url: 'https://example.com/p.jpg', url: 'https://example.com/a'}}}
      - {text: 人工, reply: {transfer: {}}}
      - {event: CLICK/K, reply: 点了}
      - {event: SCAN, reply: 扫了}
`, m["image"], m["voice"], m["video"], m["thumb"])
	}
	return b.String()
}

var xmlSample = regexp.MustCompile("(?s)```xml\n(<xml>.*?</xml>)\n```")

// samples are the deliveries that reference/callback.md shows in §5 and §6.
func samples(t *testing.T) (out []oa.Message) {
	t.Helper()
	md, err := os.ReadFile("../../reference/callback.md")
	if err != nil {
		t.Fatal(err)
	}
	_, md, _ = bytes.Cut(md, []byte("\n## 5. "))
	md, _, _ = bytes.Cut(md, []byte("\n## 7. "))
	for _, m := range xmlSample.FindAllSubmatch(md, -1) {
		message, err := oa.ParseMessage(m[1])
		if err != nil {
			continue // a malformed sample, which the reference keeps as printed
		}
		out = append(out, message)
	}
	if len(out) < 60 {
		t.Fatalf("the reference shows %d deliveries", len(out))
	}
	return out
}

// addressed are the elements of a message from one to the other.
func addressed(elements []oa.Element, to, from string) []oa.Element {
	out := slices.Clone(elements)
	for i := range out {
		switch out[i].Name {
		case "ToUserName":
			out[i].Text = to
		case "FromUserName":
			out[i].Text = from
		}
	}
	return out
}

// Wenzi answers every message, every event and with every kind of reply, in
// three modes, as WeChat wants it.
func TestEverythingInThreeModes(t *testing.T) {
	w := newThreeAccounts(t)
	p := serve(t, "--data", t.TempDir(), "--bot", write(t, "bot.yaml", w.bot()))
	for i, a := range w.accounts {
		mode := threeModes[i]
		t.Run(mode.String(), func(t *testing.T) {
			c := a.Config()
			c.URL = p.url(mode.String())
			if err := a.Configure(c); err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			u := a.Follower()
			want := func(s *sim.Sent, see string) {
				t.Helper()
				fate := s.Wait(ctx)
				for _, x := range s.Attempts() {
					if v := x.Exchange.Verdict; !v.OK() || len(v.Notes) > 0 || x.Number > 1 {
						t.Errorf("%s: delivery %d: %+v", sim.Describe(s.Message), x.Number, v)
					}
				}
				got := ""
				for _, e := range u.Chat() {
					if e.Message == s.ID && e.From != sim.FromFollower {
						got += e.Bubble.String()
					}
				}
				if got != see || (fate == sim.Silent) != (see == "") {
					t.Errorf("%s: fate %s, the follower sees %q, want %q", sim.Describe(s.Message), fate, got, see)
				}
			}
			media := w.media[a]
			want(u.Subscribe(), "Hi~ 终于等到你")
			want(u.Say("文字"), "第一行\n第二行 链接（https://example.com） ]]> 😀")
			want(u.Say("图片"), "[图片] "+media["image"])
			want(u.Say("语音"), "[语音] "+media["voice"])
			want(u.Say("视频"), "[视频] 标题 "+media["video"]+"\n  说明")
			want(u.Say("音乐"), "[音乐] 歌名 "+media["thumb"]+"\n  https://example.com/a.mp3")
			want(u.Say("图文"), "[图文] 标题\n  摘要\n  https://example.com/p.jpg\n  https://example.com/a")
			want(u.Say("你好]]></Content><MsgType>x</MsgType>\x02\x1d"), "你好]]></Content><MsgType>x</MsgType>")
			image := u.Image([]byte("picture"))
			want(image, "[图片] "+image.Message.(*oa.ImageMessage).MediaID)
			want(u.Voice([]byte("voice"), "文字"), "第一行\n第二行 链接（https://example.com） ]]> 😀")
			want(u.Voice([]byte("voice"), ""), "收到你的语音啦，可是我还听不懂，打字告诉我好吗？")
			want(u.Video([]byte("video")), "视频收到啦，可是我还不会看，打字告诉我好吗？")
			want(u.Location(23.1, 113.3, "广州塔"), "收到你的位置：广州塔")
			want(u.Link("标题", "说明", "https://example.com"), "收到你分享的链接：标题")
			want(u.File("报告.pdf"), "收到文件：报告.pdf")
			want(u.Sticker(), "这种消息我还看不懂，发文字给我吧。")
			want(u.Click("K"), "点了")
			want(u.ScanScene("7"), "扫了")
			want(u.ReportLocation(23.1, 113.3, 65), "")

			for _, sample := range samples(t) {
				if _, info := sample.(oa.Info); info {
					continue // goes to a third-party platform's own address
				}
				h := *sample.Head()
				*sample.Head() = oa.Header{CreateTime: time.Now().Unix(), MsgType: h.MsgType}
				switch m := sample.(type) {
				case *oa.ImageMessage: // which is echoed
					m.MediaID = w.media[a]["image"]
				case *oa.UnknownMessage:
					m.Elements = addressed(m.Elements, c.OriginalID, u.OpenID())
				case *oa.UnknownEvent:
					m.Elements = addressed(m.Elements, c.OriginalID, u.OpenID())
				}
				var s *sim.Sent
				if strings.HasPrefix(h.FromUserName, "oAbC") {
					s = u.Send(sample)
				} else {
					s = a.Notify(sample)
				}
				s.Wait(ctx)
				if _, leaves := sample.(*oa.UnsubscribeEvent); leaves {
					u.Subscribe().Wait(ctx)
				}
				if attempts := s.Attempts(); len(attempts) != 1 || !attempts[0].Exchange.Verdict.OK() || len(attempts[0].Exchange.Verdict.Notes) > 0 {
					t.Errorf("%s: %s, attempts %+v", sim.Describe(sample), s.Fate(), attempts)
				}
			}
			want(u.Say("人工"), "[转人工客服]")
		})
	}
}

// The npm package co-wechat-api, as it is, works with the simulated platform
// after nothing but its base address was changed.
func TestForeignAPIClient(t *testing.T) {
	program := nodeProgram(t, "api.mjs")
	w := newThreeAccounts(t)
	server := httptest.NewServer(w.Platform)
	t.Cleanup(server.Close)
	a := w.accounts[0]
	u := a.Follower()
	u.SetFollowing(true)
	u.Say("打开窗口") // which reaches no server, but allows to push
	config, err := json.Marshal(map[string]string{
		"base": server.URL, "appid": a.Config().AppID, "secret": a.Config().AppSecret, "openid": u.OpenID(),
		"template": a.AddTemplate("订单", "{{first.DATA}}"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", program, string(config))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]int{"getMenu": 46003, "getUser": 40003} // asked for: no menu any more, nobody
	calls := 0
	for line := range bytes.Lines(out) {
		var call struct {
			Call  string
			OK    bool
			Code  int
			Error string
		}
		if err := json.Unmarshal(line, &call); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		calls++
		if !call.OK && call.Code != refused[call.Call] {
			t.Errorf("%s: %d %s", call.Call, call.Code, call.Error)
		}
	}
	if calls < 29 {
		t.Errorf("%d calls were made:\n%s", calls, out)
	}
	via := func(chat []sim.Entry) (all []string) {
		for _, e := range chat {
			if e.From == sim.FromAccount {
				all = append(all, string(e.Via))
			}
		}
		slices.Sort(all)
		return all
	}
	want := []string{"push", "push", "template"} // the last one when its job is done
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if chat, err := u.Until(ctx, func(chat []sim.Entry) bool { return slices.Equal(via(chat), want) }); err != nil {
		t.Errorf("the follower sees %q", via(chat))
	}
}
