package app

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/wenzihq/wenzi/internal/store"
)

// migrateCmd moves everything from one database to another.
type migrateCmd struct {
	storage
	From string `required:"" placeholder:"DB" help:"来源：sqlite（数据目录里的）、postgres（--database）、SQLite 文件或 postgres://… — the source."`
	To   string `required:"" placeholder:"DB" help:"目标，写法同上，必须是空的 — the target, which must be empty."`
}

// place is one end of the move.
type place struct {
	database string
	dir      string // the data directory it is in; "" for none
}

// Run takes the data directories at both ends.
func (c *migrateCmd) Run(e *env) (err error) {
	from, err := c.place("--from", c.From)
	if err != nil {
		return errUsage{err}
	}
	to, err := c.place("--to", c.To)
	if err != nil {
		return errUsage{err}
	}
	if from == to {
		return errUsage{errors.New("--from 和 --to 是同一个数据库（are the same database）")}
	}
	if !isPostgres(from.database) {
		if err := regular(from.database); err != nil {
			return errUsage{fmt.Errorf("--from: %w", err)}
		}
	}
	dirs := []string{from.dir}
	if to.dir != from.dir {
		dirs = append(dirs, to.dir)
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		d, err := openDataDir(dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.close()) }()
	}
	counts, err := store.Copy(e.ctx, store.Copying{From: from.database, To: to.database, Moving: true})
	if len(counts) > 0 {
		if err := showCounts(e.stdout, counts); err != nil {
			return err
		}
	}
	if err != nil {
		return copyFailed(e.ctx, err)
	}
	next := fmt.Sprintf("wenzi restore %s", to.database)
	switch {
	case isPostgres(to.database):
		next = serveCommand(c.Data, to.database)
	case to.dir != "":
		next = serveCommand(to.dir, "")
	}
	_, err = fmt.Fprintf(e.stdout, `
已搬到 %s，每个表的条数都一致（everything is there, the counts are the same）
下一步（next）： %s
来源没有改动，确认正常后再删（the source is as it was; delete it when all is well）
`, shownAddress(to.database), next)
	return err
}

// place reads what --from or --to says.
func (c *migrateCmd) place(flag, word string) (place, error) {
	switch {
	case word == "postgres" && c.Database == "":
		return place{}, fmt.Errorf("%s postgres: 还要用 --database 或 WENZI_DATABASE 给出地址（needs its address by --database or WENZI_DATABASE）", flag)
	case word == "postgres":
		return place{database: c.Database}, nil
	case isPostgres(word):
		return place{database: word}, nil
	case word == "":
		return place{}, fmt.Errorf("%s: 不能为空（must not be empty）", flag)
	case word == "sqlite":
		word = filepath.Join(c.Data, sqliteFile)
	}
	file, err := filepath.Abs(word)
	if err != nil {
		return place{}, err
	}
	p := place{database: file}
	if filepath.Base(file) == sqliteFile {
		p.dir = filepath.Dir(file)
	}
	return p, nil
}

// serveCommand starts a server on that database.
func serveCommand(data, database string) string {
	if database != "" {
		return fmt.Sprintf("wenzi serve --data %s --database '%s'", data, shownAddress(database))
	}
	return "wenzi serve --data " + data
}

func showCounts(w io.Writer, counts []store.TableCount) error {
	if _, err := fmt.Fprintf(w, "%-12s %12s %12s\n", "table", "from", "to"); err != nil {
		return err
	}
	for _, n := range counts {
		differs := ""
		if n.From != n.To {
			differs = "  ← 不一致（differs）"
		}
		if _, err := fmt.Fprintf(w, "%-12s %12d %12d%s\n", n.Table, n.From, n.To, differs); err != nil {
			return err
		}
	}
	return nil
}
