package app

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/wenzihq/wenzi/oa"
	"github.com/wenzihq/wenzi/oa/sim"
)

var simManuals = []string{"../../docs/sim.md", "../../docs/en/sim.md"}

// Every curl line of the manual works, one after the other, on a simulated
// platform that has just started; what stands behind # is in the answer.
func TestSimManualIsTrue(t *testing.T) {
	echo, err := oa.NewServer(oa.Account{Token: "mytoken"}, oa.HandlerFunc(func(_ context.Context, r *oa.Request) (oa.Reply, error) {
		return oa.Text(r.Kind())
	}))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^([A-Z]=\\S+|curl .*)$|`(curl [^`]*)`")
	for _, manual := range simManuals {
		t.Run(filepath.Dir(manual), func(t *testing.T) {
			text, err := os.ReadFile(manual)
			if err != nil {
				t.Fatal(err)
			}
			base, _ := startSim(t)
			variables := strings.NewReplacer()
			var known []string
			curls := 0
			for _, m := range line.FindAllStringSubmatch(string(text), -1) {
				command := variables.Replace(m[1] + m[2])
				command = strings.ReplaceAll(command, "http://127.0.0.1:9090", base)
				command = strings.ReplaceAll(command, "http://127.0.0.1:8080/wx", sayTo(t, echo))
				if name, value, ok := strings.Cut(command, "="); ok && len(name) == 1 {
					known = append(known, "$"+name, value)
					variables = strings.NewReplacer(known...)
					continue
				}
				curls++
				curl(t, command)
			}
			if curls < 40 {
				t.Errorf("there are %d curl lines", curls)
			}
		})
	}
}

// curl does what the command would.
func curl(t *testing.T, command string) {
	t.Helper()
	part := func(expr string) string {
		if m := regexp.MustCompile(expr).FindStringSubmatch(command); m != nil {
			return m[1]
		}
		return ""
	}
	command, want, _ := strings.Cut(command, " # ")
	body := part(` -d '([^']*)'`)
	method := part(` -X (\w+)`)
	if method == "" && body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, part(`"(http[^"]*)"`), strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded") // as curl does
	if name, value, ok := strings.Cut(part(` -H '([^']*)'`), ": "); ok {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	defer resp.Body.Close()
	var got strings.Builder
	stream := strings.Contains(command, " -N ") // it has no end
	for b := make([]byte, 1<<12); err == nil; {
		var n int
		n, err = resp.Body.Read(b)
		got.Write(b[:n])
		if stream && strings.Contains(got.String(), "event: delivery") {
			break
		}
	}
	if resp.StatusCode >= 400 || !strings.Contains(got.String(), strings.TrimSpace(want)) {
		t.Errorf("%s: %s\n%s", command, resp.Status, got.String())
	}
}

// The manual has every path, act and setting.
func TestSimManualIsWhole(t *testing.T) {
	var want []string
	sources, err := filepath.Glob("../../oa/sim/control*.go")
	if err != nil {
		t.Fatal(err)
	}
	route := regexp.MustCompile(`c\.handle(Account|Follower)?\("(\w+)",? ?"?(/?[^"]*)"|HandleFunc\("(\w+) ([^"]+)"|"(\w+) (/sim/[^"]*)"`)
	act := regexp.MustCompile(`(?m)^\t"(\w+)": +(?:bare|sending|tap|press|scan)\b`)
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range route.FindAllStringSubmatch(string(text), -1) {
			under := map[string]string{"Account": "/sim/accounts/{account}", "Follower": "/sim/accounts/{account}/followers/{openid}"}[m[1]]
			want = append(want, fmt.Sprintf("`%s %s%s`", m[2]+m[4]+m[6], under, m[3]+m[5]+m[7]))
		}
		for _, m := range act.FindAllStringSubmatch(string(text), -1) {
			want = append(want, "`"+m[1]+"`")
		}
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[sim.Settings](), reflect.TypeFor[sim.Trouble](), reflect.TypeFor[sim.ModelSettings]()} {
		for _, f := range reflect.VisibleFields(typ) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				want = append(want, "`"+name+"`")
			}
		}
	}
	if len(want) < 80 {
		t.Fatalf("only %d found: %q", len(want), want)
	}
	for _, manual := range simManuals {
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s has no %s", manual, w)
			}
		}
	}
}
