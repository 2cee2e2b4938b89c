package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"github.com/wenzihq/wenzi/oa/api"
)

var mediaHandlers = map[string]handler{
	"media_upload":       mediaUpload,
	"media_get":          mediaGet,
	"media_get_hd_voice": mediaGetHDVoice,
	"media_upload_image": mediaUploadImage,
	"material_add":       materialAdd,
	"material_get":       materialGet,
	"material_delete":    materialDelete,
	"material_count":     materialCount,
	"material_list":      materialList,
}

// uploadKinds are the values of the query parameter type.
var uploadKinds = []mediaKind{mediaImage, mediaVoice, mediaVideo, mediaThumb}

// mediaFile reads the file of an upload, which was held against the catalogue's
// sizes and types before.
func (c *call) mediaFile() (mediaKind, upload, error) {
	kind := mediaKind(c.query.Get("type"))
	if !slices.Contains(uploadKinds, kind) {
		return "", upload{}, fail(40004)
	}
	u, err := c.upload("media")
	if err == nil && kind == mediaVoice && amrDuration(u.content) > time.Minute {
		err = fail(45007)
	}
	return kind, u, err
}

func mediaUpload(c *call) (any, error) {
	kind, u, err := c.mediaFile()
	if err != nil {
		return nil, err
	}
	m := c.account.addTemporary(kind, u.name, u.content)
	answer := api.MediaUploadResponse{Type: string(kind), CreatedAt: m.added.Unix()}
	if kind == mediaThumb {
		answer.ThumbMediaID = m.id
	} else {
		answer.MediaID = m.id
	}
	return answer, nil
}

// temporaryMedia finds the temporary material of a download.
func (c *call) temporaryMedia(kinds ...mediaKind) (*medium, error) {
	m, err := c.account.findMedia(c.query.Get("media_id"), kinds...)
	if err == nil && m.until.IsZero() {
		err = fail(40007)
	}
	return m, err
}

func mediaGet(c *call) (any, error) {
	m, err := c.temporaryMedia(uploadKinds...)
	switch {
	case err != nil:
		return nil, err
	case m.kind == mediaVideo:
		return api.MediaGetResponse{VideoURL: c.mediaAddress(m, c.p.now().Add(mediaLinkLife))}, nil
	}
	return m.file(), nil
}

// mediaGetHDVoice gives any voice as Speex: nothing is converted, it is the same
// bytes by another name.
func mediaGetHDVoice(c *call) (any, error) {
	m, err := c.temporaryMedia(mediaVoice)
	if err != nil {
		return nil, err
	}
	f := m.file()
	f.name, f.contentType = m.id+".speex", "voice/speex"
	return f, nil
}

func mediaUploadImage(c *call) (any, error) {
	u, err := c.upload("media")
	if err != nil {
		return nil, err
	}
	return api.MediaUploadImageResponse{URL: c.mediaAddress(c.account.hostMedia(u), time.Time{})}, nil
}

// hostMedia keeps a picture that has an address only. p.mu is held.
func (a *Account) hostMedia(u upload) *medium {
	return a.media.add(&medium{kind: mediaHosted, name: u.name, added: a.p.now()}, u.content)
}

// materialStock is the most permanent material of a kind.
func materialStock(kind mediaKind) int {
	if kind == mediaImage {
		return 100_000
	}
	return 1000
}

func materialAdd(c *call) (any, error) {
	kind, u, err := c.mediaFile()
	if err != nil {
		return nil, err
	}
	m := &medium{kind: kind, name: u.name}
	if kind == mediaVideo {
		if m.title, m.introduction, err = c.videoDescription(); err != nil {
			return nil, err
		}
	}
	if len(c.account.materialOf(kind)) >= materialStock(kind) {
		return nil, failf(45009, "reach max material count limit")
	}
	c.account.addPermanent(m, u.content)
	answer := api.MaterialAddResponse{MediaID: m.id}
	if kind == mediaImage {
		answer.URL = c.mediaAddress(m, time.Time{})
	}
	return answer, nil
}

// videoDescription reads the form part that a permanent video needs.
func (c *call) videoDescription() (title, introduction string, err error) {
	form, err := c.form()
	if err != nil {
		return "", "", err
	}
	var d struct{ Title, Introduction string }
	switch text := form.Value["description"]; {
	case len(text) == 0:
		return "", "", failf(40035, "missing parameter: description")
	case json.Unmarshal([]byte(text[0]), &d) != nil:
		return "", "", failf(47001, "data format error: description")
	case d.Title == "":
		return "", "", failf(40035, "missing parameter: title")
	}
	return d.Title, d.Introduction, nil
}

// materialOf lists the permanent material of a kind, oldest first. p.mu is held.
func (a *Account) materialOf(kind mediaKind) []*medium {
	return slices.DeleteFunc(slices.Clone(a.media.permanent), func(m *medium) bool { return m.kind != kind })
}

// permanentMedia finds the permanent material that the body names.
func (c *call) permanentMedia() (*medium, error) {
	var req api.MaterialGetRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	return c.account.findPermanent(req.MediaID, uploadKinds...)
}

func materialGet(c *call) (any, error) {
	m, err := c.permanentMedia()
	switch {
	case err != nil:
		return nil, err
	case m.kind == mediaVideo:
		return api.MaterialGetResponse{Title: m.title, Description: m.introduction, DownURL: c.mediaAddress(m, c.p.now().Add(mediaLinkLife))}, nil
	}
	return m.file(), nil
}

func materialDelete(c *call) (any, error) {
	m, err := c.permanentMedia()
	if err != nil {
		return nil, err
	}
	if c.account.menus.uses(m.id) {
		return nil, fail(48005)
	}
	s := &c.account.media
	s.forget(m)
	s.permanent = slices.DeleteFunc(s.permanent, func(n *medium) bool { return n == m })
	return nil, nil
}

func materialCount(c *call) (any, error) {
	count := func(kind mediaKind) int { return len(c.account.materialOf(kind)) }
	return api.MaterialCountResponse{VoiceCount: count(mediaVoice), VideoCount: count(mediaVideo), ImageCount: count(mediaImage)}, nil
}

// materialList pages through the material of a kind, newest first. Articles are
// drafts nowadays: there is no material of them.
func materialList(c *call) (any, error) {
	var req api.MaterialListRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains([]string{"image", "voice", "video", "news"}, req.Type):
		return nil, fail(40004)
	case req.Offset < 0 || req.Count < 1 || req.Count > 20:
		return nil, failf(40035, "count must be between 1 and 20, offset at least 0")
	}
	all := c.account.materialOf(mediaKind(req.Type))
	slices.Reverse(all)
	answer := api.MaterialListResponse{TotalCount: len(all), Item: []api.MaterialItem{}}
	page := all[min(req.Offset, len(all)):]
	for _, m := range page[:min(req.Count, len(page))] {
		item := api.MaterialItem{MediaID: m.id, Name: m.name, UpdateTime: m.added.Unix()}
		if m.kind == mediaImage {
			item.URL = c.mediaAddress(m, time.Time{})
		}
		answer.Item = append(answer.Item, item)
	}
	answer.ItemCount = len(answer.Item)
	return answer, nil
}

// amrDuration is the playing time of an AMR file, whose frames of 20 ms each say
// their size; 0 of anything else.
func amrDuration(content []byte) time.Duration {
	rest, ok := bytes.CutPrefix(content, []byte("#!AMR\n"))
	if !ok {
		return 0
	}
	sizes := [16]int{13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1}
	frames := 0
	for len(rest) > 0 {
		rest = rest[min(sizes[rest[0]>>3&15], len(rest)):]
		frames++
	}
	return time.Duration(frames) * 20 * time.Millisecond
}
