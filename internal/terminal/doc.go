// Package terminal is what people read and write at a terminal, in a log or on a page. It shows hostile characters as escapes, aligns
// tables, fits them into the width of the terminal, and colours words. It does not know what it prints: package render does.
package terminal
