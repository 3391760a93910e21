package release

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/tag"
)

// ParseMoveItem reads the words COMPONENT and VERSION. The version may be absent.
func ParseMoveItem(words []string) (item MoveItem, err error) {
	item.Component = words[0]
	if len(words) == 2 {
		item.Version, err = tag.ParseVersion(words[1])
	}
	return item, err
}

// ReadMoveItems reads one COMPONENT VERSION per line. A # begins a comment. With bare, a line may have the component alone. Errors have
// the name of the file and the number of the line.
func ReadMoveItems(in io.Reader, file string, bare bool) ([]MoveItem, error) {
	var items []MoveItem
	line := 0
	sc := bufio.NewScanner(in)
	for sc.Scan() {
		line++
		text, _, _ := strings.Cut(sc.Text(), "#")
		words := strings.Fields(text)
		switch {
		case len(words) == 0:
			continue
		case len(words) == 2, len(words) == 1 && bare:
			item, err := ParseMoveItem(words)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, line, err)
			}
			items = append(items, item)
		default:
			return nil, fmt.Errorf("%w: %s:%d: want COMPONENT VERSION", exit.ErrUsage, file, line)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", file, line+1, err)
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("%w: %s has no component", exit.ErrUsage, file)
	}
	return items, nil
}
