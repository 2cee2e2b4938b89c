package api

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"os"
	"path"
	"slices"
	"strings"
)

// Upload is a file to send. It is streamed, not read into memory, when its
// size is known: from Size, or because Body is a bytes.Reader, strings.Reader,
// os.File or another io.Seeker. The platform refuses uploads of unknown
// length, so a body of unknown size is read into memory first, up to the limit
// of the endpoint.
//
// A call that must be repeated because the token died needs Body again: an
// io.Seeker is rewound, a buffered body is kept, any other fails with
// [ErrToken] and the caller repeats it.
type Upload struct {
	Name string // with the right extension; other than ASCII is replaced
	Size int64  // in bytes; 0 when unknown
	Body io.Reader
}

// maxBuffered bounds what is read into memory of an upload of unknown size for
// an endpoint without a limit of its own.
const maxBuffered = 10 << 20

// payload is the body of a request, that can be opened once or many times.
type payload struct {
	contentType string
	length      int64
	json        []byte // when it is JSON
	stream      *multipartStream
}

// open returns the body from its beginning. ok is false when it was opened
// before and cannot be rewound.
func (p payload) open() (body io.ReadCloser, ok bool, err error) {
	switch {
	case p.stream != nil:
		return p.stream.open()
	case p.json != nil:
		return io.NopCloser(bytes.NewReader(p.json)), true, nil
	}
	return nil, true, nil
}

func jsonPayload(v any) (payload, error) {
	body := []byte("{}")
	if v != nil {
		var err error
		if body, err = encodeJSON(v); err != nil {
			return payload{}, fmt.Errorf("api: encode request: %w", err)
		}
	}
	return payload{contentType: "application/json; charset=utf-8", length: int64(len(body)), json: body}, nil
}

type multipartStream struct {
	head, tail string
	file       io.Reader
	seeker     io.Seeker // nil when the file cannot be rewound
	start      int64
	size       int64
	opened     bool
}

func (m *multipartStream) open() (io.ReadCloser, bool, error) {
	if m.opened && m.file != nil {
		if m.seeker == nil {
			return nil, false, nil
		}
		if _, err := m.seeker.Seek(m.start, io.SeekStart); err != nil {
			return nil, false, fmt.Errorf("api: rewind upload: %w", err)
		}
	}
	m.opened = true
	parts := []io.Reader{strings.NewReader(m.head)}
	if m.file != nil {
		parts = append(parts, io.LimitReader(m.file, m.size))
	}
	return io.NopCloser(io.MultiReader(append(parts, strings.NewReader(m.tail))...)), true, nil
}

// multipartPayload lays out an upload by hand: the length must be known before
// the first byte, and the platform wants plain headers.
func multipartPayload(ep *Endpoint, kind string, form map[string]string, file Upload) (payload, error) {
	boundary := "wenzi" + rand.Text()
	m := &multipartStream{tail: "\r\n--" + boundary + "--\r\n"}
	var head strings.Builder
	separator := "--" + boundary
	for _, name := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprintf(&head, "%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s", separator, name, form[name])
		separator = "\r\n--" + boundary
	}
	if file.Body != nil {
		limit := ep.accept(kind)
		if err := m.take(file, limit.MaxBytes); err != nil {
			return payload{}, badUpload(ep, err)
		}
		name := plainName(file.Name)
		if err := limit.check(name, m.size); err != nil {
			return payload{}, badUpload(ep, err)
		}
		contentType := mime.TypeByExtension(path.Ext(name))
		if contentType == "" {
			contentType = "application/octet-stream"
		}
		fmt.Fprintf(&head, "%s\r\nContent-Disposition: form-data; name=%q; filename=%q\r\nContent-Type: %s\r\n\r\n",
			separator, ep.File, name, contentType)
	} else if len(form) == 0 {
		m.tail = "--" + boundary + "--\r\n"
	}
	m.head = head.String()
	return payload{
		contentType: "multipart/form-data; boundary=" + boundary,
		length:      int64(len(m.head)) + m.size + int64(len(m.tail)),
		stream:      m,
	}, nil
}

// take finds out how long the file is, and buffers it when that is the only
// way.
func (m *multipartStream) take(file Upload, limit int64) error {
	m.file, m.size = file.Body, file.Size
	if s, ok := file.Body.(io.Seeker); ok {
		start, err := s.Seek(0, io.SeekCurrent)
		if err == nil {
			m.seeker, m.start = s, start
		}
	}
	if m.size > 0 {
		return nil
	}
	switch b := file.Body.(type) {
	case interface{ Len() int }:
		m.size = int64(b.Len())
		return nil
	case *os.File:
		info, err := b.Stat()
		if err == nil && info.Mode().IsRegular() {
			m.size = info.Size() - m.start
			return nil
		}
	}
	if m.seeker != nil {
		end, err := m.seeker.Seek(0, io.SeekEnd)
		if err == nil {
			_, err = m.seeker.Seek(m.start, io.SeekStart)
			m.size = end - m.start
		}
		if err != nil {
			return fmt.Errorf("size of file: %w", err)
		}
		return nil
	}
	if limit == 0 {
		limit = maxBuffered
	}
	b, err := io.ReadAll(io.LimitReader(file.Body, limit+1))
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	r := bytes.NewReader(b)
	m.file, m.seeker, m.start, m.size = r, r, 0, int64(len(b))
	return nil
}

func (e *Endpoint) accept(kind string) Accept {
	for _, a := range e.Accept {
		if a.When == "" || a.When == kind {
			return a
		}
	}
	return Accept{}
}

func (a Accept) check(name string, size int64) error {
	if size == 0 {
		return errors.New("file is empty")
	}
	if a.MaxBytes > 0 && size > a.MaxBytes {
		return fmt.Errorf("file has %d bytes, at most %d are allowed", size, a.MaxBytes)
	}
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	if len(a.Ext) > 0 && !slices.Contains(a.Ext, ext) {
		return fmt.Errorf("file type %q is not allowed, only %s", ext, strings.Join(a.Ext, ", "))
	}
	return nil
}

func badUpload(ep *Endpoint, err error) *Error {
	return &Error{Endpoint: ep.ID, cause: err, category: catBadRequest}
}

// plainName makes a file name the platform can read: no quotes, no encoding,
// ASCII only, with the extension kept.
func plainName(name string) string {
	ext := path.Ext(name)
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
				return r
			}
			return -1
		}, s)
	}
	base := plain(strings.TrimSuffix(name, ext))
	if strings.Trim(base, ".") == "" {
		base = "file"
	}
	return base + plain(ext)
}

// VideoDescription is the description part of a permanent video.
func VideoDescription(title, introduction string) string {
	b, _ := encodeJSON(struct {
		Title        string `json:"title"`
		Introduction string `json:"introduction"`
	}{title, introduction}) // two strings always encode
	return string(b)
}
