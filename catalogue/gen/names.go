package main

import (
	"strings"
	"unicode"
)

// words are the parts of wire names that Go writes differently from a capital
// and small letters. The rule of names is in docs/api-catalogue.md.
var words = map[string]string{
	"activetime": "ActiveTime", "ai": "AI", "aimsgcontext": "AIMsgContext", "api": "API", "appid": "AppID",
	"appsecret": "AppSecret", "autoreply": "AutoReply", "businessid": "BusinessID", "cgi": "CGI",
	"checkonly": "CheckOnly", "clientmsgid": "ClientMsgID", "conditionalmenu": "ConditionalMenu",
	"createtime": "CreateTime", "customservice": "CustomService", "dns": "DNS", "dom": "DOM", "endtime": "EndTime",
	"funcscope": "FuncScope", "groupid": "GroupID", "h": "H", "hd": "HD", "headimgurl": "HeadImgURL",
	"hqmusicurl": "HQMusicURL", "id": "ID", "id1": "ID1", "id2": "ID2", "ids": "IDs", "idx": "Index", "img": "Image", "ip": "IP",
	"jsapi": "JSAPI", "kf": "KF", "kid": "KID", "lfrom": "LFrom", "lto": "LTo", "matchrule": "MatchRule",
	"menuid": "MenuID", "miniprogram": "MiniProgram", "miniprogrampage": "MiniProgramPage", "mpnews": "MPNews",
	"mpnewsarticle": "MPNewsArticle", "mpvideo": "MPVideo", "msgid": "MsgID", "msginfo": "MsgInfo",
	"msgmenu": "MsgMenu", "msgtype": "MsgType", "musicurl": "MusicURL", "oauth": "OAuth", "ocr": "OCR",
	"openid": "OpenID", "openids": "OpenIDs", "opercode": "OperCode", "pagepath": "PagePath", "picurl": "PicURL",
	"preauthcode": "PreAuthCode", "qr": "QR", "qrcode": "QRCode", "qrcodejump": "QRCodeJump",
	"realspeed": "RealSpeed", "recordlist": "RecordList", "rid": "RID", "selfmenu": "SelfMenu", "sessionlist": "SessionList",
	"snapshotuser": "SnapshotUser", "starttime": "StartTime", "tagid": "TagID", "tid": "TID", "touser": "ToUser",
	"towxname": "ToWxName", "udp": "UDP", "unionid": "UnionID", "uri": "URI", "url": "URL", "userinfo": "UserInfo",
	"vin": "VIN", "waitcaselist": "WaitCaseList", "wxcard": "WxCard",
}

// goName turns a wire name, in snake_case or camelCase, into an exported name.
func goName(wire string) string {
	var b strings.Builder
	for _, part := range split(wire) {
		w, ok := words[strings.ToLower(part)]
		if !ok {
			w = strings.ToUpper(part[:1]) + strings.ToLower(part[1:])
		}
		// 235_1 must not become 2351.
		if s := b.String(); s != "" && isDigit(s[len(s)-1]) && isDigit(w[0]) {
			b.WriteByte('x')
		}
		b.WriteString(w)
	}
	return b.String()
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// split cuts a wire name at underscores and before capitals.
func split(wire string) []string {
	var parts []string
	for part := range strings.SplitSeq(wire, "_") {
		runes := []rune(part)
		start := 0
		for i := 1; i < len(runes); i++ {
			afterSmall := unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1])
			lastOfRun := i+1 < len(runes) && unicode.IsUpper(runes[i]) && unicode.IsLower(runes[i+1])
			if afterSmall || lastOfRun {
				parts = append(parts, string(runes[start:i]))
				start = i
			}
		}
		if start < len(runes) {
			parts = append(parts, string(runes[start:]))
		}
	}
	return parts
}
