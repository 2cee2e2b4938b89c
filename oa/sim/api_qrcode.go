package sim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/wenzihq/wenzi/oa"
)

var codeHandlers = map[string]handler{
	"qrcode_create": codeCreate,
	"qrcode_show":   codeShow,
}

// The limits of reference api-rules §16.
const (
	codeExpires      = 60      // seconds, where nothing is said
	codeExpiresMost  = 2592000 // seconds, 30 days
	codeScenePerm    = 100000  // the highest scene_id of a permanent code
	codeSceneTemp    = 1<<32 - 1
	codeSceneRunes   = 64
	codePermanentMax = 100000 // permanent codes of an account
)

// codeState are the QR codes of an account.
type codeState struct {
	byTicket  map[string]*qrCode
	permanent map[qrScene]*qrCode
	all       []*qrCode // in the order they were made
}

// qrScene is the scene of a code: scene_str where text, otherwise scene_id.
type qrScene struct {
	value string
	text  bool
}

type qrCode struct {
	qrScene
	ticket, url string
	expires     time.Time // zero for a permanent code
}

func (q *qrCode) expired(now time.Time) bool { return !q.expires.IsZero() && !now.Before(q.expires) }

// create returns a new code, or the permanent one that the scene has already.
func (s *codeState) create(scene qrScene, expires time.Time) (*qrCode, error) {
	if s.byTicket == nil {
		s.byTicket, s.permanent = map[string]*qrCode{}, map[qrScene]*qrCode{}
	}
	if expires.IsZero() {
		if q := s.permanent[scene]; q != nil {
			return q, nil
		}
		if len(s.permanent) >= codePermanentMax {
			return nil, failf(45009, "reach max number of permanent qrcodes: %d", codePermanentMax)
		}
	}
	// As real ones it must be encoded in a URL.
	q := &qrCode{qrScene: scene, ticket: "gQ" + randomText(40) + "+/" + randomText(50) + "==", url: "http://weixin.qq.com/q/02" + randomText(20), expires: expires}
	s.byTicket[q.ticket] = q
	s.all = append(s.all, q)
	if expires.IsZero() {
		s.permanent[scene] = q
	}
	return q, nil
}

// find finds a code by its ticket, its content, or its scene: the latest one,
// if it can be one that has not expired.
func (s *codeState) find(what string, now time.Time) *qrCode {
	if q := s.byTicket[what]; q != nil {
		return q
	}
	var expired *qrCode
	for _, q := range slices.Backward(s.all) {
		switch {
		case q.value != what && q.url != what:
		case !q.expired(now):
			return q
		case expired == nil:
			expired = q
		}
	}
	return expired
}

func codeCreate(c *call) (any, error) {
	var req struct {
		ExpireSeconds int64  `json:"expire_seconds"`
		ActionName    string `json:"action_name"`
		ActionInfo    struct {
			Scene struct {
				SceneID  int64  `json:"scene_id"`
				SceneStr string `json:"scene_str"`
			} `json:"scene"`
		} `json:"action_info"`
	}
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	id, text := req.ActionInfo.Scene.SceneID, req.ActionInfo.Scene.SceneStr
	highest, temporary := int64(0), false
	switch req.ActionName {
	case "QR_SCENE":
		highest, temporary = codeSceneTemp, true
	case "QR_STR_SCENE":
		temporary = true
	case "QR_LIMIT_SCENE":
		highest = codeScenePerm
	case "QR_LIMIT_STR_SCENE":
	default:
		return nil, fail(40052)
	}
	scene := qrScene{value: text, text: true}
	switch {
	case highest == 0 && (id != 0 || text == "" || utf8.RuneCountInString(text) > codeSceneRunes):
		return nil, failf(40053, "invalid action info: scene_str has 1 to %d characters", codeSceneRunes)
	case highest > 0 && (text != "" || id < 1 || id > highest):
		return nil, failf(40053, "invalid action info: scene_id is between 1 and %d", highest)
	case highest > 0:
		scene = qrScene{value: strconv.FormatInt(id, 10)}
	}
	var expires time.Time
	if temporary {
		if req.ExpireSeconds == 0 {
			req.ExpireSeconds = codeExpires
		}
		if req.ExpireSeconds < 0 || req.ExpireSeconds > codeExpiresMost {
			return nil, failf(40053, "invalid expire_seconds: at most %d", codeExpiresMost)
		}
		expires = c.p.now().Add(time.Duration(req.ExpireSeconds) * time.Second)
	}
	q, err := c.account.codes.create(scene, expires)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"ticket": q.ticket, "url": q.url}
	if temporary {
		answer["expire_seconds"] = req.ExpireSeconds
	}
	return answer, nil
}

// codeShow is the picture of a ticket, which needs no token. A ticket that is
// unknown or has expired is HTTP 404 (reference api-rules §3).
func codeShow(c *call) (any, error) {
	ticket := c.query.Get("ticket")
	for _, a := range c.p.accounts {
		if q := a.codes.byTicket[ticket]; q != nil && !q.expired(c.p.now()) {
			return file{name: "qrcode.jpg", contentType: "image/jpg", content: codePicture(ticket)}, nil
		}
	}
	return page{status: http.StatusNotFound, html: "<!doctype html><meta charset=utf-8><title>404</title>"}, nil
}

// Scan scans a QR code that the account has made by its API. code is the
// ticket, what the code contains, or the scene, of which the latest code is
// scanned. Who follows sends SCAN, who does not follows by it and sends
// subscribe with qrscene_ (reference §6.1, §6.2). An expired or unknown code is
// an error.
func (f *Follower) Scan(code string) (*Sent, error) {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	q := f.account.codes.find(code, p.now())
	if q == nil {
		return nil, fmt.Errorf("账号没有这个二维码：%q 不是 ticket，也不是场景值；先用 qrcode_create 生成，或用 ScanScene（the account has no QR code with ticket or scene %[1]q: make one by qrcode_create, or use ScanScene）", code)
	}
	if q.expired(p.now()) {
		return nil, fmt.Errorf("二维码已过期，场景值 %q：请重新生成（the QR code of scene %[1]q has expired: make a new one）", q.value)
	}
	return f.scanned(q.value, q.ticket), nil
}

// ScanScene is [Follower.Scan] for a code that nobody has made: it sends the
// event of that scene, with a ticket that has no picture.
func (f *Follower) ScanScene(scene string) *Sent {
	p := f.account.p
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.scanned(scene, "gQ"+randomText(94))
}

// scanned sends the event of a code. p.mu is held.
func (f *Follower) scanned(scene, ticket string) *Sent {
	scan := &oa.ScanEvent{Scene: scene, Ticket: ticket}
	scan.Event = "SCAN"
	switch {
	case !f.account.has(RightQRCode):
		return f.undelivered(scan, remark(RuleNotPushed, "账号没有带参数二维码的权限", "the account has no right to QR codes with parameters"))
	case f.following:
		return f.act(scan)
	}
	return f.subscribeLocked(&oa.SubscribeEvent{EventKey: "qrscene_" + scene, Ticket: ticket, Scene: scene})
}
