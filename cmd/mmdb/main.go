package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"mmdb/cmd/mmdb/quiet"
)

func init() { quiet.Restore() }

func main() {
	// With a channel registered, a write to a closed pipe is an error (EPIPE)
	// and not the end of the process, so transactions and temporary files are
	// ended properly.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := runContext(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
