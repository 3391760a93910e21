// Command keos-oci publishes the components of a GitOps checkout as signed OCI artifacts, and moves the tags that
// clusters follow.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	app := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	code := app.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}
