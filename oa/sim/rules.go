package sim

import (
	"cmp"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// Rules are the facts by which a response is judged. The zero value is what the
// reference takes to be true; the fields are what it leaves open.
type Rules struct {
	// Timeout is how long WeChat waits for a response, connecting included;
	// 0 is 5 s (reference §4.1).
	Timeout time.Duration `json:"timeout,omitempty"`
	// MaxTextBytes is the most bytes of a text's Content; 0 is 2047, which is
	// safe. The limit is also given as 2048 (reference §7.2).
	MaxTextBytes int `json:"max_text_bytes,omitempty"`
	// AllowEmptyText takes an empty Content for nothing to say instead of a
	// mistake (reference §7.2).
	AllowEmptyText bool `json:"allow_empty_text,omitempty"`
	// AllowBlanks takes white space around `success` and around echostr for
	// none (reference §1.2, §4.3).
	AllowBlanks bool `json:"allow_blanks,omitempty"`
	// AllowUnknownMedia shows a reply whose MediaId the [Platform] does not know,
	// instead of refusing it (reference §4.4, unconfirmed).
	AllowUnknownMedia bool `json:"allow_unknown_media,omitempty"`
	// RepeatUnusable has WeChat repeat a delivery that was answered 200 with an
	// unusable body, instead of showing the fault notice at once (reference §4.1).
	RepeatUnusable bool `json:"repeat_unusable,omitempty"`
}

func (r *Rules) timeout() time.Duration { return cmp.Or(r.Timeout, 5*time.Second) }

func (r *Rules) maxTextBytes() int { return cmp.Or(r.MaxTextBytes, oa.MaxTextBytes) }

// Rule names what a remark is about. The names are stable.
type Rule string

// The exchange over HTTP (reference §4.1, §4.7).
const (
	RuleConnection  Rule = "connection"  // no connection, or it broke
	RuleTimeout     Rule = "timeout"     // later than 5 s
	RuleRedirect    Rule = "redirect"    // status 3xx: WeChat does not follow
	RuleStatus      Rule = "status"      // any other status than 200
	RuleCompression Rule = "compression" // a Content-Encoding nobody asked for
	RuleSize        Rule = "size"        // a body without end
)

// The body as a whole (reference §4.3, §4.4, §7).
const (
	RuleSuccess   Rule = "success"   // neither the seven bytes `success` nor a reply
	RuleJSON      Rule = "json"      // JSON
	RuleHTML      Rule = "html"      // an HTML page
	RuleLeading   Rule = "leading"   // BOM or other output before the reply
	RuleText      Rule = "text"      // no XML at all
	RuleUTF8      Rule = "utf8"      // not UTF-8
	RuleCharacter Rule = "character" // a character that XML forbids
	RuleXML       Rule = "xml"       // not well-formed
)

// The envelope of an encrypted reply (reference §2.3, §3.3).
const (
	RuleClear            Rule = "clear"             // clear in secure mode, or encrypted in plain mode
	RuleSignature        Rule = "signature"         // MsgSignature does not fit
	RuleCiphertext       Rule = "ciphertext"        // Encrypt cannot be opened
	RuleAppID            Rule = "app_id"            // Encrypt is for another AppID
	RuleEncryptedSuccess Rule = "encrypted_success" // `success` is never encrypted
)

// The elements of a reply (reference §7).
const (
	RuleMissing    Rule = "missing"     // an element is missing
	RuleSpelling   Rule = "spelling"    // an element has almost the right name
	RuleNesting    Rule = "nesting"     // an element is in the wrong place
	RuleTwice      Rule = "twice"       // an element stands there twice
	RuleEmpty      Rule = "empty"       // an element has no text
	RuleNames      Rule = "names"       // ToUserName or FromUserName
	RuleCreateTime Rule = "create_time" // not whole seconds
	RuleMsgType    Rule = "msg_type"    // no MsgType of a passive reply
	RuleLength     Rule = "length"      // a text is too long
	RuleArticles   Rule = "articles"    // ArticleCount and Articles
)

// What is answered by what (reference §4.3, §7.1).
const (
	RuleTransfer    Rule = "transfer"    // a transfer answers messages only, not events
	RuleUnreachable Rule = "unreachable" // a reply to this event reaches nobody
	RuleInfo        Rule = "info"        // an authorisation push takes only `success`
)

// The text as the follower sees it (reference §7.2), and the check of the
// server's address (reference §1.2).
const (
	RuleMarkup  Rule = "markup"  // something is shown as it stands, or in CDATA only
	RuleMenu    Rule = "menu"    // a weixin://bizmsgmenu link that does nothing
	RuleEchoStr Rule = "echostr" // the body is not exactly echostr
)
