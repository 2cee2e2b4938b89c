package sim

import (
	"bytes"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/oa"
)

// mediaState is the temporary and permanent material of an account.
type mediaState struct {
	files     map[string]*medium // by id
	temporary []*medium          // oldest first
	permanent []*medium          // oldest first
	kept      int                // bytes of the contents that are kept
}

// medium is a file of an account (reference api-rules §4).
type medium struct {
	id      string
	kind    mediaKind
	name    string
	added   time.Time
	until   time.Time // zero where it does not expire
	size    int
	content []byte // nil where it is not kept, see maxMediaContents

	title, introduction string // of a permanent video
}

type mediaKind string

const (
	mediaImage  mediaKind = "image"
	mediaVoice  mediaKind = "voice"
	mediaVideo  mediaKind = "video"
	mediaThumb  mediaKind = "thumb"
	mediaHosted mediaKind = "hosted" // a picture with an address, but without a MediaId
)

const (
	// mediaLife is how long temporary material can be used.
	mediaLife = 3 * 24 * time.Hour
	// mediaLinkLife is how long a video can be fetched from the address that
	// media_get gives. The platform's own figure is not published.
	mediaLinkLife = 2 * time.Hour

	// maxMediaContents is how many bytes of contents an account keeps. Of what comes
	// when they are full only the size is kept, and so many zeros are downloaded.
	maxMediaContents = 64 << 20
	// maxTemporaryMedia is how many temporary files an account keeps: a day's quota of
	// uploads. The oldest are forgotten first.
	maxTemporaryMedia = 100_000
)

// add keeps a file under a new id.
func (s *mediaState) add(m *medium, content []byte) *medium {
	m.id, m.size = randomText(64), len(content)
	if s.kept+m.size <= maxMediaContents {
		m.content = content
		s.kept += m.size
	}
	if s.files == nil {
		s.files = map[string]*medium{}
	}
	s.files[m.id] = m
	return m
}

func (s *mediaState) forget(m *medium) {
	s.kept -= len(m.content)
	delete(s.files, m.id)
}

// addTemporary keeps temporary material. What has expired is remembered for as
// long again, to be told from what never was. p.mu is held.
func (a *Account) addTemporary(kind mediaKind, name string, content []byte) *medium {
	s, now := &a.media, a.p.now()
	for len(s.temporary) > 0 && (len(s.temporary) >= maxTemporaryMedia || now.After(s.temporary[0].until.Add(mediaLife))) {
		s.forget(s.temporary[0])
		s.temporary = s.temporary[1:]
	}
	m := s.add(&medium{kind: kind, name: name, added: now, until: now.Add(mediaLife)}, content)
	s.temporary = append(s.temporary, m)
	return m
}

// addPermanent keeps permanent material. p.mu is held.
func (a *Account) addPermanent(m *medium, content []byte) *medium {
	m.added = a.p.now()
	a.media.add(m, content)
	a.media.permanent = append(a.media.permanent, m)
	return m
}

// articles are those that menus and messages can show: published ones by their
// article_id, drafts by their media_id. p.mu is held.
func (a *Account) articles(id string) []Article {
	if id == "" {
		return nil
	}
	if d := a.drafts.find(id); d != nil {
		return newsBubble(published(d.articles)).Articles
	}
	for _, job := range a.drafts.jobs {
		if job.articleID == id {
			return newsBubble(job.articles).Articles
		}
	}
	return nil
}

// hasMaterial reports whether there is material with that id now. p.mu is held.
func (a *Account) hasMaterial(id string) bool {
	m := a.media.files[id]
	return m != nil && !m.expired(a.p.now())
}

// findMedia finds temporary or permanent material that can be sent now; the
// error is 40007. p.mu is held.
func (a *Account) findMedia(id string, kinds ...mediaKind) (*medium, error) {
	m := a.media.files[id]
	if m == nil || m.expired(a.p.now()) || !slices.Contains(kinds, m.kind) {
		return nil, fail(40007)
	}
	return m, nil
}

// findPermanent is findMedia for permanent material. p.mu is held.
func (a *Account) findPermanent(id string, kinds ...mediaKind) (*medium, error) {
	m, err := a.findMedia(id, kinds...)
	if err == nil && !m.until.IsZero() {
		err = fail(40007)
	}
	return m, err
}

func (m *medium) expired(now time.Time) bool { return !m.until.IsZero() && !now.Before(m.until) }

// bubble is a picture, voice or video as a message.
func (m *medium) bubble() Bubble {
	return Bubble{Kind: string(m.kind), MediaID: m.id, Title: m.title, Description: m.introduction}
}

// file is the file as a download.
func (m *medium) file() file {
	content := m.content
	if content == nil {
		content = make([]byte, m.size)
	}
	return file{name: m.id + path.Ext(m.name), contentType: m.contentType(), content: content}
}

func (m *medium) ext() string { return strings.ToLower(strings.TrimPrefix(path.Ext(m.name), ".")) }

func (m *medium) contentType() string {
	switch ext := m.ext(); ext {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png", "gif", "bmp":
		return "image/" + ext
	case "amr", "mp3", "wma", "wav":
		return "audio/" + ext
	case "speex":
		return "voice/speex"
	case "mp4":
		return "video/mp4"
	}
	return "application/octet-stream"
}

// keepMedia keeps what a follower sent as temporary material and returns its
// MediaId.
func (a *Account) keepMedia(kind mediaKind, name string, content []byte) string {
	a.p.mu.Lock()
	defer a.p.mu.Unlock()
	return a.addTemporary(kind, name, bytes.Clone(content)).id
}

// imageMessage is the message of a follower who sends a picture. p.mu is held.
func (a *Account) imageMessage(content []byte) *oa.ImageMessage {
	m := a.addTemporary(mediaImage, "image.jpg", bytes.Clone(content))
	return &oa.ImageMessage{MediaID: m.id, PicURL: mediaHost + m.path(time.Time{})}
}

// mediaHost is where the platform serves pictures and videos, which a
// [Platform.Client] reaches.
const mediaHost = "http://mmbiz.qpic.cn"

// path is where a file is served, without a token, until a time; zero is for
// good.
func (m *medium) path(until time.Time) string {
	end := "0"
	if !until.IsZero() {
		end = strconv.FormatInt(until.Unix(), 10)
	}
	return fmt.Sprintf("/mmbiz_%s/%s/%s", m.ext(), m.id, end)
}

// mediaAddress is where the caller can fetch a file. A caller that does not come by
// the platform's own names could not resolve those of its pictures: the file is
// then where the call was.
func (c *call) mediaAddress(m *medium, until time.Time) string {
	if strings.HasSuffix(c.r.Host, ".weixin.qq.com") {
		return mediaHost + m.path(until)
	}
	scheme := "http://"
	if c.r.TLS != nil || c.r.URL.Scheme == "https" {
		scheme = "https://"
	}
	return scheme + c.r.Host + m.path(until)
}

// hostedMedia answers for a picture's or video's address; nil where it is none.
func (c *call) hostedMedia() any {
	parts := strings.Split(c.r.URL.Path, "/")
	if len(parts) != 4 || !strings.HasPrefix(parts[1], "mmbiz_") || c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		return nil
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	end, err := strconv.ParseInt(parts[3], 10, 64)
	if err == nil && (end == 0 || c.p.now().Before(time.Unix(end, 0))) {
		for _, a := range c.p.accounts {
			if m := a.media.files[parts[2]]; m != nil {
				return m.file()
			}
		}
	}
	return page{status: http.StatusNotFound, html: "<!doctype html><meta charset=utf-8><title>404</title>链接不存在或已过期 (the link does not exist, or has expired)"}
}

// judgeMedia refuses a reply whose material does not exist, has expired, or is
// of the wrong type (reference §4.4). p.mu is held.
func (a *Account) judgeMedia(v *Verdict, rules *Rules, m oa.Message) {
	if rules.AllowUnknownMedia {
		return
	}
	for _, b := range v.Bubbles {
		if problem := a.mediaProblem(&b); problem != nil {
			*v = rules.refuse(Delivery{Message: m}, problem)
			return
		}
	}
}

// mediaProblem says why the material of a bubble cannot be shown.
func (a *Account) mediaProblem(b *Bubble) *Remark {
	element, id, kinds := "MediaId", b.MediaID, []mediaKind{mediaKind(b.Kind)}
	switch b.Kind {
	case "image", "voice", "video":
	case "music":
		element, id, kinds = "ThumbMediaId", b.ThumbMediaID, coverKinds
	default:
		return nil
	}
	m := a.media.files[id]
	switch {
	case m == nil || m.kind == mediaHosted:
		return remark(RuleMedia, "%s %q 不存在：先上传素材，或用粉丝发来的 MediaId",
			"there is no %s %q: upload the material first, or use what a follower sent", element, clip(id))
	case m.expired(a.p.now()):
		return remark(RuleMedia, "%s %q 已过期：临时素材只能用 3 天，请重新上传",
			"the %s %q has expired: temporary material lasts 3 days, upload it again", element, clip(id))
	case !slices.Contains(kinds, m.kind):
		return remark(RuleMedia, "%s %q 是 %s 素材，这里要 %s", "the %s %q is of type %s, this must be %s", element, clip(id), m.kind, kinds[0])
	}
	return nil
}

// coverKinds are the material that can be a cover: a thumb, or any picture.
var coverKinds = []mediaKind{mediaThumb, mediaImage}
