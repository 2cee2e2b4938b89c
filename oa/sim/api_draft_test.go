package sim_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

func news(title string) api.Article {
	return api.Article{Title: title, Content: "<p>" + title + "的内容</p>", ThumbMediaID: "THUMB"}
}

func addDraft(t *testing.T, client *api.Client, articles ...api.Article) string {
	t.Helper()
	resp, err := client.Draft.Add(t.Context(), api.DraftAddRequest{Articles: articles})
	if err != nil {
		t.Fatal(err)
	}
	return resp.MediaID
}

func TestDrafts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, client, _ := startFollowers(t, sim.CertifiedSubscription)
		first := addDraft(t, client, api.Article{
			Title: "标题", Author: "雯子", ContentSourceURL: "https://example.com/s", ThumbMediaID: "THUMB", NeedOpenComment: 1,
			Content: `<p>你好 &amp; <img src="http://mmbiz.qpic.cn/mmbiz_png/a/0"/><img alt="x" src='https://example.com/b.png'><script>alert(1)</script>世界</p>`,
		})
		second := addDraft(t, client, news("甲"), news("乙"))
		got, err := client.Draft.Get(t.Context(), api.DraftGetRequest{MediaID: first})
		if err != nil || len(got.NewsItem) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		a := got.NewsItem[0]
		if want := `<p>你好 &amp; <img src="http://mmbiz.qpic.cn/mmbiz_png/a/0"/><img alt="x">世界</p>`; a.Content != want {
			t.Errorf("the content is kept as %s", a.Content)
		}
		if a.ArticleType != "news" || a.Digest != "你好 & 世界" || a.Author != "雯子" || a.NeedOpenComment != 1 || !strings.HasPrefix(a.URL, "https://mp.weixin.qq.com/s/") {
			t.Errorf("%+v", a)
		}
		p.Advance(time.Hour)
		changed := news("丙")
		changed.Digest = "摘要"
		if err := client.Draft.Update(t.Context(), api.DraftUpdateRequest{MediaID: second, Index: 1, Articles: changed}); err != nil {
			t.Fatal(err)
		}
		list, err := client.Draft.List(t.Context(), api.DraftListRequest{Count: 20})
		if err != nil || list.TotalCount != 2 || list.ItemCount != 2 || list.Item[0].MediaID != second || list.Item[1].MediaID != first {
			t.Fatalf("%+v, %v", list, err)
		}
		if newest := list.Item[0]; newest.UpdateTime != p.Now().Unix() || newest.Content.CreateTime != newest.UpdateTime-3600 ||
			newest.Content.NewsItem[0].Title != "甲" || newest.Content.NewsItem[1].Title != "丙" || newest.Content.NewsItem[1].Digest != "摘要" {
			t.Errorf("%+v", newest)
		}
		brief, err := client.Draft.List(t.Context(), api.DraftListRequest{Offset: 1, Count: 1, NoContent: 1})
		if err != nil || brief.TotalCount != 2 || brief.ItemCount != 1 || brief.Item[0].MediaID != first || brief.Item[0].Content.NewsItem[0].Content != "" {
			t.Errorf("%+v, %v", brief, err)
		}
		if err := client.Draft.Delete(t.Context(), api.DraftDeleteRequest{MediaID: first}); err != nil {
			t.Fatal(err)
		}
		if count, err := client.Draft.Count(t.Context()); err != nil || count.TotalCount != 1 {
			t.Errorf("%+v, %v", count, err)
		}
		if on, err := client.Draft.Switch(t.Context(), api.DraftSwitchRequest{CheckOnly: 1}); err != nil || on.IsOpen != 1 {
			t.Errorf("%+v, %v", on, err)
		}
		refuse(t, client, []refusal{
			{"draft_get", `{"media_id":"` + first + `"}`, 40007},
			{"draft_delete", `{"media_id":"` + first + `"}`, 40007},
			{"draft_list", `{"offset":0,"count":21}`, 40035},
			{"draft_list", `{"offset":-1,"count":1}`, 40035},
			{"draft_list", `{"offset":7,"count":1}`, 0},
		})
	})
}

func TestDraftLimits(t *testing.T) {
	_, client, _ := startFollowers(t, sim.CertifiedService)
	id := addDraft(t, client, news("甲"))
	article := func(change func(*api.Article)) api.Article {
		a := news("甲")
		change(&a)
		return a
	}
	pictures := func(n int) func(*api.Article) {
		return func(a *api.Article) {
			a.ArticleType, a.ThumbMediaID, a.Content = "newspic", "", "文字"
			for range n {
				a.ImageInfo.ImageList = append(a.ImageInfo.ImageList, api.ArticleImage{ImageMediaID: "IMAGE"})
			}
		}
	}
	for name, tt := range map[string]struct {
		article api.Article
		code    int
	}{
		"title":              {article(func(a *api.Article) { a.Title = strings.Repeat("长", 32) }), 0},
		"title too long":     {article(func(a *api.Article) { a.Title = strings.Repeat("长", 33) }), 45003},
		"author":             {article(func(a *api.Article) { a.Author = strings.Repeat("长", 16) }), 0},
		"author too long":    {article(func(a *api.Article) { a.Author = strings.Repeat("长", 17) }), 45002},
		"digest":             {article(func(a *api.Article) { a.Digest = strings.Repeat("长", 128) }), 0},
		"digest too long":    {article(func(a *api.Article) { a.Digest = strings.Repeat("长", 129) }), 45004},
		"content":            {article(func(a *api.Article) { a.Content = strings.Repeat("长", 19999) }), 0},
		"content too long":   {article(func(a *api.Article) { a.Content = strings.Repeat("长", 20000) }), 45002},
		"source":             {article(func(a *api.Article) { a.ContentSourceURL = "http://example.com/" + strings.Repeat("x", 1005) }), 0},
		"source too long":    {article(func(a *api.Article) { a.ContentSourceURL = "http://example.com/" + strings.Repeat("x", 1006) }), 45005},
		"source no address":  {article(func(a *api.Article) { a.ContentSourceURL = "javascript:alert(1)" }), 41039},
		"no cover":           {article(func(a *api.Article) { a.ThumbMediaID = "" }), 40007},
		"type":               {article(func(a *api.Article) { a.ArticleType = "video" }), 45166},
		"pictures":           {article(pictures(20)), 0},
		"too many pictures":  {article(pictures(21)), 45166},
		"no pictures":        {article(pictures(0)), 45166},
		"picture without id": {article(func(a *api.Article) { pictures(1)(a); a.ImageInfo.ImageList[0].ImageMediaID = "" }), 40007},
	} {
		if _, err := client.Draft.Add(t.Context(), api.DraftAddRequest{Articles: []api.Article{tt.article}}); code(t, err) != tt.code {
			t.Errorf("add, %s: %v, want %d", name, err, tt.code)
		}
		if err := client.Draft.Update(t.Context(), api.DraftUpdateRequest{MediaID: id, Articles: tt.article}); code(t, err) != tt.code {
			t.Errorf("update, %s: %v, want %d", name, err, tt.code)
		}
	}
	refuse(t, client, []refusal{
		{"draft_add", `{"articles":[{"title":"甲","content":"","thumb_media_id":"THUMB"}]}`, 44004},
		{"draft_update", `{"media_id":"` + id + `","index":0,"articles":{"title":"","content":"x","thumb_media_id":"THUMB"}}`, 45003},
	})
	for _, tt := range []struct{ n, code int }{{0, 44003}, {8, 0}, {9, 45008}} {
		if _, err := client.Draft.Add(t.Context(), api.DraftAddRequest{Articles: slices.Repeat([]api.Article{news("甲")}, tt.n)}); code(t, err) != tt.code {
			t.Errorf("%d articles: %v, want %d", tt.n, err, tt.code)
		}
	}
	if err := client.Draft.Update(t.Context(), api.DraftUpdateRequest{MediaID: id, Index: 1, Articles: news("甲")}); code(t, err) != 40114 {
		t.Errorf("an index that is not there: %v", err)
	}
}

// Escapes are shown as they stand (reference api-rules §3), those of JSON itself
// are none.
func TestDraftEscapes(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	token, err := client.Tokens().Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	body := `{"articles":[{"title":"\u4f60\"\\u597d","content":"\u003cp\u003e","thumb_media_id":"THUMB"}]}`
	resp, err := p.Client().Post("https://api.weixin.qq.com/cgi-bin/draft/add?access_token="+string(token.Value), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(answer), `{"media_id":"`) {
		t.Fatalf("%s, %v", answer, err)
	}
	list, err := client.Draft.List(t.Context(), api.DraftListRequest{Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	if a := list.Item[0].Content.NewsItem[0]; a.Title != `\u4f60"\u597d` || a.Content != `\u003cp\u003e` {
		t.Errorf("title %q, content %q", a.Title, a.Content)
	}
}

func TestPublish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, in := startFollowers(t, sim.CertifiedService)
		draft := addDraft(t, client, news("甲"), news("乙"))
		submitted, err := client.Publish.Submit(t.Context(), api.PublishSubmitRequest{MediaID: draft})
		if err != nil || submitted.PublishID == "" || submitted.MsgDataID == 0 {
			t.Fatalf("%+v, %v", submitted, err)
		}
		status := func() api.PublishGetStatusResponse {
			t.Helper()
			resp, err := client.Publish.GetStatus(t.Context(), api.PublishGetStatusRequest{PublishID: submitted.PublishID})
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		if s := status(); s.PublishStatus != 1 || s.ArticleID != "" {
			t.Errorf("at work: %+v", s)
		}
		if _, err := client.Draft.Get(t.Context(), api.DraftGetRequest{MediaID: draft}); err != nil {
			t.Errorf("while it is published the draft is there, but %v", err)
		}
		e := next[*oa.PublishJobFinishEvent](t, in)
		done := status()
		if e.Result.PublishID != submitted.PublishID || e.Result.Status != 0 || e.Result.ArticleID != done.ArticleID || e.Result.Articles.Count != 2 ||
			e.Result.Articles.Items[1].Index != 2 || e.Result.Articles.Items[1].URL != done.ArticleDetail.Item[1].ArticleURL {
			t.Errorf("event %+v, status %+v", e.Result, done)
		}
		refuse(t, client, []refusal{{"draft_get", `{"media_id":"` + draft + `"}`, 40007}, {"publish_submit", `{"media_id":"` + draft + `"}`, 40007}})
		article, err := client.Publish.GetArticle(t.Context(), api.PublishGetArticleRequest{ArticleID: done.ArticleID})
		if err != nil || len(article.NewsItem) != 2 || article.NewsItem[0].URL != done.ArticleDetail.Item[0].ArticleURL || article.NewsItem[0].Content != "<p>甲的内容</p>" {
			t.Errorf("%+v, %v", article, err)
		}

		deleted := func() (list []bool) {
			t.Helper()
			resp, err := client.Publish.List(t.Context(), api.PublishListRequest{Count: 20, NoContent: 1})
			if err != nil || resp.TotalCount != 1 || resp.Item[0].ArticleID != done.ArticleID || resp.Item[0].Content.NewsItem[0].Content != "" {
				t.Fatalf("%+v, %v", resp, err)
			}
			for _, a := range resp.Item[0].Content.NewsItem {
				list = append(list, a.IsDeleted)
			}
			return list
		}
		if err := client.Publish.Delete(t.Context(), api.PublishDeleteRequest{ArticleID: done.ArticleID, Index: 2}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]bool{false, true}, deleted()); diff != "" {
			t.Error(diff)
		}
		if err := client.Publish.Delete(t.Context(), api.PublishDeleteRequest{ArticleID: done.ArticleID}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]bool{true, true}, deleted()); diff != "" {
			t.Error(diff)
		}
		if e := next[*oa.PublishJobFinishEvent](t, in); e.Result.Status != 5 || e.Result.PublishID != submitted.PublishID {
			t.Errorf("all deleted: %+v", e.Result)
		}
		if s := status(); s.PublishStatus != 5 {
			t.Errorf("all deleted: %+v", s)
		}
		refuse(t, client, []refusal{
			{"publish_get_status", `{"publish_id":1}`, 40002},
			{"publish_get_article", `{"article_id":"x"}`, 53600},
			{"publish_get_article", `{"article_id":""}`, 53600},
			{"publish_delete", `{"article_id":"` + done.ArticleID + `"}`, 53600},
			{"publish_delete", `{"article_id":"` + done.ArticleID + `","index":3}`, 53600},
			{"publish_list", `{"offset":0,"count":0}`, 40035},
		})
		in.quiet(t)
	})
}

// A draft that is deleted while it is published is not published.
func TestPublishDeletedDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, client, in := startFollowers(t, sim.CertifiedService)
		draft := addDraft(t, client, news("甲"))
		if _, err := client.Publish.Submit(t.Context(), api.PublishSubmitRequest{MediaID: draft}); err != nil {
			t.Fatal(err)
		}
		if err := client.Draft.Delete(t.Context(), api.DraftDeleteRequest{MediaID: draft}); err != nil {
			t.Fatal(err)
		}
		if e := next[*oa.PublishJobFinishEvent](t, in); e.Result.Status != 3 || e.Result.ArticleID != "" {
			t.Errorf("%+v", e.Result)
		}
		if list, err := client.Publish.List(t.Context(), api.PublishListRequest{Count: 1}); err != nil || list.TotalCount != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

func TestPublishRight(t *testing.T) {
	for _, kind := range []sim.Kind{sim.Subscription, sim.Service, sim.TestAccount} {
		_, client, _ := startFollowers(t, kind)
		for _, endpoint := range []string{"publish_submit", "publish_get_status", "publish_get_article", "publish_delete", "publish_list"} {
			refuse(t, client, []refusal{{endpoint, `{}`, 48001}})
		}
	}
}
