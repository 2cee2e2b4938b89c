package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/jpeg"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func createCode(t *testing.T, client *api.Client, action string, scene api.QRCodeScene, expires int) api.QRCodeCreateResponse {
	t.Helper()
	resp, err := client.QRCode.Create(t.Context(), api.QRCodeCreateRequest{ActionName: action, ExpireSeconds: expires, ActionInfo: api.QRCodeAction{Scene: scene}})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, in := startFollowers(t, sim.CertifiedService)
		q := createCode(t, client, "QR_STR_SCENE", api.QRCodeScene{SceneStr: "campaign_1"}, 604800)
		if q.ExpireSeconds != 604800 || !strings.HasPrefix(q.URL, "http://weixin.qq.com/q/") {
			t.Errorf("%+v", q)
		}
		u := p.Account.Follower()
		for _, by := range []string{q.Ticket, "campaign_1", q.URL} {
			s, err := u.Scan(by)
			if err != nil || s.Wait(t.Context()) != sim.Silent {
				t.Fatalf("%v, %v", s, err)
			}
			if by == q.Ticket { // the first time
				if e := next[*oa.SubscribeEvent](t, in); e.EventKey != "qrscene_campaign_1" || e.Scene != "campaign_1" || e.Ticket != q.Ticket {
					t.Errorf("a newcomer sends %+v", e)
				}
				continue
			}
			if e := next[*oa.ScanEvent](t, in); e.Scene != "campaign_1" || e.Ticket != q.Ticket {
				t.Errorf("a follower sends %+v", e)
			}
		}
		if c := u.Credit(); c.Left != 3 {
			t.Errorf("a scan allows %+v", c)
		}
		u.ScanScene("42").Wait(t.Context())
		if e := next[*oa.ScanEvent](t, in); e.Scene != "42" || e.Ticket == "" {
			t.Errorf("a scene without a code: %+v", e)
		}
		in.quiet(t)
	})
}

func TestCodesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		u := p.Follower()
		short := createCode(t, client, "QR_SCENE", api.QRCodeScene{SceneID: 1 << 31}, 0)
		if short.ExpireSeconds != 60 {
			t.Errorf("a code lives %d s where nothing is said", short.ExpireSeconds)
		}
		p.Advance(59 * time.Second)
		if _, err := u.Scan(short.Ticket); err != nil {
			t.Error(err)
		}
		p.Advance(time.Second)
		if _, err := u.Scan(short.Ticket); err == nil || !strings.Contains(err.Error(), "二维码已过期") {
			t.Errorf("after 60 s: %v", err)
		}
		if _, err := u.Scan("2147483648"); err == nil || !strings.Contains(err.Error(), "has expired") {
			t.Errorf("its scene after 60 s: %v", err)
		}
		again := createCode(t, client, "QR_SCENE", api.QRCodeScene{SceneID: 1 << 31}, 2592000)
		if s, err := u.Scan("2147483648"); err != nil || s.Message.(*oa.ScanEvent).Ticket != again.Ticket {
			t.Errorf("the scene's new code: %v, %v", s, err)
		}
		if _, err := u.Scan("2147483649"); err == nil || !strings.Contains(err.Error(), "2147483649") {
			t.Errorf("a scene without a code: %v", err)
		}
		forever := createCode(t, client, "QR_LIMIT_SCENE", api.QRCodeScene{SceneID: 100000}, 0)
		if same := createCode(t, client, "QR_LIMIT_SCENE", api.QRCodeScene{SceneID: 100000}, 0); same != forever || forever.ExpireSeconds != 0 {
			t.Errorf("two codes of a permanent scene: %+v, %+v", forever, same)
		}
		p.Advance(10 * 365 * 24 * time.Hour)
		if _, err := u.Scan(forever.Ticket); err != nil {
			t.Error(err)
		}
	})
}

func TestCodesRefused(t *testing.T) {
	_, client, _ := startFollowers(t, sim.CertifiedService)
	long := strings.Repeat("长", 64)
	create := func(action, scene, more string) string {
		return `{"action_name":"` + action + `","action_info":{"scene":{` + scene + `}}` + more + `}`
	}
	refuse(t, client, []refusal{
		{"qrcode_create", create("QR_OTHER", `"scene_id":1`, ""), 40052},
		{"qrcode_create", create("QR_SCENE", `"scene_id":0`, ""), 40053},
		{"qrcode_create", create("QR_SCENE", `"scene_id":4294967295`, ""), 0},
		{"qrcode_create", create("QR_SCENE", `"scene_id":4294967296`, ""), 40053},
		{"qrcode_create", create("QR_SCENE", `"scene_id":"7","scene_str":""`, ""), 0},
		{"qrcode_create", create("QR_SCENE", `"scene_id":7,"scene_str":"x"`, ""), 40053},
		{"qrcode_create", create("QR_SCENE", `"scene_str":"x"`, ""), 40053},
		{"qrcode_create", create("QR_SCENE", `"scene_id":1`, `,"expire_seconds":2592001`), 40053},
		{"qrcode_create", create("QR_SCENE", `"scene_id":1`, `,"expire_seconds":-1`), 40053},
		{"qrcode_create", create("QR_LIMIT_SCENE", `"scene_id":100001`, ""), 40053},
		{"qrcode_create", create("QR_STR_SCENE", `"scene_str":""`, ""), 40053},
		{"qrcode_create", create("QR_STR_SCENE", `"scene_str":"`+long+`"`, ""), 0},
		{"qrcode_create", create("QR_LIMIT_STR_SCENE", `"scene_str":"`+long+`x"`, ""), 40053},
		{"qrcode_create", `{"action_name":"QR_SCENE","action_info":{}}`, 40035},
	})
}

func TestCodePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		q := createCode(t, client, "QR_SCENE", api.QRCodeScene{SceneID: 7}, 60)
		fetch := func(url string) (int, string, []byte) {
			resp, err := p.Client().Get(url)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, resp.Header.Get("Content-Type"), body
		}
		status, kind, picture := fetch(client.QRCodeURL(q.Ticket))
		img, err := jpeg.Decode(bytes.NewReader(picture))
		if status != http.StatusOK || kind != "image/jpg" || err != nil || img.Bounds().Dx() != 430 || img.Bounds().Dy() != 430 {
			t.Errorf("HTTP %d, %s, %v", status, kind, err)
		}
		if !bytes.Contains(picture, []byte(q.Ticket)) {
			t.Error("the picture does not hold its ticket")
		}
		if status, _, _ := fetch(client.QRCodeURL("gQ==")); status != http.StatusNotFound {
			t.Errorf("an unknown ticket: HTTP %d", status)
		}
		p.Advance(time.Minute)
		if status, _, _ := fetch(client.QRCodeURL(q.Ticket)); status != http.StatusNotFound {
			t.Errorf("an expired ticket: HTTP %d", status)
		}
	})
}

// Accounts without the right hear nothing of scans (reference §9.1).
func TestScanWithoutRight(t *testing.T) {
	p, _, _ := startFollowers(t, sim.CertifiedSubscription)
	if s := p.Follower().ScanScene("7"); s.Fate() != sim.NotPushed || s.Reason() == nil {
		t.Errorf("fate %q, %v", s.Fate(), s.Reason())
	}
}

func TestShorten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedService)
		data := "https://example.com/very/long?x=1&y=<2>"
		made := p.Now().Unix()
		gen, err := client.Shorten.Gen(t.Context(), api.ShortenGenRequest{LongData: data, ExpireSeconds: 7200})
		if err != nil || len(gen.ShortKey) != 15 {
			t.Fatalf("%+v, %v", gen, err)
		}
		p.Advance(100 * time.Second)
		got, err := client.Shorten.Fetch(t.Context(), api.ShortenFetchRequest(gen))
		if want := (api.ShortenFetchResponse{LongData: data, CreateTime: made, ExpireSeconds: 7100}); got != want || err != nil {
			t.Errorf("%+v, %v", got, err)
		}
		long, err := json.Marshal(strings.Repeat("x", 4096))
		if err != nil {
			t.Fatal(err)
		}
		p.Advance(7100 * time.Second)
		refuse(t, client, []refusal{
			{"shorten_fetch", `{"short_key":"` + gen.ShortKey + `"}`, 9410012},
			{"shorten_fetch", `{"short_key":"ABC123xyz000001"}`, 9410012},
			{"shorten_gen", fmt.Sprintf(`{"long_data":%s}`, long), 0},
			{"shorten_gen", `{"long_data":"x` + string(long[1:]) + `}`, 9410010},
			{"shorten_gen", `{"long_data":"x","expire_seconds":2592001}`, 9410011},
			{"shorten_gen", `{"long_data":""}`, 47003},
		})
	})
}

// A server that greets by the QR code somebody came by.
func ExampleFollower_ScanScene() {
	server, err := oa.NewServer(oa.Account{Token: "hello"}, oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		switch m := r.Message.(type) {
		case *oa.SubscribeEvent:
			return oa.Text("欢迎从 " + m.Scene + " 来")
		case *oa.ScanEvent:
			return oa.Text("又见面了，这次是 " + m.Scene)
		}
		return oa.None()
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	wechat := sim.New(sim.Settings{})
	defer wechat.Close()
	account, err := wechat.NewAccount(sim.AccountConfig{Token: "hello", Mode: oa.Plain, Handler: server})
	if err != nil {
		fmt.Println(err)
		return
	}
	u := account.Follower()
	for _, scene := range []string{"poster", "table 7"} {
		u.ScanScene(scene)
		seen, err := u.Next(context.Background())
		fmt.Println(seen.Text(), err)
	}
	// Output:
	// 欢迎从 poster 来 <nil>
	// 又见面了，这次是 table 7 <nil>
}
