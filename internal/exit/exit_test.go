package exit

import (
	"errors"
	"fmt"
	"testing"
)

// TestFind: the first kind with a code gives the code, the first with a hint the hint, and bad usage outweighs other exit codes.
func TestFind(t *testing.T) {
	no, slow, bad := errors.New("no"), errors.New("slow"), errors.New("bad")
	table := Table{{Err: no, Code: "no", Exit: No}, {Err: slow, Hint: "wait"}, {Text: "gateway", Code: "proxy", Exit: Failed},
		{Is: func(err error) bool { return errors.Is(err, bad) }, Code: "bad", Exit: Usage}}
	for _, c := range []struct {
		err  error
		want Found
	}{
		{no, Found{"no", No, ""}},
		{fmt.Errorf("%w: %w", slow, no), Found{"no", No, "wait"}},
		{slow, Found{CodeFailed, Failed, "wait"}},
		{errors.New("bad gateway"), Found{"proxy", Failed, ""}},
		{errors.Join(no, bad), Found{"no", Usage, ""}},
		{errors.New("other"), Found{CodeFailed, Failed, ""}},
	} {
		if got := table.Find(c.err); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.err, got, c.want)
		}
	}
}
