// Package app is the program around the rooms: its commands, settings, wiring
// and life cycle.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// env is what a command gets from outside.
type env struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

type cli struct {
	Serve   serveCmd   `cmd:"" help:"启动服务 — answer WeChat."`
	Say     sayCmd     `cmd:"" help:"扮演微信，发一条消息 — play WeChat for one message and judge the replies."`
	Sim     simCmd     `cmd:"" help:"模拟微信：接口、聊天、页面 — a simulated WeChat to develop and test against."`
	Apply   applyCmd   `cmd:"" help:"应用 bot.yaml — change the registered accounts."`
	Export  exportCmd  `cmd:"" help:"导出 bot.yaml — print the registered accounts, secrets masked."`
	Turns   turnsCmd   `cmd:"" help:"列出消息和它们的经过 — list messages, or the whole timeline of one."`
	Backup  backupCmd  `cmd:"" help:"备份：运行中也可以，全部写进一个文件 — copy everything into one file, also while the server runs."`
	Restore restoreCmd `cmd:"" help:"把备份放进空的数据库 — put a backup into an empty database."`
	Migrate migrateCmd `cmd:"" help:"换数据库：SQLite 与 PostgreSQL 之间搬家 — move everything to another database."`
	Call    callCmd    `cmd:"" help:"调用微信接口 — call the platform's HTTP API."`
	OpenAPI openapiCmd `cmd:"" name:"openapi" help:"打印微信接口的 OpenAPI 文档 — print the API as an OpenAPI 3.1 document."`
	Config  configCmd  `cmd:"" help:"显示生效的设置 — print the settings in force, secrets masked."`
	Version versionCmd `cmd:"" help:"显示版本 — print the version."`
}

// Run runs the command of args and returns the exit status: 0, 1 when it
// failed, 2 when it was called or configured wrongly.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	exit := -1
	parser, err := kong.New(&c,
		kong.Name("wenzi"),
		kong.Description("雯子：微信公众号机器人 — answers WeChat Official Accounts."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Resolvers(&fileResolver{}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "wenzi:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if exit >= 0 { // --help has been shown
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "wenzi: %v\n用法见 wenzi --help（see wenzi --help）\n", err)
		return 2
	}
	err = k.Run(&env{ctx: ctx, stdout: stdout, stderr: stderr})
	if exit >= 0 {
		return exit
	}
	if err == nil {
		return 0
	}
	if _, silent := errors.AsType[errSilent](err); !silent {
		fmt.Fprintln(stderr, "wenzi:", err)
	}
	if _, usage := errors.AsType[errUsage](err); usage {
		return 2
	}
	return 1
}

// errSilent is a failure of which everything has been said.
type errSilent struct{}

func (errSilent) Error() string { return "failed" }

// errUsage is a mistake in what the owner wrote.
type errUsage struct{ error }

func (e errUsage) Unwrap() error { return e.error }

type versionCmd struct{}

func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.stdout, "wenzi", version())
	return err
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
