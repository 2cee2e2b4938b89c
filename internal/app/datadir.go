package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// dataDir is the data directory, of which there is one user at a time. The
// server has its control socket there.
type dataDir struct {
	path string
	lock *flock.Flock
}

// sqliteFile is the database of a directory.
const sqliteFile = "wenzi.db"

var errDirInUse = errors.New("数据目录正被另一个 wenzi 使用（the data directory is in use by another wenzi）")

// openDataDir makes the directory if need be and takes it.
func openDataDir(path string) (*dataDir, error) {
	path, err := mkdir(path)
	if err != nil {
		return nil, fmt.Errorf("数据目录（data directory）: %w", err)
	}
	d := &dataDir{path: path, lock: flock.New(filepath.Join(path, "wenzi.lock"))}
	ok, err := d.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("数据目录（data directory）: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s；请先停掉它，或用 --data 换一个目录（stop it, or choose another with --data）", errDirInUse, path)
	}
	return d, nil
}

func (d *dataDir) close() error { return d.lock.Close() }

func socketPath(dir string) string { return filepath.Join(dir, "wenzi.sock") }

// listen opens the control socket, for the owner of the directory only.
func (d *dataDir) listen(ctx context.Context) (net.Listener, error) {
	path := socketPath(d.path)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err) // left behind by one that was killed
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// controlClient talks to the server that uses the directory, if one does.
func controlClient(dir string) (client *http.Client, running bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, false
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socketPath(dir))
	}
	c, err := dial(context.Background(), "", "")
	if err != nil {
		return nil, false
	}
	c.Close()
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}, true
}
