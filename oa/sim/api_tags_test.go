package sim_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// newTag makes a tag and returns its id.
func newTag(t *testing.T, client *api.Client, name string) int {
	t.Helper()
	resp, err := client.Tag.Create(t.Context(), api.TagCreateRequest{Tag: api.Tag{Name: name}})
	if err != nil || resp.Tag.Name != name {
		t.Fatalf("%+v, %v", resp, err)
	}
	return resp.Tag.ID
}

func tags(t *testing.T, client *api.Client) string {
	t.Helper()
	resp, err := client.Tag.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, tag := range resp.Tags {
		list = append(list, fmt.Sprintf("%d %s %d", tag.ID, tag.Name, tag.Count))
	}
	return strings.Join(list, ", ")
}

func TestTags(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedSubscription)
	a, b := p.Follower(), p.Follower()
	east, vip := newTag(t, client, "华东"), newTag(t, client, "VIP")
	tag := api.TagBatchTagRequest{OpenIDList: []string{a.OpenID(), b.OpenID()}, TagID: east}
	for range 2 { // the second time changes nothing
		if _, err := client.Tag.BatchTag(t.Context(), tag); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.Tag.BatchTag(t.Context(), api.TagBatchTagRequest{OpenIDList: []string{b.OpenID()}, TagID: vip}); err != nil {
		t.Fatal(err)
	}
	if err := client.Tag.Update(t.Context(), api.TagUpdateRequest{Tag: api.Tag{ID: vip, Name: "重要"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := tags(t, client), "2 星标组 0, 100 华东 2, 101 重要 1"; got != want {
		t.Errorf("tags %s, want %s", got, want)
	}
	users, err := client.Tag.UserList(t.Context(), api.TagUserListRequest{TagID: east})
	if diff := cmp.Diff(api.TagUserListResponse{Count: 2, Data: api.OpenIDList{OpenID: []string{a.OpenID(), b.OpenID()}}, NextOpenID: b.OpenID()}, users); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	of, err := client.Tag.ListOfUser(t.Context(), api.TagListOfUserRequest{OpenID: b.OpenID()})
	if err != nil || !slices.Equal(of.TagIDList, []int{east, vip}) {
		t.Errorf("%+v, %v", of, err)
	}
	info, err := client.User.InfoGet(t.Context(), api.UserInfoGetRequest{OpenID: b.OpenID()})
	if err != nil || !slices.Equal(info.TagIDList, []int{east, vip}) {
		t.Errorf("%+v, %v", info, err)
	}
	a.Unsubscribe() // is no follower of the tag any more
	if _, err := client.Tag.BatchUntag(t.Context(), api.TagBatchUntagRequest{OpenIDList: []string{b.OpenID()}, TagID: vip}); err != nil {
		t.Fatal(err)
	}
	if got, want := tags(t, client), "2 星标组 0, 100 华东 1, 101 重要 0"; got != want {
		t.Errorf("tags %s, want %s", got, want)
	}
	if err := client.Tag.Delete(t.Context(), api.TagDeleteRequest{Tag: api.Tag{ID: east}}); err != nil {
		t.Fatal(err)
	}
	if of, err := client.Tag.ListOfUser(t.Context(), api.TagListOfUserRequest{OpenID: b.OpenID()}); err != nil || len(of.TagIDList) > 0 {
		t.Errorf("tags of a follower after the deletion: %+v, %v", of, err)
	}
	if id := newTag(t, client, "华东"); id != 102 {
		t.Errorf("a new tag has the id %d, which was given out before", id)
	}
}

func TestTagsRefused(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	other, err := p.NewAccount(sim.AccountConfig{})
	if err != nil {
		t.Fatal(err)
	}
	u, stranger, foreign := p.Follower().OpenID(), p.Account.Follower().OpenID(), other.Follower().OpenID()
	id := newTag(t, client, "华东")
	newTag(t, client, "华南")
	members := func(tag string, openIDs ...string) string {
		return `{"tagid":` + tag + `,"openid_list":` + quoted(openIDs...) + `}`
	}
	one := fmt.Sprint(id)
	refuse(t, client, []refusal{
		{"tag_create", `{"tag":{"name":"华东"}}`, 45157},
		{"tag_create", `{"tag":{"name":""}}`, 45157},
		{"tag_create", `{"tag":{"name":"十个汉字正好是三十字节"}}`, 45158},
		{"tag_create", `{"tag":{"name":"十个汉字就是三十字节"}}`, 0},
		{"tag_update", `{"tag":{"id":` + one + `,"name":"华南"}}`, 45157},
		{"tag_update", `{"tag":{"id":` + one + `,"name":"华东"}}`, 0},
		{"tag_update", `{"tag":{"id":2,"name":"星"}}`, 45058},
		{"tag_update", `{"tag":{"id":999,"name":"星"}}`, 45159},
		{"tag_delete", `{"tag":{"id":0}}`, 45058},
		{"tag_delete", `{"tag":{"id":999}}`, 45159},
		{"tag_user_list", `{"tagid":999}`, 45159},
		{"tag_user_list", `{"tagid":` + one + `,"next_openid":"oNobody"}`, 40003},
		{"tag_user_list", `{"tagid":"` + one + `"}`, 0}, // a number in quotes
		{"tag_list_of_user", `{"openid":"oNobody"}`, 40003},
		{"tag_list_of_user", `{"openid":"` + foreign + `"}`, 49003},
		{"tag_batch_tag", members(one), 40032},
		{"tag_batch_tag", members(one, slices.Repeat([]string{u}, 51)...), 40032},
		{"tag_batch_tag", members("999", u), 45159},
		{"tag_batch_tag", members("1", u), 45159},
		{"tag_batch_tag", members("2", u), 0}, // the star
		{"tag_batch_tag", members(one, u, "oNobody"), 40003},
		{"tag_batch_tag", members(one, u, foreign), 49003},
		{"tag_batch_tag", members(one, u, stranger), 50005},
		{"tag_batch_untag", members("999", u), 45159},
		{"tag_batch_untag", members(one, stranger), 50005},
	})
	if got, want := tags(t, client), "2 星标组 1, 100 华东 0, 101 华南 0, 102 十个汉字就是三十字节 0"; got != want {
		t.Errorf("tags %s, want %s", got, want)
	}
}

func TestTagLimits(t *testing.T) {
	p, client, _ := startFollowers(t, sim.CertifiedService)
	full, free := p.Follower(), p.Follower()
	for i := range 100 {
		newTag(t, client, fmt.Sprint("标签", i))
	}
	refuse(t, client, []refusal{{"tag_create", `{"tag":{"name":"再来一个"}}`, 45056}})
	for id := range 20 {
		if _, err := client.Tag.BatchTag(t.Context(), api.TagBatchTagRequest{OpenIDList: []string{full.OpenID()}, TagID: 100 + id}); err != nil {
			t.Fatal(err)
		}
	}
	resp, err := client.Tag.BatchTag(t.Context(), api.TagBatchTagRequest{OpenIDList: []string{free.OpenID(), full.OpenID()}, TagID: 120})
	if code(t, err) != 45171 || !slices.Equal(resp.FailOpenIDList, []string{full.OpenID()}) {
		t.Errorf("%+v, %v", resp, err)
	}
	if _, err := client.Tag.BatchTag(t.Context(), api.TagBatchTagRequest{OpenIDList: []string{full.OpenID()}, TagID: 120}); code(t, err) != 45059 || !errors.Is(err, api.ErrBadRequest) {
		t.Errorf("the twenty-first tag: %v", err)
	}
	for follower, want := range map[*sim.Follower]int{full: 20, free: 1} {
		if of, err := client.Tag.ListOfUser(t.Context(), api.TagListOfUserRequest{OpenID: follower.OpenID()}); err != nil || len(of.TagIDList) != want {
			t.Errorf("%+v, %v, want %d", of, err, want)
		}
	}
}
