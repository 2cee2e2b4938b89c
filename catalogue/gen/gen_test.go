package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestUpToDate fails when a generated file is not what the YAML says, and when
// two runs differ.
func TestUpToDate(t *testing.T) {
	if err := run("../..", true); err != nil {
		t.Error(err)
	}
	one, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	two, err := generate("..")
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(one, two, slices.Equal) {
		t.Error("two runs differ")
	}
}

func TestGoName(t *testing.T) {
	for wire, want := range map[string]string{
		"openid": "OpenID", "thumb_media_id": "ThumbMediaID", "msgtype": "MsgType", "pic_crop_235_1": "PicCrop235x1",
		"priTmplId": "PriTmplID", "WsRequestDomain": "WsRequestDomain", "UDPDomain": "UDPDomain", "industry_id1": "IndustryID1",
		"tagid_list": "TagIDList", "is_to_all": "IsToAll", "hqmusicurl": "HQMusicURL", "fail_idx": "FailIndex", "x1": "X1", "DOM": "DOM",
		"keywordEnumValueList": "KeywordEnumValueList", "kf_headimgurl": "KFHeadImgURL", "qrcode": "QRCode",
	} {
		if got := goName(wire); got != want {
			t.Errorf("%s: %s, want %s", wire, got, want)
		}
	}
}

// module copies what the generator needs to a directory.
func module(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"catalogue/api", "oa/api", "docs"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := filepath.Glob("../api/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, "../codes.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(root, "catalogue", strings.TrimPrefix(filepath.ToSlash(path), "../"))
		if err := os.WriteFile(to, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func edit(t *testing.T, path, old, new string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), old, new, 1)
	if text == string(b) {
		t.Fatalf("%s has no %q", path, old)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Adding an endpoint is adding its YAML.
func TestAddEndpoint(t *testing.T) {
	root := module(t)
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	if err := run(root, true); err != nil {
		t.Fatal(err)
	}
	stale := filepath.Join(root, "oa/api/gone_gen.go")
	if err := os.WriteFile(stale, []byte("package api\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	edit(t, filepath.Join(root, "catalogue/api/shorten.yaml"), "endpoints:\n", `endpoints:
  - id: shorten_delete
    title_zh: "删除短链"
    summary: "Delete a short key."
    priority: useful
    method: POST
    path: /cgi-bin/shorten/delete
    auth: access_token
    account: {subscription: "yes", service: "yes"}
    request:
      content_type: application/json
      body:
        - {name: short_key, type: string, required: true, note: short key}
    response:
      kind: json
      envelope_only: true
    sample_request: |-
      {"short_key":"k"}
    sample_response: |-
      {"errcode":0,"errmsg":"ok"}

`)
	err := run(root, true)
	if err == nil || !strings.Contains(err.Error(), "oa/api/shorten_gen.go differs") || !strings.Contains(err.Error(), "gone_gen.go is no longer generated") {
		t.Errorf("check: %v", err)
	}
	if err := run(root, false); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "oa/api/shorten_gen.go"))
	if err != nil || !strings.Contains(string(b), "func (s ShortenService) Delete(ctx context.Context, req ShortenDeleteRequest) error {") {
		t.Errorf("no method: %v", err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("the file of an area that is gone is still there")
	}
}

func TestMistakesInYAML(t *testing.T) {
	for name, test := range map[string]struct{ file, old, new, want string }{
		"unknown key":   {"api/menu.yaml", "    title_zh:", "    titel_zh:", "titel_zh"},
		"broken YAML":   {"api/menu.yaml", "endpoints:", "endpoints: [", "menu.yaml"},
		"broken sample": {"api/menu.yaml", `{"errcode":0,"errmsg":"ok"}`, `{"errcode":0,`, "is not JSON"},
		"wrong area":    {"api/menu.yaml", "area: menu", "area: menus", "want the file's name"},
		"invalid":       {"api/menu.yaml", "priority: core", "priority: main", `priority "main"`},
		"unknown code":  {"codes.yaml", "action: retry_backoff", "action: retry", `action "retry"`},
	} {
		root := module(t)
		edit(t, filepath.Join(root, "catalogue", test.file), test.old, test.new)
		if err := run(root, false); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(filepath.Join(root, "oa/api")); len(entries) > 0 {
			t.Errorf("%s: files were written", name)
		}
	}
}
