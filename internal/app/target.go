package app

import (
	"errors"
	"fmt"
	"net/url"
	"path"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

// target is a server that WeChat is played for.
type target struct {
	URL    string `group:"对谁说 — to whom" default:"http://127.0.0.1:8080/wechatMP/hello" help:"服务器地址 — URL of the server."`
	Token  string `group:"对谁说 — to whom" help:"Token，默认是 URL 的最后一段 — default: the URL's last element."`
	Mode   string `group:"对谁说 — to whom" placeholder:"plain|compat|secure" help:"加解密方式；有 --aes-key 时默认 secure，否则 plain — default: secure with --aes-key, else plain."`
	AESKey string `name:"aes-key" group:"对谁说 — to whom" help:"EncodingAESKey，43 个字符 — 43 characters."`
	AppID  string `name:"app-id" group:"对谁说 — to whom" help:"AppID（wx…）。"`
	To     string `group:"对谁说 — to whom" default:"gh_0123456789ab" help:"公众号的原始 ID — the account's original ID."`
}

// speaker is a target and the follower who speaks to it.
type speaker struct {
	target
	OpenID string `name:"openid" group:"对谁说 — to whom" default:"oWenziSayAAAAAAAAAAAAAAAAAAA" help:"粉丝的 OpenID — the follower's OpenID."`
}

// account is the one whose WeChat is played.
func (t *target) account() (sim.AccountConfig, error) {
	c := sim.AccountConfig{URL: t.URL, Token: t.Token, AESKey: t.AESKey, AppID: t.AppID, OriginalID: t.To}
	u, err := url.Parse(t.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return c, errors.New("--url: 应是 http://主机/路径 或 https://主机/路径（must be http://host/path or https://host/path）")
	}
	if last := path.Base(u.Path); c.Token == "" && last != "/" && last != "." {
		c.Token = last
	}
	if c.Token == "" {
		return c, errors.New("--token: URL 没有路径时要给出 Token（must be given, the URL has no path to take it from）")
	}
	if t.Mode != "" {
		if c.Mode, err = oa.ParseMode(t.Mode); err != nil {
			return c, fmt.Errorf("--mode: 应是 plain、compat 或 secure，现在是 %q（must be plain, compat or secure）", t.Mode)
		}
	}
	own := oa.Account{AppID: c.AppID, Token: c.Token, AESKey: c.AESKey, Mode: c.Mode}
	if err := own.Validate(); err != nil {
		return c, fmt.Errorf("--mode、--aes-key、--app-id 要配合: %w", err)
	}
	return c, nil
}
