package oa

import (
	"strconv"
	"strings"
)

// Event is a message of MsgType "event".
type Event interface {
	Message
	EventHead() *EventHeader
}

// EventHeader has the elements of every event (reference §6). Events have no
// MsgId. Event names differ in case without system; compare them with
// [strings.EqualFold] or use a [Mux].
type EventHeader struct {
	Header
	Event string
}

// EventHead returns the header itself.
func (h *EventHeader) EventHead() *EventHeader { return h }

// SubscribeEvent: somebody follows the account (reference §6.1).
type SubscribeEvent struct {
	EventHeader
	EventKey string // as delivered; use Scene or TradeNo
	Ticket   string `xml:",omitempty"` // of the QR code
	// Scene is the value of the QR code that was scanned, without "qrscene_".
	Scene string `xml:"-"`
	// TradeNo is the transaction of the payment page the follower came from.
	TradeNo string `xml:"-"`
}

func (e *SubscribeEvent) derive() {
	if scene, ok := strings.CutPrefix(e.EventKey, "qrscene_"); ok {
		e.Scene = scene
	} else if no, ok := strings.CutPrefix(e.EventKey, "last_trade_no_"); ok {
		e.TradeNo = no
	}
}

func (e *SubscribeEvent) routeKey() string { return e.Scene }

// UnsubscribeEvent: a follower left. Nothing can be sent any more, and the
// platform's rules ask to delete the follower's data (reference §6.1).
type UnsubscribeEvent struct {
	EventHeader
	EventKey string
}

// ScanEvent: a follower scanned a QR code with parameters (reference §6.2).
type ScanEvent struct {
	EventHeader
	Scene  string `xml:"EventKey"`
	Ticket string
}

func (e *ScanEvent) routeKey() string { return e.Scene }

// LocationEvent reports where the follower is, on entering the chat or every 5
// seconds (reference §6.3).
type LocationEvent struct {
	EventHeader
	Latitude  float64
	Longitude float64
	Precision float64
}

// ClickEvent: a menu button of type click (reference §6.4).
type ClickEvent struct {
	EventHeader
	Key string `xml:"EventKey"` // the button's key, at most 128 bytes
}

func (e *ClickEvent) routeKey() string { return e.Key }

// ViewEvent: a menu button of type view opened its page. No reply is shown.
type ViewEvent struct {
	EventHeader
	URL    string `xml:"EventKey"`
	MenuID int64  `xml:"MenuId,omitempty"`
}

func (e *ViewEvent) routeKey() string { return e.URL }

// ViewMiniProgramEvent: a menu button opened a mini program. No reply is shown.
type ViewMiniProgramEvent struct {
	EventHeader
	Page   string `xml:"EventKey"`
	MenuID int64  `xml:"MenuId,omitempty"`
}

func (e *ViewMiniProgramEvent) routeKey() string { return e.Page }

// ScanCodeEvent: the scanner buttons scancode_push and scancode_waitmsg.
type ScanCodeEvent struct {
	EventHeader
	Key  string `xml:"EventKey"`
	Code struct {
		Type   string `xml:"ScanType"` // "qrcode", "barcode"
		Result string `xml:"ScanResult"`
	} `xml:"ScanCodeInfo"`
}

func (e *ScanCodeEvent) routeKey() string { return e.Key }

// PicEvent: the picture buttons pic_sysphoto, pic_photo_or_album and
// pic_weixin. The pictures follow as image messages.
type PicEvent struct {
	EventHeader
	Key  string `xml:"EventKey"`
	Pics struct {
		Count int
		List  struct {
			Items []struct {
				MD5 string `xml:"PicMd5Sum"`
			} `xml:"item"`
		} `xml:"PicList"`
	} `xml:"SendPicsInfo"`
}

func (e *PicEvent) routeKey() string { return e.Key }

// LocationSelectEvent: the location button. A location message follows.
type LocationSelectEvent struct {
	EventHeader
	Key      string `xml:"EventKey"`
	Location struct {
		Latitude  string `xml:"Location_X"`
		Longitude string `xml:"Location_Y"`
		Scale     string
		Label     string
		PoiName   string `xml:"Poiname"`
	} `xml:"SendLocationInfo"`
}

func (e *LocationSelectEvent) routeKey() string { return e.Key }

// MassSendJobFinishEvent: a mass send (群发) is nearly done; the counts are
// approximate (reference §6.5).
type MassSendJobFinishEvent struct {
	EventHeader
	MsgID       int64
	Status      string // "send success", "send fail", "err(10001)", …
	TotalCount  int
	FilterCount int
	SentCount   int
	ErrorCount  int
	Copyright   struct {
		Count   int
		Results struct {
			Items []CopyrightResult `xml:"item"`
		} `xml:"ResultList"`
		CheckState int // 1 no reprint, 2 reprint that may be sent, 3 may not
	} `xml:"CopyrightCheckResult,omitempty"`
	Articles struct {
		Count   int
		Results struct {
			Items []struct {
				Index int    `xml:"ArticleIdx"`
				URL   string `xml:"ArticleUrl"`
			} `xml:"item"`
		} `xml:"ResultList"`
	} `xml:"ArticleUrlResult,omitempty"`
}

func (e *MassSendJobFinishEvent) jobKey() string { return jobKey(e.MsgID) }

// jobKey is the job's id as part of [Request.Key], "" where there is none.
func jobKey(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

// CopyrightResult is the originality check of one article of a mass send.
type CopyrightResult struct {
	Index                 int `xml:"ArticleIdx"` // from 1
	UserDeclareState      int
	AuditState            int
	OriginalArticleURL    string `xml:"OriginalArticleUrl"`
	OriginalArticleType   int
	CanReprint            int
	NeedReplaceContent    int
	NeedShowReprintSource int
}

// TemplateSendJobFinishEvent: the result of one template message (reference §6.6).
type TemplateSendJobFinishEvent struct {
	EventHeader
	MsgID  int64
	Status string // "success", "failed:user block", "failed: system failed"
}

func (e *TemplateSendJobFinishEvent) jobKey() string { return jobKey(e.MsgID) }

// PublishJobFinishEvent: the result of a publish job (发布, reference §6.7).
type PublishJobFinishEvent struct {
	EventHeader
	Result struct {
		PublishID string `xml:"publish_id"`
		Status    int    `xml:"publish_status"` // 0 success, 1 publishing, 2… failed
		ArticleID string `xml:"article_id,omitempty"`
		Articles  struct {
			Count int `xml:"count"`
			Items []struct {
				Index int    `xml:"idx"`
				URL   string `xml:"article_url"`
			} `xml:"item"`
		} `xml:"article_detail,omitempty"`
		FailIndex []int `xml:"fail_idx"` // from 1
	} `xml:"PublishEventInfo"`
}

// jobKey has the status too: what was published is reported again when it is
// deleted or banned later.
func (e *PublishJobFinishEvent) jobKey() string {
	if e.Result.PublishID == "" {
		return ""
	}
	return e.Result.PublishID + "/" + strconv.Itoa(e.Result.Status)
}

// SubscribeMsgPopupEvent: a follower chose in the popup of a subscription
// notice (订阅通知, reference §6.8).
type SubscribeMsgPopupEvent struct {
	EventHeader
	Popup struct {
		List []struct {
			TemplateID string `xml:"TemplateId"`
			Status     string `xml:"SubscribeStatusString"` // accept, reject
			Scene      string `xml:"PopupScene"`            // 1 page, 2 article
		}
	} `xml:"SubscribeMsgPopupEvent"`
}

// SubscribeMsgChangeEvent: a follower changed a subscription in the settings.
type SubscribeMsgChangeEvent struct {
	EventHeader
	Change struct {
		List []struct {
			TemplateID string `xml:"TemplateId"`
			Status     string `xml:"SubscribeStatusString"`
		}
	} `xml:"SubscribeMsgChangeEvent" alt:"SubscribeMsgPopupEvent"`
}

// SubscribeMsgSentEvent: the result of sending a subscription notice.
type SubscribeMsgSentEvent struct {
	EventHeader
	Sent struct {
		List []struct {
			TemplateID  string `xml:"TemplateId"`
			MsgID       int64
			ErrorCode   int // 0 is ok
			ErrorStatus string
		}
	} `xml:"SubscribeMsgSentEvent"`
}

// KfSessionEvent: kf_create_session and kf_close_session (客服会话, reference §6.9).
type KfSessionEvent struct {
	EventHeader
	KfAccount string // prefix@account
}

// KfSwitchSessionEvent: a session went from one agent to another.
type KfSwitchSessionEvent struct {
	EventHeader
	FromKfAccount string
	ToKfAccount   string
}

// CertificationEvent: qualification_verify_success and _fail,
// naming_verify_success and _fail, annual_renew, verify_expired (微信认证,
// reference §6.10). Times are Unix seconds.
type CertificationEvent struct {
	EventHeader
	ExpiredTime int64  `xml:",omitempty"`
	FailTime    int64  `xml:",omitempty"`
	FailReason  string `xml:",omitempty"`
}

// UserDataEvent: user_info_modified, user_authorization_revoke and
// user_authorization_cancellation, which oblige the account to refresh or
// delete data (reference §6.11). The user is OpenID, not FromUserName.
type UserDataEvent struct {
	EventHeader
	OpenID     string `alt:"openid"`
	UnionID    string `xml:",omitempty" alt:"unionid"`
	AppID      string `alt:"appid"`
	RevokeInfo string `xml:",omitempty"`
}

// DebugEvent is sent by the platform's push-debug tool (reference §6.12).
type DebugEvent struct {
	EventHeader
	DebugStr string `xml:"debug_str"`
}

// MediaCheckEvent is the result of an asynchronous content check
// (wxa_media_check, reference §6.13).
type MediaCheckEvent struct {
	EventHeader
	AppID   string `xml:"appid"`
	TraceID string `xml:"trace_id"`
	Version int    `xml:"version"`
	Detail  []struct {
		Strategy string `xml:"strategy"`
		ErrCode  int    `xml:"errcode"`
		Suggest  string `xml:"suggest"` // pass, review, risky
		Label    int    `xml:"label"`
		Prob     int    `xml:"prob"`
	} `xml:"detail"`
	ErrCode int    `xml:"errcode"`
	ErrMsg  string `xml:"errmsg"`
	Result  struct {
		Suggest string `xml:"suggest"`
		Label   int    `xml:"label"`
	} `xml:"result"`
	IsRisky    int   `xml:"isrisky,omitempty"`     // version 1
	StatusCode int64 `xml:"status_code,omitempty"` // version 1
}

// UnknownEvent is an event not listed here: new ones appear without notice.
type UnknownEvent struct {
	EventHeader
	EventKey string
	Elements []Element `xml:"-"` // all of them, in order
}

func (e *UnknownEvent) elements() []Element { return e.Elements }
func (e *UnknownEvent) routeKey() string    { return e.EventKey }
