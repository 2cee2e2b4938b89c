package sim_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func mediaFile(name, content string) api.Upload {
	return api.Upload{Name: name, Body: strings.NewReader(content)}
}

func mediaRead(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func mediaMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// mediaForm is a form with a file and further parts.
func mediaForm(t *testing.T, name string, content []byte, parts ...string) (contentType, body string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	f, err := w.CreateFormFile("media", name)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(content)
	for i := 0; i < len(parts); i += 2 {
		if err := w.WriteField(parts[i], parts[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return w.FormDataContentType(), b.String()
}

// mediaFetch gets what an address shows, without a token.
func mediaFetch(t *testing.T, c *http.Client, address string) (status int, contentType, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Content-Type"), mediaRead(t, resp.Body)
}

func TestTemporaryMedia(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	now := p.Now()
	ids := map[string]string{}
	for kind, name := range map[string]string{"image": "a.png", "voice": "a.amr", "video": "a.mp4", "thumb": "a.jpg"} {
		got, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: kind, Media: mediaFile(name, "content of "+kind)})
		id := got.MediaID
		if kind == "thumb" {
			id = got.ThumbMediaID
		}
		if err != nil || got.Type != kind || id == "" || (kind == "thumb") != (got.MediaID == "") || got.CreatedAt < now.Unix() {
			t.Fatalf("%+v, %v", got, err)
		}
		ids[kind] = id
	}
	for kind, contentType := range map[string]string{"image": "image/png", "voice": "audio/amr", "thumb": "image/jpeg"} {
		got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: ids[kind]})
		if err != nil {
			t.Fatal(err)
		}
		if content := mediaRead(t, got.File); content != "content of "+kind || got.File.ContentType != contentType || !strings.HasPrefix(got.File.Name, ids[kind]+".") {
			t.Errorf("%s: %q, %+v", kind, content, got.File)
		}
		got.File.Close()
	}

	video, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: ids["video"]})
	if err != nil || video.File != nil {
		t.Fatalf("%+v, %v", video, err)
	}
	if status, contentType, body := mediaFetch(t, p.Client(), video.VideoURL); status != 200 || contentType != "video/mp4" || body != "content of video" {
		t.Errorf("%s gives %d %s %q", video.VideoURL, status, contentType, body)
	}
	p.Advance(3 * time.Hour)
	if status, _, _ := mediaFetch(t, p.Client(), video.VideoURL); status != 404 {
		t.Errorf("the link of a video still gives %d after hours", status)
	}

	hd, err := c.Media.GetHDVoice(t.Context(), api.MediaGetHDVoiceRequest{MediaID: ids["voice"]})
	if err != nil || hd.ContentType != "voice/speex" || mediaRead(t, hd) != "content of voice" {
		t.Errorf("%+v, %v", hd, err)
	}
	hd.Close()
	if _, err := c.Media.GetHDVoice(t.Context(), api.MediaGetHDVoiceRequest{MediaID: ids["image"]}); apiCodeMenu(err) != 40007 {
		t.Errorf("a picture as a voice: %v", err)
	}

	p.Advance(3 * 24 * time.Hour)
	for kind, id := range ids {
		if _, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: id}); apiCodeMenu(err) != 40007 {
			t.Errorf("%s after three days: %v", kind, err)
		}
	}
}

func TestUploadRefused(t *testing.T) {
	p, _, _ := menuPlatform(t, nil)
	amr := func(seconds int) []byte { // frames of 20 ms, of 32 bytes each
		return append([]byte("#!AMR\n"), bytes.Repeat(append([]byte{7 << 3}, make([]byte, 31)...), seconds*50)...)
	}
	for _, tt := range []struct {
		path, name string
		size       int
		content    []byte
		code       int
	}{
		{path: "/cgi-bin/media/upload?type=image", name: "a.JPG", size: 10 << 20},
		{path: "/cgi-bin/media/upload?type=image", name: "a.jpg", size: 10<<20 + 1, code: 40009},
		{path: "/cgi-bin/media/upload?type=voice", name: "a.mp3", size: 2<<20 + 1, code: 40010},
		{path: "/cgi-bin/media/upload?type=video", name: "a.mp4", size: 10<<20 + 1, code: 40011},
		{path: "/cgi-bin/media/upload?type=thumb", name: "a.jpg", size: 64<<10 + 1, code: 40012},
		{path: "/cgi-bin/media/upload?type=image", name: "a.jpg", size: 13 << 20, code: 45001},
		{path: "/cgi-bin/media/upload?type=image", name: "a.bmp", size: 1, code: 40005},
		{path: "/cgi-bin/media/upload?type=image", name: "jpg", size: 1, code: 0}, // its name is all extension
		{path: "/cgi-bin/media/upload?type=voice", name: "a.wav", size: 1, code: 40005},
		{path: "/cgi-bin/media/upload?type=file", name: "a.jpg", size: 1, code: 40004},
		{path: "/cgi-bin/media/upload?type=image", name: "a.jpg", size: 0, code: 44001},
		{path: "/cgi-bin/media/upload?type=voice", name: "a.amr", content: amr(60)},
		{path: "/cgi-bin/media/upload?type=voice", name: "a.amr", content: append(amr(60), 8<<3), code: 45007},
		{path: "/cgi-bin/material/add_material?type=image", name: "a.bmp", size: 1},
		{path: "/cgi-bin/material/add_material?type=voice", name: "a.wma", size: 2<<20 + 1, code: 40006},
		{path: "/cgi-bin/material/add_material?type=image", name: "a.bmp", size: 10<<20 + 1, code: 40009},
		{path: "/cgi-bin/material/add_material?type=news", name: "a.jpg", size: 1, code: 40004},
		{path: "/cgi-bin/material/add_material?type=voice", name: "a.amr", content: amr(61), code: 45007},
		{path: "/cgi-bin/media/uploadimg", name: "a.png", size: 1 << 20},
		{path: "/cgi-bin/media/uploadimg", name: "a.png", size: 1<<20 + 1, code: 40009},
		{path: "/cgi-bin/media/uploadimg", name: "a.gif", size: 1, code: 40005},
	} {
		content := tt.content
		if content == nil {
			content = make([]byte, tt.size)
		}
		contentType, body := mediaForm(t, tt.name, content)
		if code, answer := apiRawMenu(t, p.Platform, "POST", tt.path, contentType, body); code != tt.code {
			t.Errorf("%s %s of %d bytes: %.200s, want %d", tt.path, tt.name, len(content), answer, tt.code)
		}
	}

	for name, body := range map[string]string{
		"no file":     "--b\r\nContent-Disposition: form-data; name=\"media\"\r\n\r\nx\r\n--b--\r\n",
		"other part":  "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\nx\r\n--b--\r\n",
		"broken form": "--b\r\n",
	} {
		if code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/media/upload?type=image", "multipart/form-data; boundary=b", body); code != 41005 {
			t.Errorf("%s: %d", name, code)
		}
	}
	if code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/media/upload?type=image", "", "{}"); code != 41005 {
		t.Errorf("JSON: %d", code)
	}
	for name, description := range map[string]string{"no JSON": "t", "no title": `{"introduction":"i"}`} {
		contentType, body := mediaForm(t, "a.mp4", []byte("v"), "description", description)
		if code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/material/add_material?type=video", contentType, body); code == 0 {
			t.Errorf("a video's description with %s is taken", name)
		}
	}
	contentType, body := mediaForm(t, "a.mp4", []byte("v"))
	if code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/material/add_material?type=video", contentType, body); code != 40035 {
		t.Errorf("a video without description: %d", code)
	}
}

func TestPermanentMaterial(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	add := func(kind, name, content string) api.MaterialAddResponse {
		t.Helper()
		req := api.MaterialAddRequest{Type: kind, Media: mediaFile(name, content)}
		if kind == "video" {
			req.Description = api.VideoDescription("标题", "简介")
		}
		got, err := c.Material.Add(t.Context(), req)
		if err != nil || got.MediaID == "" || (kind == "image") != (got.URL != "") {
			t.Fatalf("%+v, %v", got, err)
		}
		return got
	}
	first, video, voice := add("image", "1.png", "one"), add("video", "v.mp4", "film"), add("voice", "v.mp3", "song")
	thumb := add("thumb", "t.jpg", "cover")
	p.Advance(30 * 24 * time.Hour) // permanent it is
	second := add("image", "2.gif", "two")

	if _, contentType, body := mediaFetch(t, p.Client(), first.URL); contentType != "image/png" || body != "one" {
		t.Errorf("%s gives %s %q", first.URL, contentType, body)
	}
	if count, err := c.Material.Count(t.Context()); err != nil || count != (api.MaterialCountResponse{VoiceCount: 1, VideoCount: 1, ImageCount: 2}) {
		t.Errorf("%+v, %v", count, err)
	}
	list, err := c.Material.List(t.Context(), api.MaterialListRequest{Type: "image", Offset: 0, Count: 1})
	if err != nil || list.TotalCount != 2 || list.ItemCount != 1 || list.Item[0].MediaID != second.MediaID || list.Item[0].Name != "2.gif" ||
		list.Item[0].URL != second.URL || list.Item[0].UpdateTime != p.Now().Unix() {
		t.Errorf("%+v, %v", list, err)
	}
	list, err = c.Material.List(t.Context(), api.MaterialListRequest{Type: "image", Offset: 1, Count: 20})
	if err != nil || list.ItemCount != 1 || list.Item[0].MediaID != first.MediaID {
		t.Errorf("%+v, %v", list, err)
	}
	for body, want := range map[string]string{
		`{"type":"news","offset":0,"count":20}`:                    `{"total_count":0,"item_count":0,"item":[]}`,
		`{"type":"image","offset":9223372036854775807,"count":20}`: `{"total_count":2,"item_count":0,"item":[]}`,
		`{"type":"image","offset":"2","count":"20"}`:               `{"total_count":2,"item_count":0,"item":[]}`,
	} {
		if _, answer := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/material/batchget_material", "", body); answer != want {
			t.Errorf("%s gives %s", body, answer)
		}
	}
	for body, want := range map[string]int{
		`{"type":"thumb","offset":0,"count":20}`:  40004,
		`{"type":"image","offset":0,"count":21}`:  40035,
		`{"type":"image","offset":0,"count":0}`:   40035,
		`{"type":"image","offset":-1,"count":20}`: 40035,
		`{"type":"image","offset":0}`:             40035,
	} {
		if code, _ := apiRawMenu(t, p.Platform, "POST", "/cgi-bin/material/batchget_material", "", body); code != want {
			t.Errorf("%s gives %d, want %d", body, code, want)
		}
	}

	got, err := c.Material.Get(t.Context(), api.MaterialGetRequest{MediaID: voice.MediaID})
	if err != nil || got.File.ContentType != "audio/mp3" || mediaRead(t, got.File) != "song" {
		t.Fatalf("%+v, %v", got, err)
	}
	got.File.Close()
	got, err = c.Material.Get(t.Context(), api.MaterialGetRequest{MediaID: video.MediaID})
	if err != nil || got.Title != "标题" || got.Description != "简介" {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, _, body := mediaFetch(t, p.Client(), got.DownURL); body != "film" {
		t.Errorf("%s gives %q", got.DownURL, body)
	}

	temporary, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: "image", Media: mediaFile("a.png", "x")})
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"a temporary one as permanent": func() error {
			_, err := c.Material.Get(t.Context(), api.MaterialGetRequest{MediaID: temporary.MediaID})
			return err
		},
		"a permanent one as temporary": func() error {
			_, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: first.MediaID})
			return err
		},
		"an unknown one": func() error {
			return c.Material.Delete(t.Context(), api.MaterialDeleteRequest{MediaID: "unknown"})
		},
	} {
		if err := call(); apiCodeMenu(err) != 40007 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, id := range []string{first.MediaID, thumb.MediaID} {
		if err := c.Material.Delete(t.Context(), api.MaterialDeleteRequest{MediaID: id}); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Material.Get(t.Context(), api.MaterialGetRequest{MediaID: first.MediaID}); apiCodeMenu(err) != 40007 {
		t.Errorf("deleted material: %v", err)
	}
	if status, _, _ := mediaFetch(t, p.Client(), first.URL); status != 404 {
		t.Errorf("deleted material is still served: %d", status)
	}
	if count, err := c.Material.Count(t.Context()); err != nil || count.ImageCount != 1 {
		t.Errorf("%+v, %v", count, err)
	}
}

// There is room for 1000 of a kind, and for one more when one is deleted.
func TestMaterialStock(t *testing.T) {
	_, c, _ := menuPlatform(t, nil)
	add := func() (string, int) {
		got, err := c.Material.Add(t.Context(), api.MaterialAddRequest{Type: "voice", Media: mediaFile("v.mp3", "x")})
		return got.MediaID, apiCodeMenu(err)
	}
	id := ""
	for range 1000 {
		var code int
		if id, code = add(); code != 0 {
			t.Fatal(code)
		}
	}
	if _, code := add(); code != 45009 {
		t.Errorf("the 1001st: %d", code)
	}
	if err := c.Material.Delete(t.Context(), api.MaterialDeleteRequest{MediaID: id}); err != nil {
		t.Fatal(err)
	}
	if _, code := add(); code != 0 {
		t.Errorf("after one was deleted: %d", code)
	}
}

// Beyond 64 MB of contents only sizes are kept.
func TestMediaContentsAreBounded(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	big := strings.Repeat("x", 10<<20)
	upload := func() string {
		got, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: "image", Media: mediaFile("a.jpg", big)})
		if err != nil {
			t.Fatal(err)
		}
		return got.MediaID
	}
	var ids []string
	for range 7 {
		ids = append(ids, upload())
	}
	holds := func(id, want string) {
		t.Helper()
		got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: id})
		if err != nil {
			t.Fatal(err)
		}
		if mediaRead(t, got.File) != want {
			t.Error("the upload comes back otherwise")
		}
		got.File.Close()
	}
	holds(ids[0], big)
	holds(ids[6], strings.Repeat("\x00", len(big)))
	p.Advance(7 * 24 * time.Hour) // and there is room again
	holds(upload(), big)
}

// Of temporary files the newest 100000 are kept.
func TestTemporaryMediaIsBounded(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	var ids []string
	u := p.Account.Follower() // does not follow: nothing is delivered
	for range 100_001 {
		ids = append(ids, u.Image(nil).Message.(*oa.ImageMessage).MediaID)
	}
	for i, want := range map[int]int{0: 40007, 1: 0} {
		got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: ids[i]})
		if apiCodeMenu(err) != want {
			t.Errorf("picture %d: %v", i, err)
		}
		if err == nil {
			got.File.Close()
		}
	}
}

// A picture of articles has an address, but is no material.
func TestUploadImage(t *testing.T) {
	p, c, _ := menuPlatform(t, nil)
	got, err := c.Media.UploadImage(t.Context(), api.MediaUploadImageRequest{Media: mediaFile("a.png", "pic")})
	if err != nil || !strings.HasPrefix(got.URL, "http://mmbiz.qpic.cn/mmbiz_png/") {
		t.Fatalf("%+v, %v", got, err)
	}
	if status, contentType, body := mediaFetch(t, p.Client(), got.URL); status != 200 || contentType != "image/png" || body != "pic" {
		t.Errorf("%d %s %q", status, contentType, body)
	}
	if count, err := c.Material.Count(t.Context()); err != nil || count.ImageCount != 0 {
		t.Errorf("%+v, %v", count, err)
	}
	id := strings.Split(got.URL, "/")[4]
	if _, err := c.Material.Get(t.Context(), api.MaterialGetRequest{MediaID: id}); apiCodeMenu(err) != 40007 {
		t.Errorf("%v", err)
	}
	for _, address := range []string{"http://mmbiz.qpic.cn/mmbiz_png/unknown/0", strings.TrimSuffix(got.URL, "0") + "x", strings.TrimSuffix(got.URL, "0") + "1"} {
		if status, _, _ := mediaFetch(t, p.Client(), address); status != 404 {
			t.Errorf("%s gives %d", address, status)
		}
	}
}

// Where the platform is a server of its own, its pictures are there too.
func TestHostedBySocket(t *testing.T) {
	p, _, _ := menuPlatform(t, nil)
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	c, err := api.NewClient(api.Account{AppID: p.Account.Config().AppID, Secret: api.Secret(p.Account.Config().AppSecret)},
		api.WithBaseURL(srv.URL), api.WithHTTPClient(srv.Client()), api.WithTokenSource(apiClientMenu(t, p.Platform).Tokens()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Media.UploadImage(t.Context(), api.MediaUploadImageRequest{Media: mediaFile("a.jpg", "pic")})
	if err != nil || !strings.HasPrefix(got.URL, srv.URL+"/mmbiz_jpg/") {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, _, body := mediaFetch(t, srv.Client(), got.URL); body != "pic" {
		t.Errorf("%q", body)
	}
}

// What followers send can be fetched, and sent back.
func TestFollowersMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c, in := menuPlatform(t, nil)
		u := p.Follower()
		u.Image([]byte("picture"))
		m := in.take()[0].(*oa.ImageMessage)
		if _, contentType, body := mediaFetch(t, p.Client(), m.PicURL); contentType != "image/jpeg" || body != "picture" {
			t.Errorf("%s gives %s %q", m.PicURL, contentType, body)
		}
		voice := []byte("voice")
		u.Voice(voice, "")
		voice[0] = 'x'
		v := in.take()[0].(*oa.VoiceMessage)
		for id, want := range map[string]string{m.MediaID: "picture", v.MediaID: "voice", v.MediaID16K: "voice"} {
			got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: id})
			if err != nil {
				t.Fatal(err)
			}
			if body := mediaRead(t, got.File); body != want {
				t.Errorf("%q, want %q", body, want)
			}
			got.File.Close()
		}
		u.Video([]byte("film"))
		f := in.take()[0].(*oa.VideoMessage)
		got, err := c.Media.Get(t.Context(), api.MediaGetRequest{MediaID: f.MediaID})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, body := mediaFetch(t, p.Client(), got.VideoURL); body != "film" {
			t.Errorf("%q", body)
		}
		if err := c.CustomMessage.Send(t.Context(), api.CustomVideo(u.OpenID(), api.MessageVideo{MediaID: f.MediaID, ThumbMediaID: f.ThumbMediaID})); err != nil {
			t.Error(err)
		}
	})
}

// A passive reply whose material cannot be shown is refused like any unusable
// one (reference §4.4).
func TestMediaOfReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reply func() (oa.Reply, error)
		p, c, _ := menuPlatform(t, func(oa.Message) (oa.Reply, error) { return reply() })
		u := p.Follower()
		upload := func(kind, name string) string {
			got, err := c.Media.Upload(t.Context(), api.MediaUploadRequest{Type: kind, Media: mediaFile(name, "x")})
			if err != nil {
				t.Fatal(err)
			}
			return got.MediaID + got.ThumbMediaID
		}
		hosted, err := c.Media.UploadImage(t.Context(), api.MediaUploadImageRequest{Media: mediaFile("a.png", "x")})
		if err != nil {
			t.Fatal(err)
		}
		old := upload("image", "a.png")
		p.Advance(4 * 24 * time.Hour)
		image, voice, video, thumb := upload("image", "a.png"), upload("voice", "a.mp3"), upload("video", "a.mp4"), upload("thumb", "a.jpg")
		music := func(id string) func() (oa.Reply, error) {
			return func() (oa.Reply, error) { return oa.Music(oa.MusicContent{ThumbMediaID: id}) }
		}
		for _, tt := range []struct {
			name    string
			reply   func() (oa.Reply, error)
			problem string
		}{
			{"image", func() (oa.Reply, error) { return oa.Image(image) }, ""},
			{"voice", func() (oa.Reply, error) { return oa.Voice(voice) }, ""},
			{"video", func() (oa.Reply, error) { return oa.Video(oa.VideoContent{MediaID: video}) }, ""},
			{"music", music(thumb), ""},
			{"music with a picture", music(image), ""},
			{"text", func() (oa.Reply, error) { return oa.Text("hi") }, ""},
			{"unknown", func() (oa.Reply, error) { return oa.Image("nowhere") }, `there is no MediaId "nowhere"`},
			{"picture of articles", func() (oa.Reply, error) { return oa.Image(strings.Split(hosted.URL, "/")[4]) }, "there is no MediaId"},
			{"expired", func() (oa.Reply, error) { return oa.Image(old) }, "has expired"},
			{"wrong type", func() (oa.Reply, error) { return oa.Image(voice) }, "is of type voice, this must be image"},
			{"wrong cover", music(video), "is of type video, this must be thumb"},
			{"no cover", music("nowhere"), `there is no ThumbMediaId "nowhere"`},
		} {
			reply = tt.reply
			s := u.Say("在吗")
			fate := s.Wait(t.Context())
			v := s.Attempts()[0].Exchange.Verdict
			chat := u.Chat()
			last := chat[len(chat)-1]
			if tt.problem == "" {
				if fate != sim.Replied || last.Via != sim.ViaReply {
					t.Errorf("%s: fate %q, %v", tt.name, fate, v.Problem)
				}
				continue
			}
			if fate != sim.FaultShown || len(s.Attempts()) != 1 || v.Outcome != sim.Refused || v.Problem.Rule != sim.RuleMedia ||
				!strings.Contains(v.Problem.English, tt.problem) || v.Problem.Chinese == "" || last.Text() != sim.FaultNotice || last.From != sim.FromWeChat {
				t.Errorf("%s: fate %q after %d deliveries, %+v, the follower sees %+v", tt.name, fate, len(s.Attempts()), v, last)
			}
		}

		p.SetSettings(sim.Settings{Rules: sim.Rules{AllowUnknownMedia: true}})
		reply = func() (oa.Reply, error) { return oa.Image("nowhere") }
		if fate := u.Say("在吗").Wait(t.Context()); fate != sim.Replied {
			t.Errorf("where unknown material is allowed: %q", fate)
		}
	})
}
