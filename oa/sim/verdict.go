package sim

import "fmt"

// FaultNotice is what WeChat puts into the chat where a server's answer is
// unusable or all deliveries of a message failed (reference §4.4).
const FaultNotice = "该公众号提供的服务出现故障，请稍后再试"

// Outcome is what WeChat makes of one response.
type Outcome string

// The outcomes.
const (
	Answered     Outcome = "answered"     // the follower sees the reply
	Acknowledged Outcome = "acknowledged" // the follower sees nothing, and that is right
	Verified     Outcome = "verified"     // the check of the server's address passed
	Refused      Outcome = "refused"      // the body is unusable: the fault notice, or the address is not accepted
	Repeated     Outcome = "repeated"     // no usable response: WeChat delivers the message again
)

// Verdict is the judgement of one response.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Bubbles are what appears in the follower's chat, in order.
	Bubbles []Bubble `json:"bubbles,omitempty"`
	// Problem says why a response is Refused or Repeated. It is nil otherwise.
	Problem *Remark `json:"problem,omitempty"`
	// Notes are about what WeChat accepts, but its author hardly meant.
	Notes []Remark `json:"notes,omitempty"`
}

// OK reports whether WeChat takes the response for a right one.
func (v *Verdict) OK() bool { return v.Problem == nil }

// Remark is one sentence about a response.
type Remark struct {
	Rule    Rule   `json:"rule"`
	Chinese string `json:"zh"`
	English string `json:"en"`
}

// String returns "中文（English）".
func (r Remark) String() string { return r.Chinese + "（" + r.English + "）" }

// remark writes a remark. Both sentences get the same arguments.
func remark(rule Rule, chinese, english string, args ...any) *Remark {
	return &Remark{Rule: rule, Chinese: fmt.Sprintf(chinese, args...), English: fmt.Sprintf(english, args...)}
}

// Bubble is one thing that a reply or a push puts into the chat.
type Bubble struct {
	// Kind is the MsgType of the reply or the msgtype of the customer-service
	// message, or "notice" for the [FaultNotice]. "template" and "subscription" are
	// template messages and subscription notices.
	Kind string `json:"kind"`
	// Text is that of a text, a menu message (msgmenu) or a notice, in runs.
	Text []Span `json:"text,omitempty"`
	// MediaID is that of an image, voice, video or of articles (mpnews), or the
	// article_id of a published one (mpnewsarticle).
	MediaID string `json:"media_id,omitempty"`
	// Title and Description are those of a video or of music; a mini program's
	// card has a title.
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// URL, HQURL and ThumbMediaID are those of music; a video and a mini program's
	// card have a cover too.
	URL          string `json:"url,omitempty"`
	HQURL        string `json:"hq_url,omitempty"`
	ThumbMediaID string `json:"thumb_media_id,omitempty"`
	// Articles are those that WeChat shows.
	Articles []Article `json:"articles,omitempty"`
	// Agent is the KfAccount that a follower is transferred to, if one is named.
	Agent string `json:"agent,omitempty"`
	// Rows are the lines of a template message or a subscription notice. A tap on
	// it opens the mini program of AppID and PagePath, otherwise URL. A mini
	// program's card (miniprogrampage) has both too.
	Rows     []Row  `json:"rows,omitempty"`
	AppID    string `json:"app_id,omitempty"`
	PagePath string `json:"page_path,omitempty"`
	// MediaIDs are those of the images of a mass message.
	MediaIDs []string `json:"media_ids,omitempty"`
	// CardID is that of a card or coupon (wxcard).
	CardID string `json:"card_id,omitempty"`
	// AI adds the note that the message was made by an AI (aimsgcontext).
	AI bool `json:"ai,omitempty"`
}

// Article is one entry of a news message.
type Article struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	PicURL      string `json:"pic_url"`
	URL         string `json:"url"`
}

// kindNotice is the kind of a bubble that WeChat itself puts into the chat.
const kindNotice = "notice"

func notice() Bubble { return Bubble{Kind: kindNotice, Text: []Span{{Text: FaultNotice}}} }
