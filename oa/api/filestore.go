package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// FileStore is a [Store] for the processes of one machine. The files of its
// directory hold tokens and are readable by their owner only.
type FileStore struct {
	dir string
}

// NewFileStore keeps its files in a directory, which is made if it is missing.
func NewFileStore(dir string) (*FileStore, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("api: token store: %w", err)
	}
	return &FileStore{dir: dir}, nil
}

type fileValue struct {
	Key     string    `json:"key"`
	Expires time.Time `json:"expires,omitzero"`
	Value   []byte    `json:"value"`
}

// path names the file of a key. Keys hold AppIDs and slashes, so it is a hash.
func (s *FileStore) path(key, ext string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(s.dir, hex.EncodeToString(sum[:12])+ext)
}

// Get implements [Store]. A damaged file counts as absent.
func (s *FileStore) Get(_ context.Context, key string) ([]byte, bool, error) {
	b, err := os.ReadFile(s.path(key, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("api: token store: %w", err)
	}
	var v fileValue
	good := json.Unmarshal(b, &v) == nil && v.Key == key && (v.Expires.IsZero() || time.Now().Before(v.Expires))
	return v.Value, good, nil
}

// Set implements [Store]. It writes a new file and moves it over the old one.
func (s *FileStore) Set(_ context.Context, key string, value []byte, ttl time.Duration) error {
	v := fileValue{Key: key, Value: value}
	if ttl > 0 {
		v.Expires = time.Now().Add(ttl)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("api: token store: %w", err)
	}
	f, err := os.CreateTemp(s.dir, "new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("api: token store: %w", err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), s.path(key, ".json"))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // of no use to anybody
		return fmt.Errorf("api: token store: %w", err)
	}
	return nil
}

// Lease implements [Store] with a lock of the operating system, which ends
// with the process that holds it. The ttl is not needed.
func (s *FileStore) Lease(_ context.Context, key string, _ time.Duration) (func(), bool, error) {
	release, ok, err := lockFile(s.path(key, ".lock"))
	if err != nil {
		err = fmt.Errorf("api: token store: %w", err)
	}
	return release, ok, err
}
