package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// Contents says what is in a backup.
type Contents struct {
	Accounts  int64 // registered
	Turns     int64
	Followers int64
	Bytes     int64
}

// Backup copies a database, which may be in use, into a new file: a SQLite
// database of this program's schema, whatever the engine. The file is there
// only when it is whole.
func Backup(ctx context.Context, database, file string) (c Contents, err error) {
	if file, err = filepath.Abs(file); err != nil { // "file:…" is a name too
		return c, err
	}
	if _, err := os.Lstat(file); err == nil {
		return c, fmt.Errorf("%s 已经存在，请换一个名字（exists already: choose another name）", file)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.tmp") // for the owner only
	if err != nil {
		return c, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name()) // it may have its name already
		}
	}()
	if err := backup(ctx, database, f.Name()); err != nil {
		return c, err
	}
	if c, err = contents(ctx, f.Name()); err != nil {
		return c, err
	}
	if err := f.Sync(); err != nil {
		return c, err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return c, err
	}
	if dir, err := os.Open(filepath.Dir(file)); err == nil {
		_ = dir.Sync() // not every system can
		_ = dir.Close()
	}
	return c, nil
}

// backup fills a file without bytes.
func backup(ctx context.Context, database, file string) error {
	if isPostgres(database) {
		_, err := Copy(ctx, Copying{From: database, To: file})
		return err
	}
	// Not read-only, or it would leave files beside a database that nobody uses.
	from, err := openConnection(ctx, database, url.Values{"mode": {"rw"}})
	if err != nil {
		return err
	}
	older, err := from.older(ctx)
	if err == nil {
		err = from.vacuumInto(ctx, file)
	}
	if err = errors.Join(err, from.close()); err != nil || !older {
		return err
	}
	return upgrade(ctx, file)
}

func contents(ctx context.Context, file string) (c Contents, err error) {
	o, err := openConnection(ctx, file, url.Values{"mode": {"ro"}})
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	err = o.conn.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM accounts WHERE path IS NOT NULL),
		(SELECT count(*) FROM turns), (SELECT count(*) FROM followers)`).Scan(&c.Accounts, &c.Turns, &c.Followers)
	if err != nil {
		return c, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return c, err
	}
	c.Bytes = info.Size()
	return c, nil
}
