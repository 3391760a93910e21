// Package exit has the form of the one table of errors: for each kind of error its code, its exit code and what to do about it. It knows
// no errors itself: internal/release has those of the verbs, and cmd adds its own.
package exit

import (
	"errors"
	"strings"
)

// Exit codes are part of the contract.
const (
	Done   = 0 // done, or nothing to do
	Failed = 1
	Usage  = 2 // usage or configuration
	No     = 3 // the answer is no: unsigned, differs, immutable, backwards
)

// Codes of errors that say no more than that: CodeFailed is for those that have no code of their own.
const (
	CodeFailed = "failed"
	CodeUsage  = "usage"
)

// ErrUsage is a command line, or a request, that contradicts itself.
var ErrUsage = errors.New("usage")

// Kind is a kind of error. One of Err, Is and Text recognises it.
type Kind struct {
	Err  error            // by errors.Is
	Is   func(error) bool // for errors that have a type
	Text string           // what the message of another library contains
	Code string           // a stable word for programs; "" where another kind of the same error has it
	Exit int
	Hint string // what to do next; "" where the message says it

	Advise func(error) string // the hint, where the error has it
	Said   bool               // the message says what to do: kinds that follow add no hint
}

func (k Kind) matches(err error) bool {
	switch {
	case k.Err != nil:
		return errors.Is(err, k.Err)
	case k.Is != nil:
		return k.Is(err)
	}
	return strings.Contains(err.Error(), k.Text)
}

func (k Kind) hint(err error) string {
	if k.Advise != nil {
		return k.Advise(err)
	}
	return k.Hint
}

// Table is kinds of errors. Where an error is of several kinds, the first one counts.
type Table []Kind

// Found is what is known of one error.
type Found struct {
	Code string
	Exit int
	Hint string
}

// Find gives the code and the hint of the first kind that has one. The exit code is that of the code, but bad usage outweighs it: then
// nothing was done.
func (t Table) Find(err error) Found {
	var f Found
	usage, said := false, false
	for _, k := range t {
		if !k.matches(err) {
			continue
		}
		if f.Code == "" && k.Code != "" {
			f.Code, f.Exit = k.Code, k.Exit
		}
		if f.Hint == "" && !said {
			f.Hint = k.hint(err)
		}
		said = said || k.Said
		usage = usage || k.Exit == Usage
	}
	if f.Code == "" {
		f.Code, f.Exit = CodeFailed, Failed
	}
	if usage {
		f.Exit = Usage
	}
	return f
}
