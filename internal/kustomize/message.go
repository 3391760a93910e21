package kustomize

import (
	"regexp"
	"strings"
)

// maxMessage bounds what is repeated of kustomize's errors, in characters.
const maxMessage = 600

// Shortened cuts a message that is longer than anybody reads.
func Shortened(message string) string {
	if runes := []rune(message); len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "…"
	}
	return message
}

// Innermost cuts the sentences with which kustomize says through which folders it came.
func Innermost(message string) string {
	for _, frame := range []string{`recursed accumulation of path '[^']*': `, `couldn't make target for path '[^']*': `} {
		if all := regexp.MustCompile(frame).FindAllStringIndex(message, -1); all != nil {
			message = message[all[len(all)-1][1]:]
		}
	}
	message = strings.TrimPrefix(message, "accumulating resources: ")
	// What follows is kustomize trying the file as a folder, which it never was.
	if cause, _, ok := strings.Cut(message, "': must build at directory: "); ok {
		message = strings.TrimPrefix(cause, "accumulation err='")
	}
	return message
}
