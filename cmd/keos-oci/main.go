// Command keos-oci publishes the components of a GitOps checkout as signed OCI artifacts, and moves the tags that
// clusters follow.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/stratio/keos-oci/internal/git"
)

// memoryLimit makes the garbage collector run more often instead of letting the heap double. CI runners are small, and a run
// needs little memory at a time, however many components there are.
const memoryLimit = 48 << 20

func main() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
		debug.SetGCPercent(400) // below the limit, memory is cheaper than collecting
	}
	if err := git.Confine(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(exitFailed)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	app := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(app.supervise(os.Args[1:], signals))
}
