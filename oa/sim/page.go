package sim

import (
	"embed"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// NewHandler returns everything of a simulated WeChat under one address, such as
// http://127.0.0.1:9090: the API at its paths, so that the address is all that a
// client needs in place of https://api.weixin.qq.com; the model under /v1/; the
// [Control] under /sim/; and at / a page that shows the chats and drives them.
// p and m are what NewControl takes.
func NewHandler(p *Platform, m *Model) http.Handler {
	control := NewControl(p, m)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No ServeMux: it would redirect paths that the platform knows nothing of.
		switch path := r.URL.Path; {
		case path == "/" || strings.HasPrefix(path, "/page/"):
			servePage(w, r)
		case strings.HasPrefix(path, "/sim/"):
			control.ServeHTTP(w, r)
		case strings.HasPrefix(path, "/v1/"):
			m.ServeHTTP(w, r)
		default:
			p.ServeHTTP(w, r)
		}
	})
}

// pagePolicy lets the page use nothing but its own files and the control.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func servePage(w http.ResponseWriter, r *http.Request) {
	if err := hostIsOurs(r); err != nil {
		writeControlError(w, err)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the page is there to be read", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "page/index.html"
	}
	if info, err := fs.Stat(pageFiles, name); err != nil || info.IsDir() {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, pageFiles, name)
}
