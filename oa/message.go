package oa

import "strings"

// Message is what WeChat delivers: an ordinary message ([TextMessage], …), an
// event (also an [Event]), or a third-party-platform push ([Info]). A type
// that this package does not know is an [UnknownMessage], [UnknownEvent] or
// [UnknownInfo] with its raw elements, never an error.
//
// The fields of every message stand in the order of the wire.
type Message interface {
	Head() *Header
}

// Header has the elements that every message begins with (reference §5).
type Header struct {
	ToUserName   string // the account's original ID, gh_…
	FromUserName string // the follower's OpenID; a system OpenID in account-level events
	CreateTime   int64  // Unix seconds
	MsgType      string // "text", "event", …; empty in third-party-platform pushes
}

// Head returns the header itself, so that every message has one.
func (h *Header) Head() *Header { return h }

// Ident has what follows the content of an ordinary message.
type Ident struct {
	MsgID     int64  `xml:"MsgId"`               // unique per message, the same in repeats
	MsgDataID string `xml:"MsgDataId,omitempty"` // data id of the article the message was sent from
	Idx       int    `xml:",omitempty"`          // position of that article, from 1
}

func (i *Ident) msgID() int64 { return i.MsgID }

// TextMessage is 文本 (reference §5.1).
type TextMessage struct {
	Header
	Content string
	Ident
	// MenuID is set when the follower tapped an entry of a menu message or a
	// weixin://bizmsgmenu link; Content is then the entry's text. Documented
	// as a number, any text was seen.
	MenuID string `xml:"bizmsgmenuid,omitempty"`
}

// Unsupported reports whether the text is the notice that stands for a
// sticker, card, red packet or the like (reference §5.9).
func (m *TextMessage) Unsupported() bool {
	switch strings.TrimSpace(m.Content) {
	case "【收到不支持的消息类型，暂无法显示】", "【收到不支援的訊息類型，無法顯示】",
		"[Unsupported Message]", "[Unsupported message]":
		return true
	}
	return false
}

// ImageMessage is 图片 (reference §5.2).
type ImageMessage struct {
	Header
	PicURL  string `xml:"PicUrl"`
	MediaID string `xml:"MediaId"` // temporary material, 3 days
	Ident
}

// VoiceMessage is 语音 (reference §5.3).
type VoiceMessage struct {
	Header
	MediaID string `xml:"MediaId"` // 8 kHz
	Format  string // "amr", "speex"
	Ident
	MediaID16K string `xml:"MediaId16K,omitempty"` // the same at 16 kHz
	// Recognition is WeChat's speech-to-text; withdrawn in 2023 and mostly empty.
	Recognition string
}

// VideoMessage is 视频 or 小视频; MsgType is "video" or "shortvideo"
// (reference §5.4, §5.5).
type VideoMessage struct {
	Header
	MediaID      string `xml:"MediaId"`
	ThumbMediaID string `xml:"ThumbMediaId"`
	Ident
}

// LocationMessage is 地理位置 (reference §5.6).
type LocationMessage struct {
	Header
	Latitude  float64 `xml:"Location_X"`
	Longitude float64 `xml:"Location_Y"`
	Scale     int
	Label     string
	Ident
}

// LinkMessage is 链接, a shared article or page (reference §5.7).
type LinkMessage struct {
	Header
	Title       string
	Description string
	URL         string `xml:"Url"`
	Ident
}

// FileMessage is 文件: undocumented, and its content cannot be fetched
// (reference §5.8).
type FileMessage struct {
	Header
	Title        string
	Description  string
	FileKey      string
	FileMD5      string `xml:"FileMd5"`
	FileTotalLen int64  // bytes
	Ident
}

// UnknownMessage is an ordinary message of a type not listed here.
type UnknownMessage struct {
	Header
	Ident
	Elements []Element `xml:"-"` // all of them, in order
}

func (m *UnknownMessage) elements() []Element { return m.Elements }
