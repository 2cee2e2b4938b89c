package api

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxCustomText is the length of a customer-service text, in bytes, that the
// platform takes in practice.
const maxCustomText = 2048

// The functions CustomX make customer-service messages for
// [CustomMessageService.Send]. They can be sent inside a window that the
// follower opened (reference api-rules §9).

// CustomText is a text of at most about 2048 bytes; [SplitText] cuts longer
// ones.
func CustomText(openID, content string) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "text", Text: MessageText{Content: content}}
}

// CustomImage is an image that was uploaded before.
func CustomImage(openID, mediaID string) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "image", Image: MessageMedia{MediaID: mediaID}}
}

// CustomVoice is a voice recording that was uploaded before.
func CustomVoice(openID, mediaID string) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "voice", Voice: MessageMedia{MediaID: mediaID}}
}

// CustomVideo is a video that was uploaded before.
func CustomVideo(openID string, video MessageVideo) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "video", Video: video}
}

// CustomMusic is a piece of music.
func CustomMusic(openID string, music MessageMusic) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "music", Music: music}
}

// CustomNews is a link with title and picture. The platform takes one.
func CustomNews(openID string, article MessageNewsArticle) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "news", News: MessageNews{Articles: []MessageNewsArticle{article}}}
}

// CustomArticle is a published article.
func CustomArticle(openID, articleID string) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "mpnewsarticle", MPNewsArticle: MessageArticle{ArticleID: articleID}}
}

// CustomMenu is a question with choices. The choice comes back as a text
// message with the id of its item.
func CustomMenu(openID string, menu MessageMenu) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "msgmenu", MsgMenu: menu}
}

// CustomMiniProgram is a card of a mini program.
func CustomMiniProgram(openID string, page MessageMiniProgram) CustomMessageSendRequest {
	return CustomMessageSendRequest{ToUser: openID, MsgType: "miniprogrampage", MiniProgramPage: page}
}

// SplitText cuts a text into pieces of at most 2048 bytes, after a line or a
// sentence where there is one, never inside a character.
func SplitText(text string) []string {
	var pieces []string
	for len(text) > maxCustomText {
		cut := maxCustomText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		for _, end := range []string{"\n", "。", "！", "？", ". "} {
			if i := strings.LastIndex(text[:cut], end); i > maxCustomText/2 {
				cut = i + len(end)
				break
			}
		}
		pieces = append(pieces, strings.TrimRight(text[:cut], "\n"))
		text = text[cut:]
	}
	return append(pieces, text)
}

// MassContent is what a mass message says.
type MassContent struct {
	msgType string
	mpNews  MessageMedia
	text    MessageText
	voice   MessageMedia
	images  MassImages
	video   MassVideo
}

// MassText is a text.
func MassText(content string) MassContent {
	return MassContent{msgType: "text", text: MessageText{Content: content}}
}

// MassArticles is a draft, by its media id.
func MassArticles(mediaID string) MassContent {
	return MassContent{msgType: "mpnews", mpNews: MessageMedia{MediaID: mediaID}}
}

// MassVoice is a voice recording.
func MassVoice(mediaID string) MassContent {
	return MassContent{msgType: "voice", voice: MessageMedia{MediaID: mediaID}}
}

// MassPictures is a set of images.
func MassPictures(images MassImages) MassContent {
	return MassContent{msgType: "image", images: images}
}

// MassVideoOf is a video, by the media id that [MediaService.UploadVideo] gave.
func MassVideoOf(video MassVideo) MassContent {
	return MassContent{msgType: "mpvideo", video: video}
}

// ToAll sends to all followers. dedupe, of at most 32 bytes, makes the platform
// refuse a second send of the same within 24 hours with [ErrDuplicate]: always
// give one, and a send whose outcome is unknown can be repeated.
func (m MassContent) ToAll(dedupe string) MassSendAllRequest {
	return m.toFilter(MassFilter{IsToAll: true}, dedupe)
}

// ToTag sends to the followers with a tag; see [MassContent.ToAll] for dedupe.
func (m MassContent) ToTag(tagID int64, dedupe string) MassSendAllRequest {
	return m.toFilter(MassFilter{TagID: tagID}, dedupe)
}

func (m MassContent) toFilter(filter MassFilter, dedupe string) MassSendAllRequest {
	return MassSendAllRequest{Filter: filter, MsgType: m.msgType, ClientMsgID: dedupe,
		MPNews: m.mpNews, Text: m.text, Voice: m.voice, Images: m.images, MPVideo: m.video}
}

// ToOpenIDs sends to 2 to 10000 followers; see [MassContent.ToAll] for dedupe.
func (m MassContent) ToOpenIDs(openIDs []string, dedupe string) MassSendOpenIDsRequest {
	return MassSendOpenIDsRequest{ToUser: openIDs, MsgType: m.msgType, ClientMsgID: dedupe,
		MPNews: m.mpNews, Text: m.text, Voice: m.voice, Images: m.images, MPVideo: m.video}
}

// Preview sends to one follower. Of a set of images it shows the first.
func (m MassContent) Preview(openID string) MassPreviewRequest {
	r := MassPreviewRequest{ToUser: openID, MsgType: m.msgType, MPNews: m.mpNews, Text: m.text, Voice: m.voice, MPVideo: m.video}
	if len(m.images.MediaIDs) > 0 {
		r.Image.MediaID = m.images.MediaIDs[0]
	}
	return r
}

// Values makes the data of a template message or a subscription notice from
// keys and values in turn:
//
//	api.Values("thing1", "拿铁一杯", "time2", "2026-01-02 10:00")
//
// It panics on an odd number of strings, which is a mistake in the program.
func Values(keysAndValues ...string) map[string]TemplateValue {
	if len(keysAndValues)%2 != 0 {
		panic("api: Values wants keys and values in pairs")
	}
	data := make(map[string]TemplateValue, len(keysAndValues)/2)
	for i := 0; i < len(keysAndValues); i += 2 {
		data[keysAndValues[i]] = TemplateValue{Value: keysAndValues[i+1]}
	}
	return data
}

// maxRunes are the lengths, in characters, that the platform allows a value by
// the kind its key begins with. What else it checks (dates, amounts) it
// answers with 47003.
var maxRunes = []struct {
	kind  string
	limit int
}{
	{"thing", 20}, {"number", 32}, {"letter", 32}, {"symbol", 5}, {"character_string", 32},
	{"phone_number", 17}, {"car_number", 8}, {"name", 20}, {"phrase", 5},
}

// CheckValues reports values that are too long for the kind their key names
// (catalogue/api/message-subscribe.yaml).
func CheckValues(data map[string]TemplateValue) error {
	for key, v := range data {
		for _, m := range maxRunes {
			number, ok := strings.CutPrefix(key, m.kind)
			if !ok || strings.Trim(number, "0123456789") != "" {
				continue
			}
			if n := utf8.RuneCountInString(v.Value); n > m.limit {
				return fmt.Errorf("api: value of %s has %d characters, at most %d are allowed: %w", key, n, m.limit, ErrBadRequest)
			}
		}
	}
	return nil
}
