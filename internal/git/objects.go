package git

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrMissing reports an object that this clone does not have, as in a partial one.
var ErrMissing = errors.New("this clone does not have the object")

// objects reads objects by their names, from one git cat-file that is started when it is needed.
type objects struct {
	mu      sync.Mutex
	start   func() error
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  bytes.Buffer
}

func newObjects(ctx context.Context, dir string) *objects {
	o := &objects{}
	o.start = sync.OnceValue(func() error { return o.run(ctx, dir) })
	return o
}

func (o *objects) run(ctx context.Context, dir string) (err error) {
	cmd := exec.CommandContext(ctx, "git", append(safeConfig(), "cat-file", "--batch")...)
	cmd.Dir, cmd.Env, cmd.WaitDelay, cmd.Stderr = dir, environment(os.Environ()), 5*time.Second, &o.stderr
	if o.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	o.out = bufio.NewReaderSize(out, 64<<10)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	o.command = cmd
	return nil
}

// read returns the content of the blob with this name.
func (o *objects) read(name string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.start(); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(o.in, name+"\n"); err != nil {
		return nil, o.failed(name, err)
	}
	header, err := o.out.ReadString('\n') // <name> SP <type> SP <size>, or <name> SP missing
	if err != nil {
		return nil, o.failed(name, err)
	}
	fields := strings.Fields(header)
	if len(fields) == 2 && fields[1] == "missing" {
		return nil, missing(name)
	}
	if len(fields) != 3 || fields[1] != "blob" {
		return nil, fmt.Errorf("unexpected answer %q of git cat-file", header)
	}
	size, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("unexpected answer %q of git cat-file", header)
	}
	if size > maxBlob {
		_, err := io.CopyN(io.Discard, o.out, size+1)
		return nil, errors.Join(fmt.Errorf("it has %d bytes, more than %d", size, maxBlob), err)
	}
	data := make([]byte, size+1) // a line break follows
	if _, err := io.ReadFull(o.out, data); err != nil {
		return nil, o.failed(name, err)
	}
	data = data[:size]
	if got := blobName(data, len(name)); got != name {
		return nil, fmt.Errorf("git object %s is damaged: its content is %s", name, got)
	}
	return data, nil
}

func missing(name string) error {
	return fmt.Errorf("%w %s: fetch it, with git fetch --refetch in a partial clone", ErrMissing, name)
}

// failed says what git said when it ended. In a partial clone it ends when it lacks an object.
func (o *objects) failed(name string, err error) error {
	if o.command != nil {
		err = errors.Join(err, o.in.Close(), o.command.Wait())
		o.command = nil
	}
	if strings.Contains(o.stderr.String(), "promisor remote") {
		return missing(name)
	}
	return fmt.Errorf("git cat-file: %w %s", err, strings.TrimSpace(o.stderr.String()))
}

func (o *objects) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.command == nil {
		return nil
	}
	err := errors.Join(o.in.Close(), o.command.Wait())
	o.command = nil
	return err
}
