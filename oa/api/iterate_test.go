package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa/api"
)

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for item, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, item)
	}
	return all
}

func readJSON(t *testing.T, r *http.Request) map[string]any {
	var m map[string]any
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		t.Error(err)
	}
	return m
}

// followers answers pages of three OpenIDs, of seven in all.
func followers(next string) string {
	all := []string{"o1", "o2", "o3", "o4", "o5", "o6", "o7"}
	for len(all) > 0 && next >= all[0] {
		all = all[1:]
	}
	page := all[:min(3, len(all))]
	if len(page) == 0 {
		return `{"total":7,"count":0,"next_openid":""}`
	}
	list, _ := json.Marshal(page)
	return fmt.Sprintf(`{"total":7,"count":%d,"data":{"openid":%s},"next_openid":%q}`, len(page), list, page[len(page)-1])
}

func TestFollowerIterators(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	p.on("/cgi-bin/user/get", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, followers(r.URL.Query().Get("next_openid")))
	})
	p.on("/cgi-bin/user/tag/get", func(w http.ResponseWriter, r *http.Request) {
		next, _ := readJSON(t, r)["next_openid"].(string)
		io.WriteString(w, followers(next))
	})
	p.on("/cgi-bin/tags/members/getblacklist", func(w http.ResponseWriter, r *http.Request) {
		next, _ := readJSON(t, r)["begin_openid"].(string)
		io.WriteString(w, followers(next))
	})
	ctx := t.Context()
	want := []string{"o1", "o2", "o3", "o4", "o5", "o6", "o7"}
	for name, seq := range map[string]iter.Seq2[string, error]{
		"followers": c.User.All(ctx), "with a tag": c.Tag.AllUsers(ctx, 5), "blacklisted": c.Blacklist.All(ctx),
	} {
		if diff := cmp.Diff(want, collect(t, seq)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(want[4:], collect(t, c.User.From(ctx, "o4"))); diff != "" {
		t.Errorf("from o4: %s", diff)
	}
	before := p.count("/cgi-bin/user/get")
	for range c.User.All(ctx) {
		break
	}
	if n := p.count("/cgi-bin/user/get") - before; n != 1 {
		t.Errorf("%d pages were asked for one follower", n)
	}
	p.fail("/cgi-bin/user/get", 0, 48001)
	var got error
	for _, err := range c.User.All(ctx) {
		got = err
	}
	// The sample is one page, and the next page fails.
	if !errors.Is(got, api.ErrPermission) {
		t.Errorf("error of the second page: %v", got)
	}
}

func TestInfos(t *testing.T) {
	p := newPlatform(t)
	var batches []int
	p.on("/cgi-bin/user/info/batchget", func(w http.ResponseWriter, r *http.Request) {
		list, _ := readJSON(t, r)["user_list"].([]any)
		batches = append(batches, len(list))
		var infos []string
		for _, u := range list {
			infos = append(infos, fmt.Sprintf(`{"subscribe":1,"openid":%q}`, u.(map[string]any)["openid"]))
		}
		fmt.Fprintf(w, `{"user_info_list":[%s]}`, strings.Join(infos, ","))
	})
	var ids []string
	for i := range 250 {
		ids = append(ids, fmt.Sprintf("o%03d", i))
	}
	infos := collect(t, p.client().User.Infos(t.Context(), api.OpenIDs(ids...)))
	if len(infos) != 250 || infos[249].OpenID != "o249" {
		t.Errorf("%d profiles", len(infos))
	}
	if diff := cmp.Diff([]int{100, 100, 50}, batches); diff != "" {
		t.Error(diff)
	}
	broken := errors.New("broken")
	for _, err := range p.client().User.Infos(t.Context(), func(yield func(string, error) bool) { yield("", broken) }) {
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}

func TestOffsetIterators(t *testing.T) {
	p := newPlatform(t)
	c := p.client()
	ctx := t.Context()
	page := func(offsetName, countName, format, item string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			m := map[string]any{}
			if r.Method == http.MethodPost {
				m = readJSON(t, r)
			} else {
				for k, v := range r.URL.Query() {
					var n float64
					fmt.Sscan(v[0], &n)
					m[k] = n
				}
			}
			offset, _ := m[offsetName].(float64)
			count, _ := m[countName].(float64)
			n := max(0, min(int(count), 45-int(offset)))
			fmt.Fprintf(w, format, 45, strings.TrimSuffix(strings.Repeat(item+",", n), ","))
		}
	}
	p.on("/cgi-bin/material/batchget_material", page("offset", "count", `{"total_count":%d,"item":[%s]}`, `{"media_id":"M"}`))
	p.on("/cgi-bin/draft/batchget", page("offset", "count", `{"total_count":%d,"item":[%s]}`, `{"media_id":"M"}`))
	p.on("/cgi-bin/freepublish/batchget", page("offset", "count", `{"total_count":%d,"item":[%s]}`, `{"article_id":"A"}`))
	p.on("/cgi-bin/comment/list", page("begin", "count", `{"total":%d,"comment":[%s]}`, `{"content":"C"}`))
	p.on("/wxaapi/newtmpl/getpubtemplatetitles", page("start", "limit", `{"count":%d,"data":[%s]}`, `{"tid":1}`))
	p.on("/cgi-bin/component/api_get_authorizer_list", page("offset", "count", `{"total_count":%d,"list":[%s]}`, `{"authorizer_appid":"A"}`))
	component := p.client(api.WithComponentToken(api.StaticToken("COMPONENT")))
	for name, n := range map[string]int{
		"material":    len(collect(t, c.Material.All(ctx, "image"))),
		"drafts":      len(collect(t, c.Draft.All(ctx, true))),
		"published":   len(collect(t, c.Publish.All(ctx, false))),
		"comments":    len(collect(t, c.Comment.All(ctx, 1, 0))),
		"titles":      len(collect(t, c.Subscribe.AllTitles(ctx, "2,616"))),
		"authorizers": len(collect(t, component.Component.AllAuthorizers(ctx, appID))),
	} {
		if n != 45 {
			t.Errorf("%s: %d items, want 45", name, n)
		}
	}
	if n := len(collect(t, c.Template.All(ctx))); n == 0 {
		t.Error("no templates")
	}
	// A platform whose total is wrong must not keep us asking.
	p.on("/cgi-bin/draft/batchget", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"total_count":1000,"item":[]}`)
	})
	if n := len(collect(t, c.Draft.All(ctx, false))); n != 0 {
		t.Errorf("%d drafts", n)
	}
}

func TestKFMessages(t *testing.T) {
	p := newPlatform(t)
	var spans []string
	p.on("/customservice/msgrecord/getmsglist", func(w http.ResponseWriter, r *http.Request) {
		m := readJSON(t, r)
		spans = append(spans, fmt.Sprintf("%.0f-%.0f from %.0f", m["starttime"], m["endtime"], m["msgid"]))
		if len(spans) == 1 { // a full page: there is more
			item := `{"openid":"o1","text":"hi"},`
			fmt.Fprintf(w, `{"recordlist":[%s],"number":10000,"msgid":"20165267"}`, strings.TrimSuffix(strings.Repeat(item, 10000), ","))
			return
		}
		io.WriteString(w, `{"recordlist":[{"openid":"o1","text":"last"}],"number":1,"msgid":20165300}`)
	})
	from := time.Unix(1700000000, 0)
	all := collect(t, p.client().KF.AllMessages(t.Context(), from, from.Add(30*time.Hour)))
	if len(all) != 10002 {
		t.Errorf("%d messages", len(all))
	}
	want := []string{"1700000000-1700086399 from 1", "1700000000-1700086399 from 20165267", "1700086400-1700107999 from 1"}
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Error(diff)
	}
}

func TestTagAll(t *testing.T) {
	p := newPlatform(t)
	var batches []int
	p.on("/cgi-bin/tags/members/batchtagging", func(w http.ResponseWriter, r *http.Request) {
		list, _ := readJSON(t, r)["openid_list"].([]any)
		batches = append(batches, len(list))
		io.WriteString(w, `{"errcode":0,"errmsg":"ok"}`)
	})
	if err := p.client().Tag.TagAll(t.Context(), 3, make([]string, 120)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{50, 50, 20}, batches); diff != "" {
		t.Error(diff)
	}
}
