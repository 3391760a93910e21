package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxAnswer bounds what a person types.
const maxAnswer = 1024

// Ask prints a question and reports whether the answer is yes: y or yes. Every other answer is no, and so is the end of the input. The
// end of ctx ends the question, and its cause is the error.
func Ask(ctx context.Context, in io.Reader, out io.Writer, question string) (bool, error) {
	text, err := Line(ctx, in, out, question+" [y/N] ")
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	answer := strings.ToLower(text)
	return err == nil && (answer == "y" || answer == "yes"), err
}

// Line prints a prompt and reads one line, without the spaces around it. The end of ctx ends the prompt, and its cause is the error.
func Line(ctx context.Context, in io.Reader, out io.Writer, prompt string) (string, error) {
	fmt.Fprint(out, prompt)
	type line struct {
		text string
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := readLine(in)
		typed <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return "", context.Cause(ctx)
	case l := <-typed:
		if errors.Is(l.err, io.EOF) {
			fmt.Fprintln(out)
		}
		return strings.TrimSpace(l.text), l.err
	}
}

// readLine reads one line and nothing after it: the next prompt has the next line.
func readLine(in io.Reader) (string, error) {
	var line []byte
	letter := make([]byte, 1)
	for len(line) < maxAnswer {
		n, err := in.Read(letter)
		if n == 1 && letter[0] == '\n' {
			break
		}
		if line = append(line, letter[:n]...); err != nil {
			return string(line), err
		}
	}
	return string(line), nil
}

// Keep remembers how a terminal is, and gives what makes it so again.
func Keep(in *os.File) (restore func()) {
	state, err := term.GetState(int(in.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(int(in.Fd()), state) }
}

// Secret prints a prompt and reads a line that the terminal does not show. When stop is closed, the terminal shows again what is typed,
// and the error is stopped's.
func Secret(in *os.File, out io.Writer, prompt string, stop <-chan struct{}, stopped func() error) ([]byte, error) {
	restore := Keep(in)
	fmt.Fprint(out, prompt)
	defer fmt.Fprintln(out)
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(int(in.Fd()))
		typed <- line{text, err}
	}()
	select {
	case <-stop:
		restore()
		return nil, stopped()
	case l := <-typed:
		return l.text, l.err
	}
}
