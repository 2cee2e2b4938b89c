package oa

// Info is a push of a third-party platform's authorisation URL (第三方平台
// 授权事件, reference §6.17). The answer is always `success`.
type Info interface {
	Message
	InfoHead() *InfoHeader
}

// InfoHeader has the elements of every such push. They have no follower: the
// embedded header is empty but for CreateTime.
type InfoHeader struct {
	Header   `xml:"-"`
	AppID    string `xml:"AppId"` // the component
	Time     int64  `xml:"CreateTime"`
	InfoType string
}

// InfoHead returns the header itself.
func (h *InfoHeader) InfoHead() *InfoHeader { return h }

func (h *InfoHeader) derive() { h.CreateTime = h.Time }

// ComponentVerifyTicket: component_verify_ticket, every 10 minutes; a ticket
// is valid for 12 hours.
type ComponentVerifyTicket struct {
	InfoHeader
	Ticket string `xml:"ComponentVerifyTicket"`
}

// Authorized: authorized and updateauthorized.
type Authorized struct {
	InfoHeader
	AuthorizerAppID string `xml:"AuthorizerAppid"`
	Code            string `xml:"AuthorizationCode"`
	CodeExpires     int64  `xml:"AuthorizationCodeExpiredTime"` // Unix seconds
	PreAuthCode     string
}

// Unauthorized: unauthorized.
type Unauthorized struct {
	InfoHeader
	AuthorizerAppID string `xml:"AuthorizerAppid"`
}

// FastRegister: notify_third_fasteregister, notify_third_fastregisterbetaapp
// and notify_third_fastverifybetaapp.
type FastRegister struct {
	InfoHeader
	NewAppID string `xml:"appid"` // only on success
	Status   int    `xml:"status"`
	AuthCode string `xml:"auth_code"`
	Msg      string `xml:"msg"`
	Info     struct {
		Name               string `xml:"name"`
		Code               string `xml:"code"`
		CodeType           int    `xml:"code_type"`
		LegalPersonaWechat string `xml:"legal_persona_wechat"`
		LegalPersonaName   string `xml:"legal_persona_name"`
		ComponentPhone     string `xml:"component_phone"`
		WxUser             string `xml:"wxuser,omitempty"`
		IDName             string `xml:"idname,omitempty"`
		UniqueID           string `xml:"unique_id,omitempty"`
	} `xml:"info"`
}

// UnknownInfo is a push of an InfoType not listed here.
type UnknownInfo struct {
	InfoHeader
	Elements []Element `xml:"-"` // all of them, in order
}

func (i *UnknownInfo) elements() []Element { return i.Elements }
