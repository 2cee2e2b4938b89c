package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxDownload bounds a downloaded file, maxJSON an answer in JSON. The largest
// files of the platform are videos of 10 MB; a page of drafts with their
// content can have many articles of 1 MB.
const (
	maxDownload = 64 << 20
	maxJSON     = 64 << 20
)

// Download is a file the platform sends. Read it and close it; reading is
// bounded by the context of the call and fails beyond 64 MB.
type Download struct {
	ContentType string
	Name        string // the platform's name for the file, may be empty
	Size        int64  // in bytes; -1 when unknown

	body   io.Reader
	closer io.Closer
	cancel context.CancelFunc
	left   int64
}

var errTooLarge = errors.New("api: download is larger than 64 MB")

func (d *Download) Read(p []byte) (int, error) {
	if d.left <= 0 {
		var one [1]byte
		if n, err := d.body.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, errTooLarge
	}
	n, err := d.body.Read(p[:min(int64(len(p)), d.left)])
	d.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("api: download: %w", err)
	}
	return n, err
}

// Close ends the download.
func (d *Download) Close() error {
	defer d.cancel()
	return d.closer.Close()
}

func newDownload(resp *http.Response, body io.Reader, cancel context.CancelFunc) *Download {
	d := &Download{
		ContentType: resp.Header.Get("Content-Type"),
		Size:        resp.ContentLength,
		body:        body,
		closer:      resp.Body,
		cancel:      cancel,
		left:        maxDownload,
	}
	if _, p, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil {
		d.Name = p["filename"]
	}
	return d
}

// mayBeJSON reports whether an answer to a download must be tried as JSON: its
// content type says so, or says nothing and the first byte is a brace
// (reference api-rules §5).
func mayBeJSON(contentType string, first []byte) bool {
	t := strings.ToLower(contentType)
	if t == "" {
		return strings.HasPrefix(strings.TrimLeft(string(first), " \t\r\n\ufeff"), "{")
	}
	return strings.Contains(t, "json") || strings.HasPrefix(t, "text/plain") || strings.HasPrefix(t, "text/html")
}
