package sim

import (
	"bytes"
	"strings"
)

// JudgeCheck says whether WeChat takes the answer to a check of the server's
// address: exactly the bytes of echostr (reference §1.2).
func (r Rules) JudgeCheck(echostr string, got Response) Verdict {
	problem := r.exchange(got)
	if problem == nil {
		problem = readable(got)
	}
	if problem == nil {
		problem = r.echo(echostr, got.Body)
	}
	if problem != nil {
		return Verdict{Outcome: Refused, Problem: problem}
	}
	return Verdict{Outcome: Verified}
}

func (r *Rules) echo(echostr string, body []byte) *Remark {
	s := string(body)
	trimmed := strings.TrimSpace(s)
	lower := strings.ToLower(trimmed[:min(len(trimmed), 512)])
	switch {
	case s == echostr || r.AllowBlanks && trimmed == echostr:
		return nil
	case s == "":
		return remark(RuleEchoStr, "回答是空的：服务器认为签名不对，Token 一样吗？",
			"the answer is empty: the server took the signature for wrong, is its Token the same?")
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return remark(RuleLeading, "echostr 前面有 BOM（字节 EF BB BF）", "a BOM (bytes EF BB BF) stands before echostr")
	case trimmed == `"`+echostr+`"`:
		return remark(RuleEchoStr, "echostr 带了引号，要原样返回", "echostr stands in quotes, it must be returned as it came")
	case trimmed == echostr:
		return remark(RuleEchoStr, "echostr 前后有空白或换行，要原样返回", "blanks or line breaks stand around echostr, it must be returned as it came")
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"):
		return remark(RuleHTML, "回答是一个 HTML 页面，不是 echostr", "the answer is an HTML page, not echostr")
	case strings.Contains(s, echostr):
		return remark(RuleEchoStr, "echostr 前后有多余的输出 %q", "other output stands around echostr: %q", excerpt(body))
	}
	return remark(RuleEchoStr, "回答 %q 不是 echostr", "the answer %q is not echostr", excerpt(body))
}
