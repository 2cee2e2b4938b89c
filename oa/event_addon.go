package oa

// Events of add-on products (reference §6.14–§6.16). Values are often
// surrounded by blanks on the wire; they are trimmed here.

// CardCheckEvent: card_pass_check, card_not_pass_check.
type CardCheckEvent struct {
	EventHeader
	CardID       string `xml:"CardId"`
	RefuseReason string `xml:",omitempty"`
}

// UserGetCardEvent: user_get_card.
type UserGetCardEvent struct {
	EventHeader
	CardID              string `xml:"CardId"`
	IsGiveByFriend      int
	UserCardCode        string
	FriendUserName      string
	OuterID             string `xml:"OuterId"`
	OldUserCardCode     string
	OuterStr            string
	IsRestoreMemberCard int
	IsRecommendByFriend int
	UnionID             string `xml:"UnionId"`
}

// UserGiftingCardEvent: user_gifting_card.
type UserGiftingCardEvent struct {
	EventHeader
	CardID         string `xml:"CardId"`
	UserCardCode   string
	IsReturnBack   int
	FriendUserName string
	IsChatRoom     int
}

// UserConsumeCardEvent: user_consume_card.
type UserConsumeCardEvent struct {
	EventHeader
	CardID        string `xml:"CardId"`
	UserCardCode  string
	ConsumeSource string
	LocationName  string
	StaffOpenID   string `xml:"StaffOpenId"`
	VerifyCode    string
	RemarkAmount  string
	OuterStr      string
}

// UserPayFromPayCellEvent: user_pay_from_pay_cell (微信买单).
type UserPayFromPayCellEvent struct {
	EventHeader
	CardID       string `xml:"CardId"`
	UserCardCode string
	TransID      string `xml:"TransId"`
	LocationID   string `xml:"LocationId"`
	Fee          string
	OriginalFee  string
}

// UserCardEvent: user_del_card, user_view_card, user_enter_session_from_card,
// submit_membercard_user_info.
type UserCardEvent struct {
	EventHeader
	CardID       string `xml:"CardId"`
	UserCardCode string
	OuterStr     string `xml:",omitempty"`
}

// UpdateMemberCardEvent: update_member_card.
type UpdateMemberCardEvent struct {
	EventHeader
	CardID        string `xml:"CardId"`
	UserCardCode  string
	ModifyBonus   int64
	ModifyBalance int64
}

// CardSkuRemindEvent: card_sku_remind.
type CardSkuRemindEvent struct {
	EventHeader
	CardID string `xml:"CardId"`
	Detail string
}

// CardPayOrderEvent: card_pay_order.
type CardPayOrderEvent struct {
	EventHeader
	OrderID             string `xml:"OrderId"`
	Status              string
	CreateOrderTime     int64
	PayFinishTime       int64
	Desc                string
	FreeCoinCount       string
	PayCoinCount        string
	RefundFreeCoinCount string
	RefundPayCoinCount  string
	OrderType           string
	Memo                string
	ReceiptInfo         string
}

// CardMerchantCheckEvent: card_merchant_check_result.
type CardMerchantCheckEvent struct {
	EventHeader
	MerchantID string `xml:"MerchantId"`
	IsPass     int
	Reason     string
}

// GiftCardEvent: giftcard_pay_done, giftcard_send_to_friend, giftcard_user_accept.
type GiftCardEvent struct {
	EventHeader
	PageID       string `xml:"PageId"`
	OrderID      string `xml:"OrderId"`
	IsChatRoom   int
	IsReturnBack int
}

// UserAuthorizeInvoiceEvent: user_authorize_invoice.
type UserAuthorizeInvoiceEvent struct {
	EventHeader
	SuccOrderID string `xml:"SuccOrderId"`
	FailOrderID string `xml:"FailOrderId"`
	AppID       string `xml:"AppId" alt:"AuthorizeAppId"`
	Source      string `alt:"source"`
}

// UpdateInvoiceStatusEvent: update_invoice_status.
type UpdateInvoiceStatusEvent struct {
	EventHeader
	Status string // INVOICE_REIMBURSE_INIT, …
	CardID string `xml:"CardId"`
	Code   string
}

// CloudInvoiceResultEvent: cloud_invoice_invoiceresult_event.
type CloudInvoiceResultEvent struct {
	EventHeader
	RequestID string `xml:"fpqqlsh"`
	Status    string `xml:"status"`
	TaxNo     string `xml:"nsrsbh"`
}

// SubmitInvoiceTitleEvent: submit_invoice_title.
type SubmitInvoiceTitleEvent struct {
	EventHeader
	Title     string `xml:"title"`
	TaxNo     string `xml:"tax_no"`
	Addr      string `xml:"addr"`
	Phone     string `xml:"phone"`
	BankType  string `xml:"bank_type"`
	BankNo    string `xml:"bank_no"`
	Attach    string `xml:"attach"`
	TitleType string `xml:"title_type"`
}

// PoiCheckEvent: poi_check_notify (门店审核).
type PoiCheckEvent struct {
	EventHeader
	UniqID string `xml:"UniqId"` // the merchant's own id
	PoiID  string `xml:"PoiId"`
	Result string // succ, fail
	Msg    string `xml:"msg" alt:"Msg"`
}

// MapPoiAuditEvent: create_map_poi_audit_info (门店小程序).
type MapPoiAuditEvent struct {
	EventHeader
	AuditID   string `xml:"audit_id"`
	Status    string `xml:"status"`
	MapPoiID  string `xml:"map_poi_id"`
	Name      string `xml:"name"`
	Address   string `xml:"address"`
	Latitude  string `xml:"latitude"`
	Longitude string `xml:"longitude"`
	Remark    string `xml:"sh_remark"`
}

// WifiConnectedEvent: WifiConnected.
type WifiConnectedEvent struct {
	EventHeader
	ConnectTime int64
	ExpireTime  int64
	VendorID    string `xml:"VendorId"`
	PlaceID     string `xml:"PlaceId"` // the shop
	DeviceNo    string // BSSID
}

// Beacon is one device of a [ShakeEvent].
type Beacon struct {
	UUID     string `xml:"Uuid"`
	Major    int
	Minor    int
	Distance float64 // metres
}

// ShakeEvent: ShakearoundUserShake.
type ShakeEvent struct {
	EventHeader
	Chosen Beacon `xml:"ChosenBeacon"`
	Around struct {
		Beacons []Beacon `xml:"AroundBeacon"`
	} `xml:"AroundBeacons"`
}

// ScanProductEvent: user_scan_product, user_scan_product_enter_session,
// user_scan_product_async, user_scan_product_verify_action; each has a part of
// the fields.
type ScanProductEvent struct {
	EventHeader
	KeyStandard string
	KeyStr      string
	Country     string
	Province    string
	City        string
	Sex         string
	Scene       string
	ExtInfo     string
	RegionCode  string
	Result      string
	ReasonMsg   string
}

// MerchantOrderEvent: merchant_order (旧微信小店).
type MerchantOrderEvent struct {
	EventHeader
	OrderID     string `xml:"OrderId"`
	OrderStatus int    // 2 is paid
	ProductID   string `xml:"ProductId"`
	SkuInfo     string
}

// GuideScanEvent: guide_qrcode_scan_event.
type GuideScanEvent struct {
	EventHeader
	Scan struct {
		GuideAccount string `xml:"qrcode_guide_account"`
		GuideOpenID  string `xml:"qrcode_guide_openid"`
		OpenID       string `xml:"openid"`
		Action       int    `xml:"action"` // 1 invalid guide, 2 bound now, 3 already bound, 4 bound to another
		QRCodeInfo   string `xml:"qrcode_info"`
	} `xml:"GuideScanEvent"`
}

// GuideInviteEvent: guide_invite_result_event.
type GuideInviteEvent struct {
	EventHeader
	Invite struct {
		GuideAccount string `xml:"guide_account"`
		GuideOpenID  string `xml:"guide_openid,omitempty"`
		Result       int    `xml:"invite_result"` // 1 is accepted
	} `xml:"GuideInviteEvent"`
}
