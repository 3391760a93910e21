package terminal

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Pager shows long texts screen by screen, with the program that the person likes.
type Pager struct {
	In, Out, Err *os.File
	Getenv       func(string) string
	Environ      []string // of the program
}

// defaultPager leaves what it showed on the screen, ends when the text fits, and shows colours.
const defaultPager = "less -FRX"

// endPager is how long a pager may take to give the terminal back.
const endPager = 300 * time.Millisecond

// command is the program and its arguments, "" for none.
func (p *Pager) command() string {
	for _, variable := range []string{"KEOS_OCI_PAGER=", "PAGER="} {
		for _, entry := range p.Environ { // an empty variable is a wish, too
			if value, is := strings.CutPrefix(entry, variable); is {
				return strings.TrimSpace(value)
			}
		}
	}
	return defaultPager
}

// Usable reports whether a person looks who wants a pager.
func (p *Pager) Usable() bool {
	command := p.command()
	return command != "" && command != "cat" && p.Getenv("TERM") != "dumb" && IsTerminal(p.In) && Escapes(p.Out)
}

// Show runs the pager until the person leaves it. started is called with what ends the pager early, and the function that it returns when
// the pager has ended. A text that fits on the screen is written as it is, and so is one whose pager does not start.
func (p *Pager) Show(text string, started func(end func()) (ended func())) error {
	if columns, rows := Screen(p.Out); rowsOf(text, columns) < rows {
		return p.plain(text)
	}
	cmd := p.program()
	cmd.Stdout, cmd.Stderr = p.Out, p.Err
	cmd.Env = p.Environ
	if p.Getenv("LESS") == "" {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "LESS=FRX")
	}
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	restore := Keep(p.In)
	if cmd.Start() != nil {
		return p.plain(text)
	}
	gone := make(chan struct{})
	ended := started(func() {
		askToEnd(cmd.Process)
		select {
		case <-gone:
		case <-time.After(endPager):
			_ = cmd.Process.Kill()
		}
		restore()
	})
	defer ended()
	_, _ = io.WriteString(input, text) // who leaves early has seen enough
	input.Close()
	err = cmd.Wait()
	close(gone)
	restore()
	if notFound(err) {
		return p.plain(text)
	}
	return nil
}

func (p *Pager) plain(text string) error {
	_, err := io.WriteString(p.Out, text)
	return err
}

// program is the command, by the shell where there is one: it may have quotes and variables.
func (p *Pager) program() *exec.Cmd {
	command := p.command()
	if words := strings.Fields(command); runtime.GOOS == "windows" || command == defaultPager {
		return exec.Command(words[0], words[1:]...) //nolint:gosec,noctx // the person's own program, which ends when the person leaves it
	}
	return exec.Command("sh", "-c", command) //nolint:gosec,noctx // likewise
}

// notFound reports whether the shell found no such program (127), or one that it may not run (126).
func notFound(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && (exit.ExitCode() == 127 || exit.ExitCode() == 126)
}

// rowsOf is how many rows of a screen a text takes.
func rowsOf(text string, columns int) int {
	rows := 0
	for line := range strings.Lines(text) {
		rows += 1 + max(widthOf(strings.TrimSuffix(line, "\n"))-1, 0)/columns
	}
	return rows
}
