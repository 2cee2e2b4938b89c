package api

import (
	"errors"
	"fmt"
	"net/url"
)

// Limits of a menu, in bytes and buttons (catalogue/api/menu.yaml).
const (
	maxButtons       = 3
	maxSubButtons    = 5
	maxButtonName    = 16
	maxSubButtonName = 60
	maxButtonKey     = 128
	maxButtonURL     = 1024
)

// ClickButton sends the event CLICK with a key.
func ClickButton(name, key string) MenuButton {
	return MenuButton{Type: "click", Name: name, Key: key}
}

// ViewButton opens a page.
func ViewButton(name, url string) MenuButton {
	return MenuButton{Type: "view", Name: name, URL: url}
}

// MiniProgramButton opens a page of a mini program, and fallback in clients too
// old for it.
func MiniProgramButton(name, appID, pagePath, fallback string) MenuButton {
	return MenuButton{Type: "miniprogram", Name: name, AppID: appID, PagePath: pagePath, URL: fallback}
}

// ScanButton opens the scanner and sends the result as an event. The message
// "scanning" stays until the account answers if wait is true.
func ScanButton(name, key string, wait bool) MenuButton {
	if wait {
		return MenuButton{Type: "scancode_waitmsg", Name: name, Key: key}
	}
	return MenuButton{Type: "scancode_push", Name: name, Key: key}
}

// PhotoButton takes photos: from is "pic_sysphoto" (camera),
// "pic_photo_or_album" or "pic_weixin" (album).
func PhotoButton(name, key, from string) MenuButton {
	return MenuButton{Type: from, Name: name, Key: key}
}

// LocationButton asks for a place on the map.
func LocationButton(name, key string) MenuButton {
	return MenuButton{Type: "location_select", Name: name, Key: key}
}

// ArticleButton sends a published article; ArticleViewButton opens it.
func ArticleButton(name, articleID string) MenuButton {
	return MenuButton{Type: "article_id", Name: name, ArticleID: articleID}
}

// ArticleViewButton opens a published article.
func ArticleViewButton(name, articleID string) MenuButton {
	return MenuButton{Type: "article_view_limited", Name: name, ArticleID: articleID}
}

// MediaButton sends permanent material.
func MediaButton(name, mediaID string) MenuButton {
	return MenuButton{Type: "media_id", Name: name, MediaID: mediaID}
}

// SubMenu opens further buttons.
func SubMenu(name string, buttons ...MenuButton) MenuButton {
	return MenuButton{Name: name, SubButton: buttons}
}

// NewMenu makes a menu and checks it against the platform's limits: one to
// three buttons, one to five below a button, names of 16 and 60 bytes (a
// Chinese character has three), keys of 128 and addresses of 1024 bytes.
func NewMenu(buttons ...MenuButton) (MenuCreateRequest, error) {
	return MenuCreateRequest{Button: buttons}, CheckMenu(buttons)
}

// CheckMenu reports everything in a menu that the platform would refuse.
func CheckMenu(buttons []MenuButton) error {
	var errs []error
	if len(buttons) == 0 || len(buttons) > maxButtons {
		errs = append(errs, fmt.Errorf("api: menu has %d buttons, want 1 to %d: %w", len(buttons), maxButtons, ErrBadRequest))
	}
	for _, b := range buttons {
		if len(b.SubButton) == 0 {
			errs = append(errs, checkButton(b, maxButtonName))
			continue
		}
		if b.Type != "" {
			errs = append(errs, refuse(b, "has buttons below and cannot have a type"))
		}
		errs = append(errs, checkName(b, maxButtonName))
		if len(b.SubButton) > maxSubButtons {
			errs = append(errs, refuse(b, fmt.Sprintf("has %d buttons below, at most %d are allowed", len(b.SubButton), maxSubButtons)))
		}
		for _, sub := range b.SubButton {
			if len(sub.SubButton) > 0 {
				errs = append(errs, refuse(sub, "is a third level, only two are allowed"))
			}
			errs = append(errs, checkButton(sub, maxSubButtonName))
		}
	}
	return errors.Join(errs...)
}

func refuse(b MenuButton, why string) error {
	return fmt.Errorf("api: menu button %q %s: %w", b.Name, why, ErrBadRequest)
}

func checkName(b MenuButton, limit int) error {
	if b.Name == "" || len(b.Name) > limit {
		return refuse(b, fmt.Sprintf("has a name of %d bytes, want 1 to %d", len(b.Name), limit))
	}
	return nil
}

func checkButton(b MenuButton, nameLimit int) error {
	errs := []error{checkName(b, nameLimit)}
	needURL, needKey := false, false
	switch b.Type {
	case "click", "scancode_push", "scancode_waitmsg", "pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select":
		needKey = true
	case "view":
		needURL = true
	case "miniprogram":
		needURL = true
		if b.AppID == "" || b.PagePath == "" {
			errs = append(errs, refuse(b, "needs the mini program's AppID and page"))
		}
	case "media_id", "view_limited":
		if b.MediaID == "" {
			errs = append(errs, refuse(b, "needs a media id"))
		}
	case "article_id", "article_view_limited":
		if b.ArticleID == "" {
			errs = append(errs, refuse(b, "needs an article id"))
		}
	default:
		errs = append(errs, refuse(b, fmt.Sprintf("has the unknown type %q", b.Type)))
	}
	if needKey && b.Key == "" || len(b.Key) > maxButtonKey {
		errs = append(errs, refuse(b, fmt.Sprintf("has a key of %d bytes, want 1 to %d", len(b.Key), maxButtonKey)))
	}
	if u, err := url.Parse(b.URL); needURL && (err != nil || u.Host == "" || len(b.URL) > maxButtonURL) {
		errs = append(errs, refuse(b, fmt.Sprintf("needs a whole address of at most %d bytes", maxButtonURL)))
	}
	return errors.Join(errs...)
}
