package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"

	"github.com/wenzihq/wenzi/oa/api"
)

// examplePlatform answers the examples; a program leaves WithBaseURL away.
func examplePlatform() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cgi-bin/stable_token":
			io.WriteString(w, `{"access_token":"TOKEN","expires_in":7200}`)
		case "/cgi-bin/user/get":
			io.WriteString(w, `{"total":2,"count":2,"data":{"openid":["o1","o2"]},"next_openid":""}`)
		case "/cgi-bin/media/upload":
			io.WriteString(w, `{"type":"image","media_id":"MEDIA_ID","created_at":1700000000}`)
		case "/cgi-bin/media/get":
			w.Header().Set("Content-Type", "image/jpeg")
			io.WriteString(w, "the image's bytes")
		case "/cgi-bin/qrcode/create":
			io.WriteString(w, `{"ticket":"gQ==","expire_seconds":60,"url":"http://weixin.qq.com/q/x"}`)
		case "/card/get":
			io.WriteString(w, `{"errcode":0,"card":{"card_type":"GROUPON"}}`)
		case "/cgi-bin/message/custom/send":
			io.WriteString(w, `{"errcode":45015,"errmsg":"response out of time limit rid: 65000000-1"}`)
		default:
			io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
		}
	}))
}

func exampleClient(platform *httptest.Server) *api.Client {
	client, err := api.NewClient(api.Account{AppID: "wx0000000000000001", Secret: "secret"}, api.WithBaseURL(platform.URL))
	if err != nil {
		panic(err)
	}
	return client
}

func ExampleNewClient() {
	platform := examplePlatform()
	defer platform.Close()
	store, err := api.NewFileStore(os.TempDir() + "/wenzi-example") // shared by all processes of this machine
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := api.NewClient(
		api.Account{AppID: "wx0000000000000001", Secret: "secret"},
		api.WithStore(store),
		api.WithBaseURL(platform.URL))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Tag.Delete(context.Background(), api.TagDeleteRequest{Tag: api.Tag{ID: 101}}))
	// Output: <nil>
}

func ExampleError() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	err := client.CustomMessage.Send(context.Background(), api.CustomText("oOPENID", "你好"))
	switch {
	case errors.Is(err, api.ErrWindowClosed):
		fmt.Println("the follower must write first")
	case errors.Is(err, api.ErrUnknownOutcome):
		fmt.Println("perhaps sent")
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		fmt.Println(e.Code, e.Advice())
	}
	// Output:
	// the follower must write first
	// 45015 等用户再次发消息、点菜单或扫码，或改用模板消息、订阅通知
}

func ExampleMenuService_Create() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	menu, err := api.NewMenu(
		api.ClickButton("最新活动", "NEW"),
		api.SubMenu("更多",
			api.ViewButton("官网", "https://example.com/"),
			api.LocationButton("附近门店", "SHOPS")))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.Menu.Create(context.Background(), menu))
	// Output: <nil>
}

func ExampleUserService_All() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	for openID, err := range client.User.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(openID)
	}
	// Output:
	// o1
	// o2
}

func ExampleMediaService_Upload() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	media, err := client.Media.Upload(context.Background(), api.MediaUploadRequest{
		Type:  "image",
		Media: api.Upload{Name: "cat.jpg", Body: strings.NewReader("the image's bytes")},
	})
	fmt.Println(media.MediaID, err)
	// Output: MEDIA_ID <nil>
}

func ExampleMediaService_Get() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	media, err := client.Media.Get(context.Background(), api.MediaGetRequest{MediaID: "MEDIA_ID"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if media.File == nil {
		fmt.Println("a video, to be fetched from", media.VideoURL)
		return
	}
	defer media.File.Close()
	n, err := io.Copy(io.Discard, media.File)
	fmt.Println(n, media.File.ContentType, err)
	// Output: 17 image/jpeg <nil>
}

func ExampleClient_QRCodeURL() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	code, err := client.QRCode.Create(context.Background(), api.QRCodeCreateRequest{
		ActionName:    "QR_STR_SCENE",
		ExpireSeconds: 60,
		ActionInfo:    api.QRCodeAction{Scene: api.QRCodeScene{SceneStr: "poster-7"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.QRCodeURL(code.Ticket))
	// Output: https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=gQ%3D%3D
}

func ExampleCall() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	type request struct {
		CardID string `json:"card_id"`
	}
	type response struct {
		Card struct {
			Type string `json:"card_type"`
		} `json:"card"`
	}
	resp, err := api.Call[request, response](context.Background(), client, "POST /card/get", request{CardID: "p1"})
	fmt.Println(resp.Card.Type, err)
	// Output: GROUPON <nil>
}

func ExampleClient_Do() {
	platform := examplePlatform()
	defer platform.Close()
	client := exampleClient(platform)

	resp, err := client.Do(context.Background(), api.Request{
		Endpoint: "user_list",
		Query:    url.Values{"next_openid": {"o0"}},
	})
	fmt.Println(string(resp.JSON), err)
	// Output: {"total":2,"count":2,"data":{"openid":["o1","o2"]},"next_openid":""} <nil>
}

func ExampleClient_AuthorizeURL() {
	client, err := api.NewClient(api.Account{AppID: "wx0000000000000001", Secret: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.AuthorizeURL("https://example.com/login", api.ScopeBase, "f7a9"))
	// Output: https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx0000000000000001&redirect_uri=https%3A%2F%2Fexample.com%2Flogin&response_type=code&scope=snsapi_base&state=f7a9#wechat_redirect
}

func ExampleSignPage() {
	fmt.Println(api.SignPage("TICKET", "NONCE", 1700000000, "https://example.com/p?a=1&b=2"))
	// Output: b464fa27b92398530c993305af2099e0795ee2dd
}
