package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wenzihq/wenzi/internal/store"
)

// backupCmd copies everything into one file.
type backupCmd struct {
	storage
	File string `arg:"" help:"备份文件，不能已经存在 — the new file."`
}

// Run leaves the data directory to the server that may use it.
func (c *backupCmd) Run(e *env) error {
	if c.missing() {
		return errUsage{fmt.Errorf("%s 里没有数据库，用 --data 指明（there is no database; give --data）", c.Data)}
	}
	contents, err := store.Backup(e.ctx, c.database(), c.File)
	if err != nil {
		return copyFailed(e.ctx, err)
	}
	_, err = fmt.Fprintf(e.stdout, `已备份到 %s（backed up）

  公众号 accounts   %d
  消息   turns      %d
  粉丝   followers  %d
  字节   bytes      %d

里面有密钥和聊天内容，请妥善保管；恢复：wenzi restore（it holds secrets and messages: keep it safe）
`, c.File, contents.Accounts, contents.Turns, contents.Followers, contents.Bytes)
	return err
}

// restoreCmd puts a backup into an empty database.
type restoreCmd struct {
	storage
	File string `arg:"" help:"wenzi backup 写的文件 — a file of wenzi backup."`
}

// Run takes the data directory, so that no server begins to use it meanwhile.
func (c *restoreCmd) Run(e *env) (err error) {
	file, err := filepath.Abs(c.File)
	if err != nil {
		return err
	}
	if err := regular(file); err != nil {
		return errUsage{err}
	}
	if c.Database == "" {
		d, err := openDataDir(c.Data)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.close()) }()
	}
	counts, err := store.Copy(e.ctx, store.Copying{From: file, To: c.database()})
	if err != nil {
		return copyFailed(e.ctx, err)
	}
	if err := showCounts(e.stdout, counts); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "\n已恢复到 %s（restored）\n下一步（next）： %s\n", shownAddress(c.database()), serveCommand(c.Data, c.Database))
	return err
}

func (c *storage) database() string {
	at := settings{Data: c.Data, Database: c.Database}
	return at.database()
}

// regular fails where there is no file to copy from.
func regular(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("没有文件 %s（there is no such file）", file)
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s 不是文件（is no file）", file)
	}
	return err
}

// copyFailed is what the owner reads about a copy that did not come to its end.
func copyFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("已中断，什么都没有改变（interrupted; nothing was changed）")
	}
	return err
}
