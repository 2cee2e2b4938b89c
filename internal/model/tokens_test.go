package model

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEstimateTokens(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a": 1, "你": 1, "hello world": 4, "今天天气真好": 5, "😀": 1,
	} {
		if got := EstimateTokens(text); got != want {
			t.Errorf("%q has about %d tokens, want %d", text, got, want)
		}
	}
}

func TestBudget(t *testing.T) {
	all := map[byte]Message{
		'S': {Role: System, Text: "你是雯子"},
		'1': {Role: User, Text: strings.Repeat("一", 10)}, // 7 tokens each
		'a': {Role: Assistant, Text: strings.Repeat("答", 10)},
		'2': {Role: User, Text: strings.Repeat("二", 10)},
		'b': {Role: Assistant, Text: strings.Repeat("答", 20)}, // 14
		'3': {Role: User, Text: strings.Repeat("三", 10)},
	}
	pick := func(names string) (list []Message) {
		for _, name := range []byte(names) {
			list = append(list, all[name])
		}
		return list
	}
	tests := []struct {
		messages string
		tokens   int
		want     string
	}{
		{"S1a2b3", 1000, "S1a2b3"},
		{"S1a2b3", 35, "S1a2b3"},
		{"S1a2b3", 34, "S2b3"},
		{"S1a2b3", 21, "S2b3"},
		{"S1a2b3", 20, "S3"}, // no answer without its question
		{"S1a2b3", 0, "S3"},
		{"1a2", 0, "2"},
		{"1aS2b3", 21, "S2b3"},
		{"12S3", 7, "2S3"},
		{"S", 0, "S"},
		{"3", 0, "3"},
		{"a3", 100, "3"},
		{"", 10, ""},
	}
	for _, test := range tests {
		if diff := cmp.Diff(pick(test.want), Budget(pick(test.messages), test.tokens)); diff != "" {
			t.Errorf("%s in %d (-want +got):\n%s", test.messages, test.tokens, diff)
		}
	}
}
