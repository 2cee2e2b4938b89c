package app

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

// registered makes a data directory with an account of that bot.yaml.
func registered(t *testing.T, bot string) (data string) {
	t.Helper()
	data = t.TempDir()
	if _, stderr, code := wenzi(t, "apply", "--data", data, "-f", write(t, "bot.yaml", bot)); code != 0 {
		t.Fatalf("apply: %s", stderr)
	}
	return data
}

// offline opens the database of a directory that no server uses.
func offline(t *testing.T, data string, do func(s *store.Store, account int64)) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Database: filepath.Join(data, "wenzi.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	accounts, err := s.Accounts(t.Context())
	if err != nil || len(accounts) == 0 {
		t.Fatalf("%d accounts, %v", len(accounts), err)
	}
	do(s, accounts[0].ID)
}

// asked is a follower's question on record, n to tell it from others.
func asked(t *testing.T, s *store.Store, account int64, openid string, n uint64, at time.Time, a store.Answer, change store.Change) store.TurnID {
	t.Helper()
	id := store.NewTurnID(account, at.Unix(), n, "gh_1", openid)
	a.Holder, a.Runs = "gone", 1
	a.Timeline = append([]store.Step{{At: at, What: "message", Detail: "text"}, {At: at, What: "delivery", Detail: "1, 0.0 s after the message"}}, a.Timeline...)
	message := "<xml><ToUserName>gh_1</ToUserName><FromUserName>" + openid +
		"</FromUserName><CreateTime>1714112445</CreateTime><MsgType>text</MsgType><Content>" +
		a.Question + "</Content><MsgId>7</MsgId></xml>"
	_, fresh, err := s.Record(t.Context(), &store.Turn{ID: id, OpenID: openid, Kind: "text", Message: []byte(message), State: store.Working, ArrivedAt: at, Answer: &a})
	if err != nil || !fresh {
		t.Fatalf("record: %v, %v", fresh, err)
	}
	change.ID = id
	if err := s.Apply(t.Context(), change); err != nil {
		t.Fatal(err)
	}
	return id
}
