package release

import (
	"errors"
	"strings"
	"testing"

	"github.com/stratio/keos-oci/internal/exit"
	"github.com/stratio/keos-oci/internal/tag"
)

// TestReadMoveItems: a file with comments and empty lines, and the errors with their lines.
func TestReadMoveItems(t *testing.T) {
	items, err := ReadMoveItems(strings.NewReader("# train\nfrontend v1.2.3 # first\n\nbackend\n"), "train.txt", true)
	if err != nil || len(items) != 2 || items[0].Component != "frontend" || tag.Version(items[0].Version) != "v1.2.3" ||
		items[1].Component != "backend" || items[1].Version != nil {
		t.Errorf("items = %+v, %v", items, err)
	}
	for text, want := range map[string]string{
		"frontend v1.2.3\nbackend\n": "train.txt:2: want COMPONENT VERSION",
		"a v1.2.3 now\n":             "train.txt:1: want COMPONENT VERSION",
		"\nfrontend 1.x\n":           "train.txt:2: ",
		"# nothing\n":                "train.txt has no component",
		"a v1.2.3\nb " + strings.Repeat("v", 1<<17) + "\n": "train.txt:2: ",
	} {
		items, err := ReadMoveItems(strings.NewReader(text), "train.txt", false)
		if err == nil || items != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v; want %s", text, items, err, want)
		}
		if strings.Contains(want, "COMPONENT") && !errors.Is(err, exit.ErrUsage) {
			t.Errorf("%.40q: %v is not an error of usage", text, err)
		}
	}
}
