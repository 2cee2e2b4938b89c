package bot

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Export returns the bot as a file that [Parse] reads, in a fixed order, its
// secrets masked. Masks must have been applied.
func Export(b Bot) ([]byte, error) {
	root := new(mapping)
	root.node("accounts", list(b.Accounts, exportAccount))
	root.HeadComment = "# " + Mask + " 表示保留原值（keeps the stored value）"
	file, err := yaml.Dump(&root.Node, yaml.WithLineWidth(-1))
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return file, nil
}

func exportAccount(a Account) *yaml.Node {
	m := new(mapping)
	m.text("path", a.Path)
	m.text("name", a.Name)
	m.text("token", a.Token.String())
	m.text("previous_token", a.PreviousToken.String())
	m.text("app_id", a.AppID)
	m.text("app_secret", a.AppSecret.String())
	m.text("aes_key", a.AESKey.String())
	m.text("previous_aes_key", a.PreviousAESKey.String())
	m.text("mode", a.Mode.String())
	if !a.Greeting.IsZero() {
		m.node("greeting", exportReply(a.Greeting))
	}
	if len(a.Rules) > 0 {
		m.node("rules", list(a.Rules, exportRule))
	}
	if !a.Model.IsZero() {
		m.node("model", exportModel(a.Model))
	}
	switch {
	case a.Fallback.None:
		m.text("fallback", "none")
	case a.Fallback.IsZero() && a.Model.IsZero():
		m.text("fallback", "echo")
	case a.Fallback.IsZero():
	case a.Fallback.Reply.Kind() == "text": // as a plain string it would be taken for a keyword
		fallback := new(mapping)
		fallback.text("text", a.Fallback.Reply.Text)
		m.node("fallback", &fallback.Node)
	default:
		m.node("fallback", exportReply(a.Fallback.Reply))
	}
	return &m.Node
}

func exportRule(r Rule) *yaml.Node {
	m := new(mapping)
	m.texts("text", r.Text)
	m.texts("contains", r.Contains)
	m.text("regexp", r.Regexp)
	m.text("event", r.Event)
	m.node("reply", exportReply(r.Reply))
	return &m.Node
}

func exportReply(r Reply) *yaml.Node {
	if r.Kind() == "text" {
		return scalar(r.Text)
	}
	m := new(mapping)
	m.text("image", r.Image)
	m.text("voice", r.Voice)
	if v := r.Video; v != nil {
		video := new(mapping)
		video.text("media_id", v.MediaID)
		video.text("title", v.Title)
		video.text("description", v.Description)
		m.node("video", &video.Node)
	}
	if v := r.Music; v != nil {
		music := new(mapping)
		music.text("thumb_media_id", v.ThumbMediaID)
		music.text("title", v.Title)
		music.text("description", v.Description)
		music.text("music_url", v.MusicURL)
		music.text("hq_music_url", v.HQMusicURL)
		m.node("music", &music.Node)
	}
	switch len(r.News) {
	case 0:
	case 1:
		m.node("news", exportArticle(r.News[0]))
	default:
		m.node("news", list(r.News, exportArticle))
	}
	if t := r.Transfer; t != nil && t.Agent == "" {
		m.node("transfer", &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle})
	} else if t != nil {
		m.text("transfer", t.Agent)
	}
	return &m.Node
}

func exportArticle(a Article) *yaml.Node {
	m := new(mapping)
	m.text("title", a.Title)
	m.text("description", a.Description)
	m.text("pic_url", a.PicURL)
	m.text("url", a.URL)
	return &m.Node
}

// mapping is a YAML mapping under construction.
type mapping struct{ yaml.Node }

func (m *mapping) node(key string, n *yaml.Node) {
	m.Kind = yaml.MappingNode
	m.Content = append(m.Content, scalar(key), n)
}

// text leaves an empty value out.
func (m *mapping) text(key, s string) {
	if s != "" {
		m.node(key, scalar(s))
	}
}

// texts writes one text as itself, several as a list, none not at all.
func (m *mapping) texts(key string, texts []string) {
	switch len(texts) {
	case 0:
	case 1:
		m.text(key, texts[0])
	default:
		n := list(texts, scalar)
		n.Style = yaml.FlowStyle
		m.node(key, n)
	}
}

func list[T any](items []T, node func(T) *yaml.Node) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, item := range items {
		n.Content = append(n.Content, node(item))
	}
	return n
}

func scalar(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.Contains(s, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}
