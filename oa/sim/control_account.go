package sim

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/wenzihq/wenzi/oa"
)

func (c *Control) handleAccounts() {
	c.handle("GET /sim/accounts", func(*order) (any, error) {
		list := []accountJSON{}
		for _, a := range c.platform.Accounts() {
			list = append(list, shownAccount(a))
		}
		return map[string]any{"accounts": list}, nil
	})
	c.handle("POST /sim/accounts", (*order).createAccount)
	c.handleAccount("GET", "", func(_ *order, a *Account) (any, error) { return shownAccount(a), nil })
	c.handleAccount("PATCH", "", (*order).changeAccount)
	c.handleAccount("DELETE", "", func(_ *order, a *Account) (any, error) {
		c.platform.Remove(a)
		return struct{}{}, nil
	})
	c.handleAccount("POST", "/check", (*order).checkServer)
	c.handleAccount("GET", "/token", func(_ *order, a *Account) (any, error) {
		return map[string]string{"access_token": a.AccessToken()}, nil
	})
	c.handleAccount("DELETE", "/token", func(_ *order, a *Account) (any, error) {
		a.ReplaceToken()
		return struct{}{}, nil
	})
	c.handleAccount("GET", "/receivers", func(_ *order, a *Account) (any, error) {
		return map[string]any{"receivers": shownReceivers(a)}, nil
	})
	c.handleAccount("POST", "/receivers", (*order).addReceiver)
	c.handleAccount("DELETE", "/receivers/{name}", (*order).removeReceiver)
	c.handleAccount("POST", "/notify", (*order).notify)
}

// handleAccount registers what is done with an account.
func (c *Control) handleAccount(method, path string, carryOut func(*order, *Account) (any, error)) {
	c.handle(method+" /sim/accounts/{account}"+path, func(o *order) (any, error) {
		a, ok := c.platform.Account(o.PathValue("account"))
		if !ok {
			return nil, notFound("没有这个账号；GET /sim/accounts 列出全部", "there is no such account: GET /sim/accounts lists them")
		}
		return carryOut(o, a)
	})
}

// accountJSON is an [AccountConfig] whose mode is a word.
type accountJSON struct {
	AccountConfig
	Mode      modeText       `json:"mode,omitempty"`
	Receivers []receiverJSON `json:"receivers,omitempty"` // of an answer
	Followers *int           `json:"followers,omitempty"` // of an answer
}

// config is what a request asks for.
func (j accountJSON) config() (AccountConfig, error) {
	if j.Receivers != nil || j.Followers != nil {
		return AccountConfig{}, badValue("receivers, followers", "有自己的路径 /sim/accounts/…/receivers 和 …/followers",
			"they have paths of their own: /sim/accounts/…/receivers and …/followers")
	}
	j.AccountConfig.Mode = oa.Mode(j.Mode)
	return j.AccountConfig, nil
}

func shownAccount(a *Account) accountJSON {
	c := a.Config()
	n := len(a.Followers())
	return accountJSON{
		AccountConfig: c, Mode: modeText(modeOf(oa.Account{AESKey: c.AESKey, Mode: c.Mode})),
		Receivers: shownReceivers(a), Followers: &n,
	}
}

// modeText is an oa.Mode by its name.
type modeText oa.Mode

func (m modeText) MarshalText() ([]byte, error) { return []byte(oa.Mode(m).String()), nil }

func (m *modeText) UnmarshalText(text []byte) error {
	mode, err := oa.ParseMode(string(text))
	if err != nil {
		return badValue("mode", "应是 plain、compat 或 secure", "it must be plain, compat or secure")
	}
	*m = modeText(mode)
	return nil
}

func (o *order) createAccount() (any, error) {
	var j accountJSON
	if err := o.read(&j); err != nil {
		return nil, err
	}
	config, err := j.config()
	if err != nil {
		return nil, err
	}
	a, err := o.c.platform.NewAccount(config)
	if err != nil {
		return nil, notTaken(err)
	}
	return created{shownAccount(a)}, nil
}

// changeAccount changes the members that the request has.
func (o *order) changeAccount(a *Account) (any, error) {
	old := a.Config()
	j := accountJSON{AccountConfig: old, Mode: modeText(old.Mode)}
	if err := o.read(&j); err != nil {
		return nil, err
	}
	config, err := j.config()
	if err != nil {
		return nil, err
	}
	if err := a.Configure(config); err != nil {
		return nil, notTaken(err)
	}
	return shownAccount(a), nil
}

// checked is what became of the check of a server's address.
type checked struct {
	OK      bool     `json:"ok"`
	Status  int      `json:"status,omitempty"`
	Elapsed duration `json:"elapsed"`
	Problem *Remark  `json:"problem,omitempty"`
}

func (o *order) checkServer(a *Account) (any, error) {
	x, err := a.Check(o.Context())
	if errors.Is(err, ErrNoServer) {
		return nil, &controlError{http.StatusConflict, "no_server",
			"账号没有服务器地址；先 PATCH 它的 url 和 token", "the account has no server: PATCH its url and token first"}
	}
	if err != nil {
		return nil, err
	}
	return checked{OK: x.Verdict.OK(), Status: x.Response.Status, Elapsed: rounded(x.Response.Elapsed), Problem: x.Verdict.Problem}, nil
}

// receiverJSON is a third-party platform that is authorised on an account.
type receiverJSON struct {
	Name   string   `json:"name"`
	URL    string   `json:"url,omitempty"`
	Token  string   `json:"token,omitempty"`
	AESKey string   `json:"aes_key,omitempty"`
	Mode   modeText `json:"mode,omitempty"`
	AppID  string   `json:"app_id,omitempty"`
	// Builtin asks for a server in this process instead of one at URL: one that
	// echoes texts, or one that always fails.
	Builtin string `json:"builtin,omitempty"`
}

func shownReceivers(a *Account) []receiverJSON {
	list := []receiverJSON{}
	for _, r := range a.Receivers() {
		own := r.Account
		list = append(list, receiverJSON{Name: r.Name, URL: r.URL, Token: own.Token, AESKey: own.AESKey, Mode: modeText(modeOf(own)), AppID: own.AppID})
	}
	return list
}

func (o *order) addReceiver(a *Account) (any, error) {
	var j receiverJSON
	if err := o.read(&j); err != nil {
		return nil, err
	}
	config := ReceiverConfig{
		Name: j.Name, URL: j.URL,
		Account: oa.Account{Token: cmp.Or(j.Token, "hello"), AESKey: j.AESKey, Mode: oa.Mode(j.Mode), AppID: j.AppID},
	}
	switch j.Builtin {
	case "":
	case "echo":
		s, err := oa.NewServer(config.Account, oa.HandlerFunc(echoed), oa.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return nil, notTaken(err)
		}
		config.Handler, config.URL = s, "http://echo.wenzi.test/"
	case "fail":
		config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			http.Error(w, "this receiver always fails", http.StatusInternalServerError)
		})
		config.URL = "http://fail.wenzi.test/"
	default:
		return nil, badValue("builtin", "应是 echo 或 fail", "it must be echo or fail")
	}
	if err := a.AddReceiver(config); err != nil {
		return nil, notTaken(err)
	}
	return created{map[string]any{"receivers": shownReceivers(a)}}, nil
}

// echoed answers as the built-in receiver does.
func echoed(_ context.Context, r *oa.Request) (oa.Reply, error) {
	if r.Text() == "" {
		return oa.None()
	}
	return oa.Text(oa.Clip("回声："+r.Text(), oa.MaxTextBytes))
}

func (o *order) removeReceiver(a *Account) (any, error) {
	if !a.RemoveReceiver(o.PathValue("name")) {
		return nil, notFound("没有这个第三方平台；GET …/receivers 列出全部", "there is no such receiver: GET …/receivers lists them")
	}
	return struct{}{}, nil
}
