package app

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wenzihq/wenzi/internal/store"
)

var stateNames = map[store.State]string{
	store.Answered:     "已回复",
	store.Acknowledged: "不用回复",
	store.Failed:       "失败",
	store.Pushed:       "已推送",
	store.Fetched:      "已取走",
	store.Expired:      "没取，过期了",
	store.Working:      "在想",
	store.Promised:     "等推送",
	store.Waiting:      "等粉丝来取",
}

// stepNames are the steps of a timeline; states are above, and those of the
// robot speak for themselves.
var stepNames = map[string]string{
	"message":     "收到消息",
	"delivery":    "微信送达",
	"forecast":    "预计来不及",
	"budget":      "超时额度用完",
	"ride":        "故意不答",
	"part":        "先答一部分",
	"first text":  "开始有字",
	"ready":       "想好了",
	"merged":      "并成一问",
	"fetch":       "粉丝来取",
	"push":        "推送",
	"push failed": "推送没成",
	"taken over":  "接手",
	"interrupted": "中断",
	"unsure":      "不知送到没有",
	"told":        "告诉了粉丝",
}

// stateName is a state in Chinese.
func stateName(name string) (string, bool) {
	for state, chinese := range stateNames {
		if state.String() == name {
			return chinese, true
		}
	}
	return name, false
}

// showTurns prints a list, the newest first.
func showTurns(w io.Writer, turns []turnRecord) error {
	if len(turns) == 0 {
		_, err := fmt.Fprintln(w, "没有这样的消息（there are none）")
		return err
	}
	rows := [][]string{{"时间", "粉丝", "类型", "状态", "怎么答的", "用时", "模型", "token", "编号"}}
	for _, t := range turns {
		state, _ := stateName(t.State)
		rows = append(rows, []string{t.At.Local().Format("01-02 15:04:05"), t.Follower, t.Kind, state, t.how(), t.took(), t.Model, t.tokens(), t.ID})
		if t.Message != "" {
			rows = append(rows, []string{"", t.Message})
		}
	}
	return writeColumns(w, rows)
}

// how says what answered, and on which delivery.
func (t *turnRecord) how() string {
	if t.Delivery == 0 || t.By == "" {
		return t.By
	}
	return fmt.Sprintf("%s，第 %d 次送达", t.By, t.Delivery)
}

func (t *turnRecord) took() string {
	if t.Milliseconds == 0 {
		return ""
	}
	d := time.Duration(t.Milliseconds) * time.Millisecond
	if d < time.Second {
		return d.String()
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

func (t *turnRecord) tokens() string {
	if t.PromptTokens+t.CompletionTokens == 0 {
		return ""
	}
	return fmt.Sprintf("%d+%d", t.PromptTokens, t.CompletionTokens)
}

// show prints all of one turn.
func (t *turnRecord) show(w io.Writer) error {
	state, _ := stateName(t.State)
	var rows [][]string
	for _, row := range [][]string{
		{"编号 id", t.ID},
		{"时间 time", t.At.Local().Format("2006-01-02 15:04:05")},
		{"粉丝 follower", t.Follower},
		{"类型 kind", t.Kind},
		{"状态 state", state + " " + t.State},
		{"怎么答的 by", t.how()},
		{"用时 took", t.took()},
		{"模型 model", t.Model},
		{"token", t.tokens()},
		{"原因 note", t.Note},
		{"消息 message", t.Message},
		{"问题 question", t.Question},
		{"回答 answer", t.Answer},
		{"回复 reply", t.Reply},
	} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	if err := writeColumns(w, append(rows, nil)); err != nil {
		return err
	}
	rows = nil
	for _, s := range t.Timeline {
		name, ok := stepNames[s.What]
		if !ok {
			name, ok = stateName(s.What)
		}
		if ok {
			name += " " + s.What
		}
		rows = append(rows, []string{fmt.Sprintf("%7.1fs", s.At.Sub(t.At).Seconds()), name, s.Detail})
	}
	return writeColumns(w, rows)
}

// writeColumns prints rows of cells in columns, which neither what a follower
// has chosen can break, nor characters that are two places wide. The last cell
// of a row is as long as it is.
func writeColumns(w io.Writer, rows [][]string) error {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(row)-1 {
				row[i] = strings.ReplaceAll(tame(cell), "\n", "\n    ")
				break
			}
			row[i] = strings.NewReplacer("\n", " ", "\t", " ").Replace(tame(cell))
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], places(row[i]))
		}
	}
	var b bytes.Buffer
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-places(cell)+2))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := b.WriteTo(w)
	return err
}

// places is how wide a terminal shows a text.
func places(s string) (n int) {
	for _, r := range s {
		n++
		if r >= 0x2e80 { // Chinese, Japanese, Korean, emoji
			n++
		}
	}
	return n
}
