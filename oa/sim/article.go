package sim

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The limits of catalogue/api/draft.yaml.
const (
	articlesOfDraft   = 8
	articlesListed    = 20 // drafts or publications in one answer
	articleTitle      = 32 // characters, as all that are not bytes
	articleAuthor     = 16
	articleDigest     = 128
	articleOwnDigest  = 54
	articleContent    = 20000
	articleBytes      = 1 << 20
	articleSourceURL  = 1024 // bytes
	articlePictures   = 20
	articlePicturesOn = "mmbiz.qpic.cn" // where media_upload_image puts pictures
)

// draftArticle is an article as the platform's API has it.
type draftArticle struct {
	ArticleType        string         `json:"article_type"`
	Title              string         `json:"title"`
	Author             string         `json:"author"`
	Digest             string         `json:"digest"`
	Content            string         `json:"content,omitempty"`
	ContentSourceURL   string         `json:"content_source_url"`
	ThumbMediaID       string         `json:"thumb_media_id"`
	ShowCoverPic       int            `json:"show_cover_pic"`
	NeedOpenComment    int            `json:"need_open_comment"`
	OnlyFansCanComment int            `json:"only_fans_can_comment"`
	URL                string         `json:"url"`
	ImageInfo          *articleImages `json:"image_info,omitempty"`
	CoverInfo          any            `json:"cover_info,omitempty"`
	ProductInfo        any            `json:"product_info,omitempty"`
}

type articleImages struct {
	ImageList []struct {
		ImageMediaID string `json:"image_media_id"`
	} `json:"image_list"`
}

// publishedArticle is an article that has been published or sent.
type publishedArticle struct {
	draftArticle
	IsDeleted bool `json:"is_deleted"`
}

// published gives the articles of a draft their permanent addresses.
func published(articles []draftArticle) []publishedArticle {
	out := make([]publishedArticle, len(articles))
	for i, a := range articles {
		a.URL = articleURL()
		out[i].draftArticle = a
	}
	return out
}

func articleURL() string { return "https://mp.weixin.qq.com/s/" + randomText(22) }

// listed is the article in a list, which may go without contents.
func (d draftArticle) listed(withContent bool) draftArticle {
	if !withContent {
		d.Content = ""
	}
	return d
}

// check completes an article as the platform saves it, or says why it does not.
func (d *draftArticle) check(a *Account) error {
	if d.ArticleType == "" {
		d.ArticleType = "news"
	}
	length := utf8.RuneCountInString
	switch {
	case d.Title == "" || length(d.Title) > articleTitle:
		return failf(45003, "title size out of limit: 1 to %d characters", articleTitle)
	case length(d.Author) > articleAuthor:
		return failf(45002, "author size out of limit: %d characters", articleAuthor)
	case length(d.Digest) > articleDigest:
		return failf(45004, "description size out of limit: %d characters", articleDigest)
	case d.Content == "":
		return fail(44004)
	case length(d.Content) >= articleContent || len(d.Content) >= articleBytes:
		return failf(45002, "content size out of limit: less than %d characters and 1 MB", articleContent)
	case len(d.ContentSourceURL) > articleSourceURL:
		return fail(45005)
	case d.ContentSourceURL != "" && webAddress(d.ContentSourceURL) == nil:
		return fail(41039)
	}
	d.URL = articleURL()
	switch d.ArticleType {
	case "news":
		if !a.hasMaterial(d.ThumbMediaID) {
			return fail(40007)
		}
		d.Content = filterHTML(d.Content)
		return nil
	case "newspic":
		return d.ImageInfo.check(a)
	}
	return failf(45166, "invalid article_type: %s", d.ArticleType)
}

func (i *articleImages) check(a *Account) error {
	if i == nil || len(i.ImageList) == 0 || len(i.ImageList) > articlePictures {
		return failf(45166, "invalid image_info: 1 to %d images", articlePictures)
	}
	for _, image := range i.ImageList {
		if !a.hasMaterial(image.ImageMediaID) {
			return fail(40007)
		}
	}
	return nil
}

// webAddress reads an absolute address of the web; nil where it is none.
func webAddress(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil
	}
	return u
}

var (
	scripts  = regexp.MustCompile(`(?is)<script\b.*?</script\s*>|<script\b[^>]*>`)
	pictures = regexp.MustCompile(`(?i)<img\b[^>]*>`)
	source   = regexp.MustCompile(`(?i)\ssrc\s*=\s*(?:"([^"]*)"|'([^']*)')`)
	tags     = regexp.MustCompile(`<[^>]*>`)
)

// filterHTML takes out what the platform does not keep: scripts, and pictures
// from elsewhere than media_upload_image.
func filterHTML(content string) string {
	return pictures.ReplaceAllStringFunc(scripts.ReplaceAllString(content, ""), func(img string) string {
		src := source.FindStringSubmatch(img)
		if src == nil {
			return img
		}
		if u := webAddress(html.UnescapeString(src[1] + src[2])); u != nil && u.Host == articlePicturesOn {
			return img
		}
		return source.ReplaceAllString(img, "")
	})
}

// digest is the beginning of a text, which stands for the summary of an article
// that has none.
func digest(content string) string {
	text := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(content, " "))), " ")
	runes := []rune(text)
	return string(runes[:min(len(runes), articleOwnDigest)])
}

// newsBubble is how articles look in a chat.
func newsBubble(articles []publishedArticle) Bubble {
	b := Bubble{Kind: "mpnews"}
	for _, a := range articles {
		b.Articles = append(b.Articles, Article{Title: a.Title, Description: a.Digest, URL: a.URL})
	}
	return b
}
