package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wenzihq/wenzi/catalogue"
)

// Kind is the kind of an account, which decides what it may do (reference §9.1).
type Kind string

// The kinds of accounts.
const (
	Subscription          Kind = "subscription"           // 未认证订阅号, all personal accounts
	CertifiedSubscription Kind = "certified_subscription" // 已认证订阅号
	Service               Kind = "service"                // 未认证服务号
	CertifiedService      Kind = "certified_service"      // 已认证服务号
	TestAccount           Kind = "test"                   // 接口测试号: nearly everything, with smaller quotas
)

// Kinds lists all kinds.
var Kinds = []Kind{Subscription, CertifiedSubscription, Service, CertifiedService, TestAccount}

// Right is a row of the matrix 接口权限说明 (reference §9.1).
type Right string

// The rights. What is in no row is up to the catalogue.
const (
	RightMenu              Right = "menu"               // custom menu by API
	RightCustomerService   Right = "customer_service"   // customer-service messages
	RightMass              Right = "mass"               // mass send by API
	RightMaterial          Right = "material"           // temporary and permanent media, drafts
	RightUser              Right = "user"               // followers, tags, blacklist
	RightTemplate          Right = "template"           // template messages
	RightSubscriptionNotes Right = "subscription_notes" // subscription notices (订阅通知)
	RightQRCode            Right = "qrcode"             // QR codes with parameters
	RightLocation          Right = "location"           // LOCATION events
	RightOAuth             Right = "oauth"              // web OAuth
	RightJSSDK             Right = "jssdk"              // JS-SDK
	RightTransfer          Right = "transfer"           // transfer to agents
	RightPublish           Right = "publish"            // publishing (发布能力)
)

// matrix is reference §9.1; who is not listed may not. The publish row is the
// change of July 2025.
var matrix = map[Right][]Kind{
	RightMenu:              {CertifiedSubscription, Service, CertifiedService, TestAccount},
	RightCustomerService:   {CertifiedSubscription, CertifiedService, TestAccount},
	RightMass:              {CertifiedSubscription, CertifiedService, TestAccount},
	RightMaterial:          {CertifiedSubscription, CertifiedService, TestAccount},
	RightUser:              {CertifiedSubscription, CertifiedService, TestAccount},
	RightTemplate:          {CertifiedService, TestAccount},
	RightSubscriptionNotes: {CertifiedService, TestAccount},
	RightQRCode:            {CertifiedService, TestAccount},
	RightLocation:          {CertifiedService, TestAccount},
	RightOAuth:             {CertifiedService, TestAccount},
	RightJSSDK:             {CertifiedSubscription, CertifiedService, TestAccount},
	RightTransfer:          {CertifiedSubscription, CertifiedService},
	RightPublish:           {CertifiedSubscription, CertifiedService},
}

// rows says which right the endpoints of a chapter of the catalogue need.
var rows = map[string]Right{
	"menu":               RightMenu,
	"message-custom":     RightCustomerService,
	"customservice":      RightCustomerService,
	"kf-session":         RightCustomerService,
	"message-mass":       RightMass,
	"material-permanent": RightMaterial,
	"media-temporary":    RightMaterial,
	"draft":              RightMaterial,
	"user":               RightUser,
	"tags":               RightUser,
	"blacklist":          RightUser,
	"message-template":   RightTemplate,
	"message-subscribe":  RightSubscriptionNotes,
	"qrcode":             RightQRCode,
	"oauth":              RightOAuth,
	"jssdk":              RightJSSDK,
	"freepublish":        RightPublish,
}

// ParseKind finds a kind by its name.
func ParseKind(s string) (Kind, error) {
	k := Kind(s)
	if !slices.Contains(Kinds, k) {
		names := make([]string, len(Kinds))
		for i, k := range Kinds {
			names[i] = string(k)
		}
		return "", fmt.Errorf("sim: there is no kind of account %q: use one of %s", s, strings.Join(names, ", "))
	}
	return k, nil
}

func (k Kind) certified() bool { return k != Subscription && k != Service }

// has reports whether the account has a right, by its kind or because its cell
// of the matrix was changed.
func (a *Account) has(r Right) bool {
	if allowed, changed := a.config.Rights[r]; changed {
		return allowed
	}
	return slices.Contains(matrix[r], a.config.Kind)
}

// may reports whether the account may call an endpoint.
func (a *Account) may(e *catalogue.Endpoint) bool {
	if r, ok := rows[e.Area().Name]; ok && e.ID != "menu_self_menu_info" {
		return a.has(r)
	}
	who := e.Account.Service
	if a.config.Kind == Subscription || a.config.Kind == CertifiedSubscription {
		who = e.Account.Subscription
	}
	switch who {
	case "no":
		return a.config.Kind == TestAccount
	case "verified":
		return a.config.Kind.certified()
	}
	return true
}
