package oa_test

import (
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // as a program of a reader would
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/wenzihq/wenzi/oa"
)

// say delivers a message to a handler as WeChat would, and prints the answer.
func say(h oa.Handler, m oa.Message) {
	account := oa.Account{Token: "hello"}
	srv, err := oa.NewServer(account, h)
	if err != nil {
		log.Fatal(err)
	}
	body, err := oa.Marshal(m)
	if err != nil {
		log.Fatal(err)
	}
	req, err := oa.NewDelivery(account, "http://example.com/wx", body)
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, req)
	show(w.Body.String())
}

// show prints what matters of a clear reply.
func show(reply string) {
	elements, err := oa.ParseElements([]byte(reply))
	if err != nil {
		fmt.Println(reply) // success
		return
	}
	var print func(elements []oa.Element)
	print = func(elements []oa.Element) {
		for _, e := range elements {
			switch e.Name {
			case "ToUserName", "FromUserName", "CreateTime", "MsgType", "ArticleCount":
			default:
				if e.Children == nil {
					fmt.Println(e.Text)
				}
				print(e.Children)
			}
		}
	}
	print(elements)
}

func head(msgType string) oa.Header {
	return oa.Header{ToUserName: "gh_0123456789ab", FromUserName: "oAbCdEfGhIjKlMnOpQrStUvWxYz1", CreateTime: 1714112445, MsgType: msgType}
}

func text(content string) *oa.TextMessage {
	return &oa.TextMessage{Header: head("text"), Content: content, Ident: oa.Ident{MsgID: 24537625000000001}}
}

func event(name string) oa.EventHeader { return oa.EventHeader{Header: head("event"), Event: name} }

// Six lines make a server that greets new followers and echoes what they say.
func Example() {
	mux := oa.NewMux()
	oa.On(mux, func(ctx context.Context, e *oa.SubscribeEvent) (oa.Reply, error) {
		return oa.Text("Hi~ 终于等到你")
	})
	oa.On(mux, func(ctx context.Context, m *oa.TextMessage) (oa.Reply, error) { return oa.Text(m.Content) })
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, mux)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(":8080", srv))
}

// A handler under test needs three lines: build a delivery, serve it, read the reply.
func ExampleNewDelivery() {
	account := oa.Account{AppID: "wx0123456789abcdef", Token: "hello", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}
	srv, err := oa.NewServer(account, oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) { return oa.Text("你好") }))
	if err != nil {
		log.Fatal(err)
	}
	body, _ := oa.Marshal(text("在吗"))
	req, _ := oa.NewDelivery(account, "https://example.com/wx", body)
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, req)
	clear, err := oa.OpenReply(account, w.Body.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	show(string(clear))
	// Output: 你好
}

func ExampleServer() {
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, oa.NewMux())
	if err != nil {
		log.Fatal(err)
	}
	check, _ := oa.NewCheck(srv.Account(), "http://example.com/wx", "4375120948345356249")
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, check)
	fmt.Println(w.Code, w.Body)

	w = httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest("POST", "/wx?signature=forged&timestamp=1&nonce=2", strings.NewReader("<xml></xml>")))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 200 4375120948345356249
	// 404
}

func ExampleAccount() {
	fmt.Println((&oa.Account{}).Validate())
	fmt.Println((&oa.Account{Token: "hello", AESKey: "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"}).Validate())
	// Output:
	// oa: the account needs a Token: without one anybody could pretend to be WeChat
	// oa: mode secure needs the AppID
}

func ExampleMode() {
	mode, err := oa.ParseMode("安全模式")
	fmt.Println(mode, err)
	// Output: secure <nil>
}

func ExampleKey() {
	key, err := oa.ParseKey("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	if err != nil {
		log.Fatal(err)
	}
	encrypt := key.Seal([]byte("<xml>…</xml>"), "wx0123456789abcdef")
	clear, err := key.Open(encrypt, "wx0123456789abcdef")
	fmt.Println(string(clear), err)
	_, err = key.Open(encrypt, "wx9999999999999999")
	fmt.Println(errors.Is(err, oa.ErrAppID))
	// Output:
	// <xml>…</xml> <nil>
	// true
}

func ExampleOption() {
	srv, err := oa.NewServer(oa.Account{Token: "hello"}, oa.NewMux(),
		oa.WithLogger(slog.New(slog.DiscardHandler)), oa.WithMaxBody(16<<10))
	fmt.Println(srv.Account().Token, err)
	// Output: hello <nil>
}

func ExampleExchange() {
	count := map[oa.Outcome]int{}
	account := oa.Account{Token: "hello"}
	srv, err := oa.NewServer(account, oa.NewMux(), oa.WithObserver(func(_ *http.Request, x oa.Exchange) { count[x.Outcome]++ }))
	if err != nil {
		log.Fatal(err)
	}
	body, _ := oa.Marshal(text("在吗"))
	req, _ := oa.NewDelivery(account, "/wx", body)
	srv.ServeHTTP(httptest.NewRecorder(), req)
	srv.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/wx", nil))
	fmt.Println(count)
	// Output: map[acknowledged:1 refused:1]
}

func ExampleOutcome() {
	fmt.Println(oa.Answered, oa.Acknowledged, oa.Failed, oa.Unreadable, oa.Unanswered, oa.Refused, oa.Verified)
	// Output: answered acknowledged failed unreadable unanswered refused verified
}

func ExampleMux() {
	mux := oa.NewMux()
	mux.HandleFunc("text/帮助", func(context.Context, *oa.Request) (oa.Reply, error) {
		return oa.Text("发送任意文字，我来回答。")
	})
	mux.HandleRegexp(`^查(?P<city>.+)天气$`, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text(r.PathValue("city") + "的天气…")
	})
	mux.HandleFunc("event/SCAN/{scene}", func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text("scene " + r.PathValue("scene"))
	})
	mux.HandleFunc("*", func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text("a message of type " + r.Kind())
	})

	say(mux, text(" 帮助 "))
	say(mux, text("查北京天气"))
	say(mux, &oa.ScanEvent{EventHeader: event("SCAN"), Scene: "42"})
	say(mux, &oa.ImageMessage{Header: head("image")})
	// Output:
	// 发送任意文字，我来回答。
	// 北京的天气…
	// scene 42
	// a message of type image
}

func ExampleHandler() {
	var h oa.Handler = oa.NewMux() // also HandlerFunc, and what Middleware returns
	say(h, text("nobody listens"))
	// Output: success
}

func ExampleHandlerFunc() {
	say(oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) { return oa.Text("you said " + r.Text()) }), text("hello"))
	// Output: you said hello
}

// Middleware answers something where a handler fails; without it WeChat gets success.
func ExampleMiddleware() {
	sorry := func(next oa.Handler) oa.Handler {
		return oa.HandlerFunc(func(ctx context.Context, r *oa.Request) (oa.Reply, error) {
			reply, err := next.Answer(ctx, r)
			if err != nil && !errors.Is(err, oa.ErrUnanswered) {
				return oa.Text("出了点问题，请稍后再试")
			}
			return reply, err
		})
	}
	mux := oa.NewMux()
	mux.Use(sorry, oa.Once())
	mux.HandleFunc("text", func(context.Context, *oa.Request) (oa.Reply, error) {
		return oa.Reply{}, errors.New("the model is down")
	})
	say(mux, text("hello"))
	// Output: 出了点问题，请稍后再试
}

func ExampleOnce() {
	mux := oa.NewMux()
	mux.Use(oa.Once())
	oa.On(mux, func(ctx context.Context, m *oa.TextMessage) (oa.Reply, error) {
		// Up to 14 s, over the three deliveries of the message.
		return oa.Text("an answer that took its time")
	})
	say(mux, text("hello"))
	// Output: an answer that took its time
}

func ExampleRequest() {
	say(oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		fmt.Println(r.Kind(), r.MsgID(), r.Account.Token)
		var more struct {
			BusinessID string `xml:"BusinessId"` // a field that TextMessage lacks
		}
		if err := r.Decode(&more); err != nil {
			return oa.Reply{}, err
		}
		fmt.Printf("%q\n", more.BusinessID)
		return oa.None()
	}), text("hello"))
	// Output:
	// text 24537625000000001 hello
	// ""
	// success
}

func ExampleElement() {
	elements, err := oa.ParseElements([]byte("<xml><A><![CDATA[x]]></A><L><item>1</item><item>2</item></L></xml>"))
	if err != nil {
		log.Fatal(err)
	}
	list, _ := oa.Find(elements, "L")
	fmt.Println(elements[0].Name, elements[0].Text, len(list.Children))
	// Output: A x 2
}

func ExampleReply() {
	for _, reply := range []func() (oa.Reply, error){
		func() (oa.Reply, error) { return oa.Text("你好") },
		func() (oa.Reply, error) { return oa.Image("media_id") },
		func() (oa.Reply, error) { return oa.Voice("media_id") },
		func() (oa.Reply, error) { return oa.Transfer("test1@test") },
		oa.None,
	} {
		say(oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) { return reply() }), text("hello"))
	}
	_, err := oa.Text(strings.Repeat("长", 1000))
	fmt.Println(err)
	// Output:
	// 你好
	// media_id
	// media_id
	// test1@test
	// success
	// oa: a text reply has at most 2047 bytes, this one has 3000
}

func ExampleClip() {
	long := strings.Repeat("长", 1000)
	fmt.Println(len(oa.Clip(long, oa.MaxTextBytes)))
	// Output: 2046
}

func ExampleArticle() {
	say(oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) {
		return oa.News(oa.Article{Title: "title", Description: "description", PicURL: "https://example.com/p.jpg", URL: "https://example.com/a"})
	}), text("news"))
	// Output:
	// title
	// description
	// https://example.com/p.jpg
	// https://example.com/a
}

func ExampleVideoContent() {
	say(oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) {
		return oa.Video(oa.VideoContent{MediaID: "media_id", Title: "title"})
	}), text("video"))
	// Output:
	// media_id
	// title
}

func ExampleMusicContent() {
	say(oa.HandlerFunc(func(context.Context, *oa.Request) (oa.Reply, error) {
		return oa.Music(oa.MusicContent{Title: "title", URL: "https://example.com/a.mp3", ThumbMediaID: "media_id"})
	}), text("music"))
	// Output:
	// title
	// https://example.com/a.mp3
	// media_id
}
