package component

import (
	"errors"
	"strconv"
	"strings"
)

// ErrConfig is what every fault in the config file, or in what it says about the checkout, is.
var ErrConfig = errors.New("invalid configuration")

// Violation is one fault in the config file. Line is 0 where no line is to blame, Path is empty for the whole file.
type Violation struct {
	File    string
	Line    int
	Path    string // such as components.frontend.paths[0]
	Message string
}

// String formats the violation as file:line: path: message.
func (v Violation) String() string {
	var b strings.Builder
	b.WriteString(v.File)
	if v.Line > 0 {
		b.WriteString(":" + strconv.Itoa(v.Line))
	}
	b.WriteString(": ")
	if v.Path != "" {
		b.WriteString(v.Path + ": ")
	}
	b.WriteString(v.Message)
	return b.String()
}

// ConfigError is what is wrong with the config file, in the order of its lines; of very many faults, the first of them.
// It is an ErrConfig.
type ConfigError struct{ Violations []Violation }

// Error lists the violations, one on each line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes a ConfigError an ErrConfig.
func (e *ConfigError) Unwrap() error { return ErrConfig }
