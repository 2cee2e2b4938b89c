package sim

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// Delivery is a message that was delivered to the server of an account.
type Delivery struct {
	Account oa.Account
	Message oa.Message
}

// Response is what came back.
type Response struct {
	Status  int
	Header  http.Header
	Body    []byte
	Elapsed time.Duration // from the beginning of the request to the last byte
	// Err says that no complete response came. [context.DeadlineExceeded] is
	// the end of WeChat's patience, everything else a broken connection.
	Err error
}

// Judge says what WeChat makes of the response to a delivery.
func (r Rules) Judge(d Delivery, got Response) Verdict {
	if problem := r.exchange(got); problem != nil {
		return Verdict{Outcome: Repeated, Problem: problem}
	}
	if problem := readable(got); problem != nil {
		return r.refuse(d, problem)
	}
	body := got.Body
	if trimmed := bytes.TrimSpace(body); r.AllowBlanks && (len(trimmed) == 0 || string(trimmed) == "success") {
		body = trimmed
	}
	_, isInfo := d.Message.(oa.Info)
	if string(body) == "success" || len(body) == 0 && !isInfo {
		return Verdict{Outcome: Acknowledged}
	}
	if isInfo {
		return r.refuse(d, remark(RuleInfo, "第三方平台的授权推送只能回答 success", "an authorisation push of a third-party platform must be answered success"))
	}
	elements, problem := openReply(d.Account, body)
	if problem != nil {
		return r.refuse(d, problem)
	}
	c := content{rules: &r, message: d.Message, elements: elements}
	bubble, problem := c.bubble()
	if problem != nil {
		return r.refuse(d, problem)
	}
	if !reachable(d.Message) {
		c.note(remark(RuleUnreachable, "对这个事件的回复不会显示给任何人，回 success 就好",
			"a reply to this event reaches nobody, answer success"))
		return Verdict{Outcome: Acknowledged, Notes: c.notes}
	}
	if bubble == nil {
		return Verdict{Outcome: Acknowledged, Notes: c.notes}
	}
	return Verdict{Outcome: Answered, Bubbles: []Bubble{*bubble}, Notes: c.notes}
}

func (r *Rules) refuse(d Delivery, problem *Remark) Verdict {
	v := Verdict{Outcome: Refused, Problem: problem}
	switch {
	case r.RepeatUnusable:
		v.Outcome = Repeated
	case reachable(d.Message):
		v.Bubbles = []Bubble{notice()}
	}
	return v
}

// reachable reports whether a reply to the message, or the fault notice, can
// reach somebody (reference §4.3, §6). Of unknown events it is assumed.
func reachable(m oa.Message) bool {
	switch m.(type) {
	case *oa.SubscribeEvent, *oa.ScanEvent, *oa.LocationEvent, *oa.ClickEvent, *oa.ScanCodeEvent,
		*oa.PicEvent, *oa.LocationSelectEvent, *oa.DebugEvent, *oa.UnknownEvent:
		return true
	case oa.Event, oa.Info:
		return false
	}
	return true
}

// exchange judges everything but the body.
func (r *Rules) exchange(got Response) *Remark {
	limit := r.timeout()
	switch {
	case errors.Is(got.Err, context.DeadlineExceeded) || got.Elapsed > limit:
		return remark(RuleTimeout, "超过 %g 秒没有答完", "there was no complete response within %g s", limit.Seconds())
	case got.Err != nil && !errors.Is(got.Err, errTooLarge):
		return remark(RuleConnection, "连不上服务器，或连接中断：%v", "no connection, or it broke: %v", got.Err)
	case got.Status >= 300 && got.Status < 400:
		return remark(RuleRedirect, "服务器重定向到 %[2]s（HTTP %[1]d），微信不跟随重定向",
			"the server redirects to %[2]s (HTTP %[1]d), which WeChat does not follow", got.Status, redirectTarget(got.Header))
	case got.Status != http.StatusOK:
		return remark(RuleStatus, "HTTP 状态是 %d，必须是 200", "the HTTP status is %d, it must be 200", got.Status)
	}
	return nil
}

// readable judges what keeps the body of a complete response from being read.
func readable(got Response) *Remark {
	if got.Err != nil {
		return remark(RuleSize, "回复超过 %d 字节", "the body has more than %d bytes", maxBody)
	}
	if coding := got.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return remark(RuleCompression, "回复用 %s 压缩了，微信没有要求压缩", "the body is compressed with %s, which WeChat did not ask for", clip(coding))
	}
	return nil
}

// redirectTarget is the host of a redirect; its path may hold a token.
func redirectTarget(h http.Header) string {
	u, err := url.Parse(h.Get("Location"))
	if err != nil || u.Host == "" {
		return "…"
	}
	return u.Scheme + "://" + u.Host + "/…"
}

// openReply takes the envelope off a body, where there is one, and returns the
// elements of the reply.
func openReply(a oa.Account, body []byte) ([]oa.Element, *Remark) {
	elements, problem := parse(body)
	if problem != nil {
		return nil, problem
	}
	_, sealed := oa.Find(elements, "Encrypt")
	_, clear := oa.Find(elements, "MsgType")
	mode := modeOf(a)
	switch {
	case mode == oa.Plain && sealed && !clear:
		return nil, remark(RuleClear, "账号是明文模式，回复却是加密的", "the account is in plain mode, but the reply is encrypted")
	case mode == oa.Secure && clear && !sealed:
		return nil, remark(RuleClear, "账号是安全模式，回复却没有加密", "the account is in secure mode, but the reply is not encrypted")
	case mode == oa.Plain || mode == oa.Compat && !sealed:
		return elements, nil
	}
	body, problem = unseal(a, elements)
	if problem != nil {
		return nil, problem
	}
	if elements, problem = parse(body); problem != nil {
		problem.Chinese = "解密后：" + problem.Chinese
		problem.English = "decrypted: " + problem.English
	}
	return elements, problem
}

// unseal opens the envelope (reference §3.3).
func unseal(a oa.Account, elements []oa.Element) ([]byte, *Remark) {
	var value [4]string
	for i, name := range []string{"Encrypt", "MsgSignature", "TimeStamp", "Nonce"} {
		var problem *Remark
		if value[i], problem = required(elements, "xml", name); problem != nil {
			return nil, problem
		}
	}
	encrypt, signature, timestamp, nonce := value[0], value[1], value[2], value[3]
	if oa.Sign(a.Token, timestamp, nonce, encrypt) != signature {
		return nil, remark(RuleSignature, "MsgSignature 不对：应是 Token、信封里的 TimeStamp、Nonce 和 Encrypt 排序相连后的 SHA-1（小写）",
			"MsgSignature is wrong: it must be the SHA-1, in lower case, of Token and the envelope's TimeStamp, Nonce and Encrypt, sorted and joined")
	}
	key, err := oa.ParseKey(a.AESKey)
	if err != nil {
		return nil, remark(RuleCiphertext, "Encrypt 解不开：%v", "Encrypt cannot be opened: %v", err)
	}
	clear, err := key.Open(encrypt, a.AppID)
	switch {
	case errors.Is(err, oa.ErrAppID):
		return nil, remark(RuleAppID, "Encrypt 里的 AppID 不是这个账号的", "the AppID inside Encrypt is not that of the account")
	case err != nil:
		return nil, remark(RuleCiphertext, "Encrypt 用这个账号的 EncodingAESKey 解不开", "Encrypt does not open with the account's EncodingAESKey")
	case len(bytes.TrimSpace(clear)) == 0 || string(bytes.TrimSpace(clear)) == "success":
		return nil, remark(RuleEncryptedSuccess, "success（或空回复）不能加密，直接回 7 个字节 success",
			"success (or nothing) must not be encrypted, send the bare 7 bytes success")
	}
	return clear, nil
}

// modeOf resolves the default as oa does.
func modeOf(a oa.Account) oa.Mode {
	switch {
	case a.Mode != 0:
		return a.Mode
	case a.AESKey != "":
		return oa.Secure
	}
	return oa.Plain
}
