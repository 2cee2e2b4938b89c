// Command wenzi answers WeChat Official Accounts (微信公众号).
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/wenzihq/wenzi/internal/app"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := app.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
