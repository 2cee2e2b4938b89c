package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wenzihq/wenzi/oa"
)

// The columns of a transcript, in the cells of a terminal.
const (
	nameWidth = 10
	textWidth = 30
)

// Transcript is the exchange as a person would see it: who said what, how long
// it took, what WeChat complains about. It ends with a line break.
func (e *Exchange) Transcript() string {
	if e.Message != nil {
		return Line("我", Describe(e.Message), "") + e.answer()
	}
	seen := "没有验证通过"
	if e.Verdict.OK() {
		seen = "验证通过"
	}
	return Line("微信", "验证服务器地址", "") + Line("服务器", seen, e.info()) + e.remarks()
}

// Transcript is the delivery as a person would see it, as [Exchange.Transcript]
// has it, without what the follower said. A repeat that fails as well says why
// in a few words.
func (a Attempt) Transcript() string {
	var which []string
	if a.Number > 1 {
		which = append(which, "第 "+strconv.Itoa(a.Number)+" 次投递")
	}
	if a.Receiver != "" {
		which = append(which, "第三方平台 "+a.Receiver)
	}
	if a.Number > 1 && a.Exchange.Verdict.Outcome == Repeated {
		why, _, _ := strings.Cut(a.Exchange.Verdict.Problem.Chinese, "：")
		return Line("公众号", "（"+why+"）", a.Exchange.info(which...))
	}
	return a.Exchange.answer(which...)
}

// answer is what the account says, and what WeChat says of it.
func (e *Exchange) answer(which ...string) string {
	return Line("公众号", e.seen(), e.info(which...)) + e.remarks()
}

// remarks are what is wrong with the response, and what its author hardly meant.
func (e *Exchange) remarks() string {
	var b strings.Builder
	if e.Verdict.Problem != nil {
		b.WriteString(e.complaint())
	}
	for _, n := range e.Verdict.Notes {
		b.WriteString(printable("提示："+n.Chinese+"（note: "+n.English+"）") + "\n")
	}
	return b.String()
}

// complaint says what WeChat does about a problem.
func (e *Exchange) complaint() string {
	p := e.Verdict.Problem
	chinese, english := "微信会拒绝这个回复：", "WeChat would refuse the reply: "
	switch {
	case e.Message == nil:
		chinese, english = "微信会拒绝这个地址：", "WeChat would refuse the address: "
	case e.Response.Status == 0:
		chinese, english = "微信没有收到回复：", "WeChat gets no reply: "
	}
	lines := printable(chinese+p.Chinese+"（"+english+p.English+"）") + "\n"
	switch {
	case e.Verdict.Outcome != Repeated:
	case reachable(e.Message):
		lines += "微信会再次投递，都失败后粉丝看到“" + FaultNotice + "”（WeChat delivers again, and shows the fault notice in the end）\n"
	default:
		lines += "微信会再次投递（WeChat delivers again）\n"
	}
	return lines
}

// seen is what the follower sees.
func (e *Exchange) seen() string {
	var lines []string
	for _, b := range e.Verdict.Bubbles {
		lines = append(lines, b.String())
	}
	switch {
	case lines != nil:
		return strings.Join(lines, "\n")
	case e.Verdict.Outcome == Acknowledged:
		return "（不回复）"
	}
	return "（没有看到回复）"
}

// info is how the answer came about: time, mode, kind, and which it is.
func (e *Exchange) info(which ...string) string {
	parts := []string{spent(e.Response.Elapsed), chineseMode(e.Mode)}
	switch v := e.Verdict; {
	case v.Outcome == Answered:
		parts = append(parts, v.Bubbles[0].Kind)
	case v.Outcome == Acknowledged && len(e.Response.Body) == 0:
		parts = append(parts, "空回复")
	case v.Outcome == Acknowledged && len(v.Notes) == 0:
		parts = append(parts, "success")
	}
	return "（" + strings.Join(append(parts, which...), "，") + "）"
}

func spent(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "不到 1 毫秒"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " 毫秒"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " 秒"
}

func chineseMode(m oa.Mode) string {
	switch m {
	case oa.Compat:
		return "兼容"
	case oa.Secure:
		return "安全"
	}
	return "明文"
}

// Line is what somebody says as a line of a transcript: the name, the text, and
// info behind the last line of the text. What would steer a terminal is taken
// out. It ends with a line break.
func Line(name, text, info string) string {
	var b strings.Builder
	lines := strings.Split(printable(text), "\n")
	name = printable(name)
	for i, line := range lines {
		line = pad(name, nameWidth) + line
		if i == len(lines)-1 && info != "" {
			line = pad(line, nameWidth+textWidth) + printable(info)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		name = ""
	}
	return b.String()
}

// String is the bubble as text, as near to what the follower sees as it gets.
func (b Bubble) String() string {
	if b.AI {
		b.AI = false
		return b.String() + "\n（内容由第三方 AI 生成）"
	}
	if s := b.card(); s != "" {
		return s
	}
	switch b.Kind {
	case "image":
		return join("[图片]", b.MediaID)
	case "voice":
		return join("[语音]", b.MediaID)
	case "video":
		return join("[视频]", b.Title, b.MediaID) + below(b.Description)
	case "music":
		return join("[音乐]", b.Title, b.ThumbMediaID) + below(b.Description, b.URL, b.HQURL)
	case "news", "mpnews", "mpnewsarticle":
		var s []string
		for _, a := range b.Articles {
			s = append(s, join("[图文]", a.Title)+below(a.Description, a.PicURL, a.URL))
		}
		return strings.Join(s, "\n")
	case "miniprogrampage":
		return join("[小程序]", b.Title) + below(join(b.AppID, b.PagePath))
	case "wxcard":
		return join("[卡券]", b.CardID)
	case "transfer_customer_service":
		return join("[转人工客服]", b.Agent)
	case "transfer_biz_ai_ivr":
		return "[转官方 AI 回复]"
	}
	var s strings.Builder
	for _, span := range b.Text {
		s.WriteString(span.Text)
		switch {
		case span.Say != "":
			s.WriteString("（点按发送“" + span.Say + "”）")
		case span.URL != "" && span.URL != span.Text:
			s.WriteString("（" + span.URL + "）")
		}
	}
	return s.String()
}

// Describe says what a follower does by sending a message: the text, or what
// the client shows, in brackets.
func Describe(m oa.Message) string {
	switch m := m.(type) {
	case *oa.TextMessage:
		return m.Content
	case *oa.ImageMessage:
		return join("[图片]", m.MediaID)
	case *oa.VoiceMessage:
		return join("[语音]", m.Recognition, m.MediaID)
	case *oa.VideoMessage:
		return join("[视频]", m.MediaID)
	case *oa.LocationMessage:
		return join("[位置]", m.Label, fmt.Sprintf("%g,%g", m.Latitude, m.Longitude))
	case *oa.LinkMessage:
		return join("[链接]", m.Title, m.URL)
	case *oa.FileMessage:
		return join("[文件]", m.Title)
	case *oa.SubscribeEvent:
		return join("[关注]", m.EventKey)
	case *oa.UnsubscribeEvent:
		return "[取消关注]"
	case *oa.ScanEvent:
		return join("[扫码]", m.Scene)
	case *oa.LocationEvent:
		return join("[上报位置]", fmt.Sprintf("%g,%g", m.Latitude, m.Longitude))
	case *oa.ClickEvent:
		return join("[点菜单]", m.Key)
	case *oa.ViewEvent:
		return join("[点菜单，打开网页]", m.URL)
	case *oa.ViewMiniProgramEvent:
		return join("[点菜单，打开小程序]", m.Page)
	case *oa.SubscribeMsgPopupEvent:
		s := "[订阅通知]"
		for _, choice := range m.Popup.List {
			s = join(s, choice.Status, choice.TemplateID)
		}
		return s
	case *oa.SubscribeMsgChangeEvent:
		s := "[订阅通知，改设置]"
		for _, choice := range m.Change.List {
			s = join(s, choice.Status, choice.TemplateID)
		}
		return s
	case oa.Event:
		return join("[事件]", m.EventHead().Event)
	case oa.Info:
		return join("[授权推送]", m.InfoHead().InfoType)
	}
	return join("[消息]", m.Head().MsgType)
}

// join puts blanks between what is not empty.
func join(parts ...string) string {
	var given []string
	for _, p := range parts {
		if p != "" {
			given = append(given, p)
		}
	}
	return strings.Join(given, " ")
}

// below puts each line that is not empty under the first, indented.
func below(lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		if l != "" {
			b.WriteString("\n  " + strings.ReplaceAll(l, "\n", "\n  "))
		}
	}
	return b.String()
}

// printable keeps what a server sends from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return ' '
		}
		return r
	}, s)
}

// pad fills a line up with blanks to a number of cells.
func pad(s string, cells int) string {
	return s + strings.Repeat(" ", max(cells-cellsOf(s), 0))
}

// wide are the characters that take two cells, near enough.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{{0x1100, 0x115F, 1}, {0x2E80, 0xA4CF, 1}, {0xAC00, 0xD7A3, 1}, {0xF900, 0xFAFF, 1}, {0xFE30, 0xFE6F, 1}, {0xFF01, 0xFF60, 1}, {0xFFE0, 0xFFE6, 1}},
	R32: []unicode.Range32{{0x1F300, 0x1FAFF, 1}, {0x20000, 0x3FFFD, 1}},
}

func cellsOf(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.Is(wide, r):
			n += 2
		case !unicode.Is(unicode.Mn, r):
			n++
		}
	}
	return n
}
