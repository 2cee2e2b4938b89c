package bot

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/wenzihq/wenzi/oa"
)

const (
	maxNameRunes   = 64
	maxRegexpBytes = 1000
	maxArticles    = 8
)

// Parse reads a bot.yaml. file is the name that mistakes carry; env looks up
// the variables that secret fields may name as ${NAME}. The error is of type
// [Mistakes] and holds every mistake of the file; a file with a mistake gives
// no Bot at all.
func Parse(file string, data []byte, env func(name string) (string, bool)) (Bot, error) {
	p := &parser{reader: reader{file: file}, env: env, paths: make(map[string]int)}
	var b Bot
	if root, ok := p.load(data); ok {
		b = p.bot(root)
	}
	if err := p.mistakes.err(); err != nil {
		return Bot{}, err
	}
	return b, nil
}

type parser struct {
	reader
	env   func(string) (string, bool)
	kept  []Kept
	hints []string
	paths map[string]int // the lines of the paths so far
}

func (p *parser) bot(v value) Bot {
	f, ok := p.fields(v, "accounts")
	if !ok {
		return Bot{}
	}
	p.require(v, f, "accounts")
	list, ok := f["accounts"]
	if !ok {
		return Bot{}
	}
	items, _ := p.items(list)
	var b Bot
	for i, item := range items {
		b.Accounts = append(b.Accounts, p.account(item, i))
	}
	b.Kept, b.Hints = p.kept, p.hints
	return b
}

func (p *parser) account(v value, index int) Account {
	f, ok := p.fields(v, "path", "name", "token", "previous_token", "app_id", "app_secret",
		"aes_key", "previous_aes_key", "mode", "greeting", "rules", "model", "fallback")
	if !ok {
		return Account{}
	}
	p.require(v, f, "path", "token")
	a := Account{
		Path: p.checked(f["path"], isSlug, "应为 1–64 个字母、数字、- 或 _", "expected 1 to 64 of letters, digits, - and _"),
		Name: p.checked(f["name"], isName, "应为不超过 64 个字的一行", "expected one line of at most 64 characters"),
		AppID: p.checked(f["app_id"], isAppID, "应为 wx 加 16 个字母或数字，见「开发者ID(AppID)」",
			"expected wx and 16 letters or digits, as shown at 开发者ID(AppID)"),
	}
	if first, twice := p.paths[a.Path]; twice {
		p.wrong(f["path"], fmt.Sprintf("与第 %d 行的账号重复", first), fmt.Sprintf("is also the path of the account in line %d", first))
	} else if a.Path != "" {
		p.paths[a.Path] = f["path"].line
	}
	a.Token = p.secret(f["token"], index, "token", isToken, tokenZh, tokenEn)
	a.PreviousToken = p.secret(f["previous_token"], index, "previous_token", isToken, tokenZh, tokenEn)
	a.AppSecret = p.secret(f["app_secret"], index, "app_secret", isAppSecret, "应只有字母和数字", "expected letters and digits only")
	a.AESKey = p.secret(f["aes_key"], index, "aes_key", isAESKey, aesKeyZh, aesKeyEn)
	a.PreviousAESKey = p.secret(f["previous_aes_key"], index, "previous_aes_key", isAESKey, aesKeyZh, aesKeyEn)
	a.Mode = p.mode(v, f)
	if g, ok := f["greeting"]; ok {
		a.Greeting = p.reply(g, place{event: true})
	}
	if list, ok := f["rules"]; ok {
		items, _ := p.items(list)
		for _, item := range items {
			a.Rules = append(a.Rules, p.rule(item))
		}
	}
	if m, ok := f["model"]; ok {
		a.Model = p.model(m, index)
	}
	if fb, ok := f["fallback"]; ok {
		a.Fallback = p.fallback(fb)
		if fb.Value == "echo" && !a.Model.IsZero() {
			p.hints = append(p.hints, a.warning("fallback", "有 model 时不会 echo：没有规则符合的由大模型回答；这一行可以删去",
				"the model takes the place of the echo; this line can go"))
		}
	}
	return a
}

// mode resolves the default, and sees that what the mode needs is there.
func (p *parser) mode(account value, f map[string]value) oa.Mode {
	_, hasKey := f["aes_key"]
	_, hasID := f["app_id"]
	mode, why := oa.Plain, account
	if hasKey {
		mode, why = oa.Secure, f["aes_key"]
	}
	if v, ok := f["mode"]; ok {
		s, ok := p.literal(v)
		if !ok {
			return 0
		}
		var err error
		if mode, err = oa.ParseMode(s); err != nil {
			p.wrong(v, "应为 plain（明文）、compat（兼容）或 secure（安全）", "expected plain, compat or secure")
			return 0
		}
		why = v
	}
	if mode == oa.Plain {
		return mode
	}
	if !hasKey {
		p.report(why.line, account.child("aes_key"), mode.String()+" 模式需要 aes_key（EncodingAESKey）", "mode "+mode.String()+" needs aes_key (EncodingAESKey)")
	}
	if !hasID {
		p.report(why.line, account.child("app_id"), mode.String()+" 模式需要 app_id；明文模式请写 mode: plain", "mode "+mode.String()+" needs app_id; for 明文模式 write mode: plain")
	}
	return mode
}

func (p *parser) rule(v value) Rule {
	f, ok := p.fields(v, "text", "contains", "regexp", "event", "reply")
	if !ok {
		return Rule{}
	}
	var r Rule
	conditions := 0
	var where place
	if c, ok := f["text"]; ok {
		conditions++
		r.Text = p.texts(c)
	}
	if c, ok := f["contains"]; ok {
		conditions++
		r.Contains = p.texts(c)
	}
	if c, ok := f["regexp"]; ok {
		conditions++
		var groups []string
		if r.Regexp, groups, ok = p.regexp(c); ok {
			where = place{template: true, groups: groups}
		}
	}
	if c, ok := f["event"]; ok {
		conditions++
		r.Event = p.checked(c, isEvent, "应为「事件」或「事件/键值」，如 CLICK/ABOUT", "expected EVENT or EVENT/KEY, such as CLICK/ABOUT")
		where = place{event: true}
	}
	misspelt := conditions == 0 && len(f) < len(v.Content)/2
	if conditions != 1 && !misspelt {
		p.wrong(v, fmt.Sprintf("text、contains、regexp、event 中要写且只写一个，这里有 %d 个", conditions),
			fmt.Sprintf("expected exactly one of text, contains, regexp and event, found %d", conditions))
	}
	p.require(v, f, "reply")
	if reply, ok := f["reply"]; ok {
		r.Reply = p.reply(reply, where)
	}
	return r
}

// regexp also returns the names of the groups.
func (p *parser) regexp(v value) (pattern string, groups []string, ok bool) {
	pattern, ok = p.literal(v)
	if !ok {
		return "", nil, false
	}
	if len(pattern) > maxRegexpBytes {
		p.wrong(v, fmt.Sprintf("正则表达式超过 %d 字节", maxRegexpBytes), fmt.Sprintf("the regular expression is longer than %d bytes", maxRegexpBytes))
		return "", nil, false
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		what := err.Error()
		if syn, ok := errors.AsType[*syntax.Error](err); ok {
			what = syn.Code.String() + ": " + shorten(syn.Expr)
		}
		p.wrong(v, "正则表达式有误", "not a valid regular expression: "+what)
		return "", nil, false
	}
	return pattern, re.SubexpNames(), true
}

// place is where a reply stands, which decides what it may be.
type place struct {
	event    bool     // it answers an event, which cannot be transferred (reference §7.1)
	template bool     // its text is a template
	groups   []string // the names a template may use
}

func (p *parser) reply(v value, where place) Reply {
	if v.Kind != yaml.MappingNode {
		return Reply{Text: p.replyText(v, where)}
	}
	kinds := []string{"text", "image", "voice", "video", "music", "news", "transfer"}
	f, _ := p.fields(v, kinds...)
	if n := len(v.Content) / 2; n != 1 {
		p.wrong(v, fmt.Sprintf("%s 中要写且只写一个，这里有 %d 个", strings.Join(kinds, "、"), n),
			fmt.Sprintf("expected exactly one of %s, found %d", strings.Join(kinds, ", "), n))
	}
	var r Reply
	for _, kind := range kinds {
		c, ok := f[kind]
		if !ok {
			continue
		}
		switch kind {
		case "text":
			r.Text = p.replyText(c, where)
		case "image":
			r.Image = p.mediaID(c)
		case "voice":
			r.Voice = p.mediaID(c)
		case "video":
			r.Video = p.video(c)
		case "music":
			r.Music = p.music(c)
		case "news":
			r.News = p.news(c)
		case "transfer":
			r.Transfer = p.transfer(c, where)
		}
	}
	return r
}

func (p *parser) replyText(v value, where place) string {
	s, ok := p.literal(v)
	if !ok {
		return ""
	}
	if len(s) > oa.MaxTextBytes {
		p.wrong(v, fmt.Sprintf("文字有 %d 字节，最多 %d", len(s), oa.MaxTextBytes), fmt.Sprintf("the text has %d bytes, at most %d are allowed", len(s), oa.MaxTextBytes))
	}
	if where.template {
		known := func(name string) (string, bool) { return "", name != "" && slices.Contains(where.groups, name) }
		if _, err := Expand(s, known); err != nil {
			p.wrong(v, "模板有误：{{.名}} 只能引用 regexp 里的命名组 (?P<名>…)", "bad template, {{.name}} must be a named group of the regexp: "+err.Error())
		}
	}
	return s
}

func (p *parser) video(v value) *Video {
	f, ok := p.fields(v, "media_id", "title", "description")
	if !ok {
		return nil
	}
	p.require(v, f, "media_id")
	return &Video{
		MediaID:     p.mediaID(f["media_id"]),
		Title:       p.optional(f["title"]),
		Description: p.optional(f["description"]),
	}
}

func (p *parser) music(v value) *Music {
	f, ok := p.fields(v, "thumb_media_id", "title", "description", "music_url", "hq_music_url")
	if !ok {
		return nil
	}
	p.require(v, f, "thumb_media_id")
	return &Music{
		ThumbMediaID: p.mediaID(f["thumb_media_id"]),
		Title:        p.optional(f["title"]),
		Description:  p.optional(f["description"]),
		MusicURL:     p.url(f["music_url"]),
		HQMusicURL:   p.url(f["hq_music_url"]),
	}
}

func (p *parser) news(v value) []Article {
	items := []value{v}
	if v.Kind == yaml.SequenceNode {
		items, _ = p.items(v)
	}
	if len(items) < 1 || len(items) > maxArticles {
		p.wrong(v, fmt.Sprintf("应有 1–%d 篇图文，这里有 %d 篇", maxArticles, len(items)), fmt.Sprintf("expected 1 to %d articles, found %d", maxArticles, len(items)))
		return nil
	}
	articles := make([]Article, len(items))
	for i, item := range items {
		f, ok := p.fields(item, "title", "description", "pic_url", "url")
		if !ok {
			continue
		}
		p.require(item, f, "title", "description", "pic_url", "url")
		articles[i] = Article{
			Title:       p.optional(f["title"]),
			Description: p.optional(f["description"]),
			PicURL:      p.url(f["pic_url"]),
			URL:         p.url(f["url"]),
		}
	}
	return articles
}

func (p *parser) transfer(v value, where place) *Transfer {
	if where.event {
		p.wrong(v, "事件不能转人工客服，只有用户消息可以", "an event cannot be transferred, only a user's message can")
	}
	if v.Kind == yaml.MappingNode && len(v.Content) == 0 {
		return &Transfer{}
	}
	return &Transfer{Agent: p.checked(v, isAgent, "应为 {} 或 客服名@账号", "expected {} or name@account")}
}

func (p *parser) fallback(v value) Fallback {
	if v.Kind == yaml.MappingNode {
		return Fallback{Reply: p.reply(v, place{})}
	}
	switch s, ok := p.literal(v); {
	case !ok || s == "echo":
		return Fallback{}
	case s == "none":
		return Fallback{None: true}
	}
	p.wrong(v, "应为 echo、none 或 {text: …} 一类的回复", "expected echo, none or a reply such as {text: …}")
	return Fallback{}
}

func (p *parser) require(v value, f map[string]value, names ...string) {
	for _, name := range names {
		if _, ok := f[name]; !ok {
			p.report(v.line, v.child(name), "缺少 "+name, name+" is missing")
		}
	}
}

// literal returns a text that is not a secret, in which nothing is looked up.
func (p *parser) literal(v value) (string, bool) {
	s, ok := p.text(v)
	if !ok {
		return "", false
	}
	if _, isVar := variable(s); isVar {
		p.wrong(v, "只有 token、app_secret、aes_key 一类的密钥可以写成 ${变量}", "only secrets such as token, app_secret and aes_key may be a ${VARIABLE}")
		return "", false
	}
	return s, true
}

// optional returns a text, or "" where the field is not written.
func (p *parser) optional(v value) string {
	if v.Node == nil {
		return ""
	}
	s, _ := p.literal(v)
	return s
}

// checked returns a text that passes is, or "".
func (p *parser) checked(v value, is func(string) bool, zh, en string) string {
	s := p.optional(v)
	if s != "" && !is(s) {
		p.wrong(v, zh, en)
		return ""
	}
	return s
}

func (p *parser) texts(v value) []string {
	if v.Kind != yaml.SequenceNode {
		s, ok := p.literal(v)
		if !ok {
			return nil
		}
		return []string{s}
	}
	items, _ := p.items(v)
	if len(items) == 0 {
		p.wrong(v, "列表不能为空", "the list must not be empty")
	}
	var texts []string
	for _, item := range items {
		texts = append(texts, p.optional(item))
	}
	return texts
}

func (p *parser) mediaID(v value) string {
	return p.checked(v, isWord, "应为素材的 media_id", "expected a media_id")
}

func (p *parser) url(v value) string {
	return p.checked(v, isURL, "应为 http:// 或 https:// 开头的网址", "expected an address that begins with http:// or https://")
}

const (
	tokenZh  = "应为 3–32 个字母或数字"
	tokenEn  = "expected 3 to 32 letters or digits"
	aesKeyZh = "应为 43 个字母或数字"
	aesKeyEn = "expected 43 letters or digits"
)

// secret reads a field that may be a ${NAME} or the mask. Nothing it reports
// shows the value.
func (p *parser) secret(v value, account int, field string, is func(string) bool, zh, en string) Secret {
	if v.Node == nil {
		return ""
	}
	s, ok := p.text(v)
	if !ok {
		return ""
	}
	if s == Mask {
		p.kept = append(p.kept, Kept{File: p.file, Line: v.line, Account: account, Field: field})
		return ""
	}
	name, isVar := variable(s)
	if isVar {
		if s, ok = p.env(name); !ok {
			p.wrong(v, "环境变量 "+name+" 没有设置", "the environment variable "+name+" is not set")
			return ""
		}
		zh, en = "环境变量 "+name+" 的值"+zh, "the value of the environment variable "+name+": "+en
	}
	if !is(s) {
		if strings.Contains(v.Value, "${") && !isVar {
			zh, en = "${变量} 要是整个值，名字只用字母、数字和 _", "${VARIABLE} must be the whole value, its name of letters, digits and _"
		}
		p.wrong(v, zh, en)
		return ""
	}
	return Secret(s)
}

// variable returns the NAME of a text that is ${NAME} and nothing else.
func variable(s string) (name string, ok bool) {
	name, dollar := strings.CutPrefix(s, "${")
	name, closed := strings.CutSuffix(name, "}")
	return name, dollar && closed && name != "" && consistsOf(name, "_") && !isDigit(rune(name[0]))
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }

// consistsOf reports whether s holds only ASCII letters, digits and what is in
// extra.
func consistsOf(s, extra string) bool {
	for _, c := range s {
		if letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'; !letter && !isDigit(c) && !strings.ContainsRune(extra, c) {
			return false
		}
	}
	return true
}

func isSlug(s string) bool      { return len(s) <= 64 && consistsOf(s, "-_") }
func isToken(s string) bool     { return 3 <= len(s) && len(s) <= 32 && consistsOf(s, "") }
func isAppSecret(s string) bool { return s != "" && consistsOf(s, "") }
func isAESKey(s string) bool    { return len(s) == 43 && consistsOf(s, "") }
func isAppID(s string) bool {
	return len(s) == 18 && strings.HasPrefix(s, "wx") && consistsOf(s, "")
}

func isName(s string) bool {
	return utf8.RuneCountInString(s) <= maxNameRunes && strings.IndexFunc(s, unicode.IsControl) < 0
}

func isWord(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) < 0
}

func isAgent(s string) bool {
	name, account, _ := strings.Cut(s, "@")
	return isWord(s) && name != "" && account != "" && !strings.Contains(account, "@")
}

func isEvent(s string) bool {
	name, key, hasKey := strings.Cut(s, "/")
	return name != "" && consistsOf(name, "_") && (!hasKey || key != "") && strings.IndexFunc(key, unicode.IsControl) < 0
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && isWord(s)
}
