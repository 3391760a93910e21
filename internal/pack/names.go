package pack

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkName refuses a path that is not text, or that Git would take for a part of its own folder. Git runs hooks and reads
// settings from such a folder, so a folder that somebody pulls must not contain one.
func checkName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return errors.New("the name is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name has control characters")
	}
	// Windows separates folders by backslashes, too.
	for element := range strings.FieldsFuncSeq(name, func(r rune) bool { return r == '/' || r == '\\' }) {
		if isGitFolder(element) {
			return fmt.Errorf("%q is what Git takes for its own folder .git", element)
		}
	}
	return nil
}

// isGitFolder reports whether a file system can read element as .git. The rules are those of Git's core.protectHFS and
// core.protectNTFS, for every system: a folder is unpacked on one machine and copied to another.
func isGitFolder(element string) bool {
	element = strings.Map(withoutIgnorable, element)
	element, _, _ = strings.Cut(element, ":") // NTFS: behind a colon is a stream of the same file
	element = strings.ToLower(strings.TrimRight(element, ". "))
	return element == ".git" || element == "git~1" // git~1: the short name that Windows gives to .git
}

// withoutIgnorable drops the characters that HFS+ ignores in names.
func withoutIgnorable(r rune) rune {
	switch {
	case r >= 0x200c && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x206a && r <= 0x206f, r == 0xfeff:
		return -1
	}
	return r
}
