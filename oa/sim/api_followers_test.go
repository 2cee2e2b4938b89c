package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wenzihq/wenzi/catalogue"
	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/api"
	"github.com/wenzihq/wenzi/oa/sim"
)

// apiClientFollowers is a client of the platform's first account, for the tests
// of all that is about followers, and some material. It checks the shape of every answer.
func apiClientFollowers(t *testing.T, p *sim.Platform) *api.Client {
	t.Helper()
	p.Accounts()[0].KeepMaterial("THUMB", "VIDEO", "VOICE", "IMAGE", "P1", "P2")
	c := p.Accounts()[0].Config()
	client, err := api.NewClient(api.Account{AppID: c.AppID, Secret: api.Secret(c.AppSecret)},
		api.WithHTTPClient(&http.Client{Transport: shapes{t, p.Client().Transport}}), api.WithClock(p.Now))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// shapes holds the answers of calls that succeed against the catalogue: every
// member that is not optional is there, and each is one of the catalogue's and
// of its type.
type shapes struct {
	t    *testing.T
	next http.RoundTripper
}

func (s shapes) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	endpoints := catalogue.Load().ByPath(r.URL.Path)
	var answer map[string]any
	if err != nil || len(endpoints) == 0 || endpoints[0].Response.Kind != catalogue.KindJSON || json.Unmarshal(body, &answer) != nil {
		s.t.Errorf("%s: no answer of an endpoint: %s, %v", r.URL.Path, body, err)
		return resp, err
	}
	if code, ok := answer["errcode"]; !ok || code == 0.0 {
		delete(answer, "errcode")
		delete(answer, "errmsg")
		s.object(endpoints[0].ID, answer, endpoints[0].Response.Fields)
	}
	return resp, nil
}

func (s shapes) object(where string, object map[string]any, fields []catalogue.Field) {
	for _, f := range fields {
		v, present := object[f.Name]
		switch {
		case present:
			s.value(where+"."+f.Name, v, f, f.Type)
		case !f.Optional:
			s.t.Errorf("%s has no %s", where, f.Name)
		}
	}
	for name := range object {
		if !slices.ContainsFunc(fields, func(f catalogue.Field) bool { return f.Name == name }) {
			s.t.Errorf("%s has %s, which the catalogue does not know", where, name)
		}
	}
}

func (s shapes) value(where string, v any, f catalogue.Field, typ string) {
	fits := false
	switch v := v.(type) {
	case string:
		fits = typ == "string"
	case float64:
		fits = typ == "int" || typ == "int64"
	case bool:
		fits = typ == "bool"
	case map[string]any:
		fits = typ == "object"
		s.object(where, v, f.Fields)
	case []any:
		fits = strings.HasPrefix(typ, "array<")
		for i, item := range v {
			s.value(fmt.Sprintf("%s[%d]", where, i), item, f, strings.TrimSuffix(strings.TrimPrefix(typ, "array<"), ">"))
		}
	}
	if !fits {
		s.t.Errorf("%s is %v, which is no %s", where, v, typ)
	}
}

// inbox is what the account's server gets.
type inbox chan oa.Message

// next waits for the next message, which must be of type M.
func next[M oa.Message](t *testing.T, in inbox) M {
	t.Helper()
	select {
	case got := <-in:
		m, ok := got.(M)
		if !ok {
			t.Fatalf("the server gets %T %+v", got, got)
		}
		return m
	case <-time.After(time.Hour):
		t.Fatal("the server gets nothing")
	}
	panic("unreachable")
}

// quiet checks that nothing more comes.
func (in inbox) quiet(t *testing.T) {
	t.Helper()
	select {
	case m := <-in:
		t.Errorf("the server gets %T %+v too", m, m)
	case <-time.After(time.Hour):
	}
}

// startFollowers is a platform with an account of that kind whose server takes
// everything and answers nothing.
func startFollowers(t *testing.T, kind sim.Kind) (*sim.Testing, *api.Client, inbox) {
	t.Helper()
	in := make(inbox, 100)
	c := sim.AccountConfig{AppID: appID, Token: "hello", Kind: kind}
	p := sim.Start(t, server(t, c, func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		in <- r.Message
		return oa.None()
	}), c)
	return p, apiClientFollowers(t, p.Platform), in
}

// code is the return code that a call failed with, 0 for success.
func code(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		t.Fatalf("the call failed otherwise: %v", err)
	}
	return e.Code
}

// raw makes a call from its parts: body is JSON, or the query of a GET.
func raw(t *testing.T, client *api.Client, endpoint, body string) (string, int) {
	t.Helper()
	r := api.Request{Endpoint: endpoint, Body: json.RawMessage(body)}
	if body != "" && !strings.HasPrefix(body, "{") {
		query, err := url.ParseQuery(body)
		if err != nil {
			t.Fatal(err)
		}
		r.Body, r.Query = nil, query
	}
	resp, err := client.Do(t.Context(), r)
	return string(resp.JSON), code(t, err)
}

type refusal struct {
	endpoint, body string
	code           int
}

// refuse checks the codes of calls that fail, or succeed with 0.
func refuse(t *testing.T, client *api.Client, list []refusal) {
	t.Helper()
	for _, r := range list {
		if answer, got := raw(t, client, r.endpoint, r.body); got != r.code {
			t.Errorf("%s %.200s: code %d, want %d: %s", r.endpoint, r.body, got, r.code, answer)
		}
	}
}

// quoted is a list of strings as JSON.
func quoted(list ...string) string {
	b, _ := json.Marshal(append([]string{}, list...))
	return string(b)
}

// shown is what followers see, as text, without what they did themselves.
func shown(f *sim.Follower) string {
	var lines []string
	for _, e := range f.Chat() {
		if e.From != sim.FromFollower {
			lines = append(lines, fmt.Sprintf("%s: %s", e.Via, e.Text()))
		}
	}
	return strings.Join(lines, "\n")
}

func sees(t *testing.T, f *sim.Follower, want ...string) {
	t.Helper()
	if got := shown(f); got != strings.Join(want, "\n") {
		t.Errorf("the follower sees\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
