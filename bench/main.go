// Command bench measures keos-oci beside a floor: a client that does the same job in the same safe order, with the fewest
// requests that this takes on a registry without the referrers API. Both are whole processes, in one run, in turns,
// against the same real registry behind a proxy that counts requests and delays them, so their ratio is the same on noisy
// machines where seconds do not. Promotion is measured the same way beside the commands that people run instead: crane and
// cosign. The Sigstore services of keyless runs are neither counted nor delayed.
//
// It prints one Markdown table with the limits beside the figures. It fails when a tool failed, did not say that it did
// its job, or made more requests than it may; a missed limit of time or memory is only reported. It needs git and the
// keos-oci binary, works in a temporary folder, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the benchmark, or one of the two parts of it that are processes of their own.
func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "proxy":
			return proxyMain(args[1:])
		case "floor":
			return floorMain(ctx, args[1:])
		}
	}
	return benchMain(ctx, args)
}

func benchMain(ctx context.Context, args []string) error {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.keosOCI, "keos-oci", "../bin/keos-oci", "the binary to measure")
	flags.IntVar(&o.n, "n", 100, "components")
	flags.IntVar(&o.reps, "reps", 3, "repetitions; the table has their medians")
	flags.DurationVar(&o.delay, "delay", 30*time.Millisecond, "added to every request")
	flags.IntVar(&o.big, "big", 500, "components of the memory runs, which have no delay; 0 skips them")
	flags.IntVar(&o.mono, "monorepo", 2000, "components of the monorepo that is published unchanged; 0 skips it")
	flags.StringVar(&o.stack, "sigstack", "", "binary of the Sigstore stack, for keyless runs")
	flags.StringVar(&o.crane, "crane", "", "crane, to compare promote with")
	flags.StringVar(&o.cosign, "cosign", "", "cosign v2, to compare promote of one component with, after crane")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || o.n < 1 || o.reps < 1 || o.big < 0 || o.mono < 0 || o.delay < 0 {
		return errors.New("want -n and -reps of at least 1, -big, -monorepo and -delay of at least 0, and no arguments")
	}
	rows, err := bench(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	fmt.Print(table(rows))
	return tooManyRequests(rows)
}
