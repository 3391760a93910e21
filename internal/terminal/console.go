package terminal

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// ColourMode is the value of --color.
type ColourMode string

// The modes. ColourAuto asks the environment and the stream.
const (
	ColourAuto   ColourMode = "auto"
	ColourAlways ColourMode = "always"
	ColourNever  ColourMode = "never"
)

// Check reports a mode that does not exist.
func (m ColourMode) Check() error {
	switch m {
	case ColourAuto, ColourAlways, ColourNever:
		return nil
	}
	return fmt.Errorf("--color %s is unknown; use auto, always or never", m)
}

// Coloured reports whether what is written to w has colours. The flag decides first, then NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM,
// then what w is: standard output may be a file while standard error is a terminal.
func (m ColourMode) Coloured(w io.Writer, getenv func(string) string) bool {
	force := getenv("CLICOLOR_FORCE")
	switch {
	case m == ColourAlways:
		Escapes(w) // a terminal of Windows has to be asked for them
		return true
	case m == ColourNever, getenv("NO_COLOR") != "":
		return false
	case force != "" && force != "0":
		Escapes(w)
		return true
	case getenv("CLICOLOR") == "0", getenv("TERM") == "dumb":
		return false
	}
	return Escapes(w)
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && f != nil && term.IsTerminal(int(f.Fd()))
}

// Escapes reports whether a stream is a terminal that obeys escape sequences.
func Escapes(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && IsTerminal(f) && enableEscapes(f)
}

// The size of a terminal that does not know its own.
const (
	defaultColumns = 80
	defaultRows    = 24
)

// Screen is the size of the terminal that w is.
func Screen(w io.Writer) (columns, rows int) {
	f, ok := w.(*os.File)
	if !ok {
		return defaultColumns, defaultRows
	}
	columns, rows, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 || rows <= 0 {
		return defaultColumns, defaultRows
	}
	return columns, rows
}
