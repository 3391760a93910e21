package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The files that TUF is asked for.
const (
	trustedRoot   = "trusted_root.json"
	signingConfig = "signing_config.v0.2.json"
)

// maxKept is how old the last copy of a file from TUF may be to count when TUF is out of reach. Who keeps a machine from TUF for longer
// than this cannot make it trust what TUF has withdrawn.
const maxKept = 30 * 24 * time.Hour

// ErrTUF reports that TUF gives nothing, and that there is no copy either.
var ErrTUF = errors.New("the Sigstore root is out of reach")

// TUFOptions say where the trusted root and the addresses of the services come from. The zero value is the public instance, read with
// http.DefaultClient, and no copy is kept.
type TUFOptions struct {
	Mirror string                                   // URL of the repository
	Root   string                                   // file: its root.json that is trusted first
	Cache  string                                   // folder for the last good copies
	Get    func(url string) (*http.Response, error) // asks the mirror, within a limit of time
	Warn   func(string)                             // is called with a note when a copy is used
	Now    func() time.Time
}

// TUF reads files that The Update Framework vouches for, and remembers the last good ones: verification and rollback go on while the
// repository is out of reach. It is safe for concurrent use.
type TUF struct {
	opts TUFOptions

	mu     sync.Mutex
	client *tuf.Client
	failed error // why there is no client; it is made once
	notes  []string
}

// NewTUF makes a TUF; nothing is read or requested yet.
func NewTUF(o TUFOptions) *TUF {
	if o.Get == nil {
		o.Get = http.DefaultClient.Get //nolint:noctx // the caller sets the limit
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &TUF{opts: o}
}

// Notes says which copies were used, and why.
func (t *TUF) Notes() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.notes)
}

// target reads a file: from TUF, else its last good copy.
func (t *TUF) target(name, what string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	options, err := t.options()
	if err != nil {
		return nil, err
	}
	raw, err := t.ask(options, name)
	file := t.file(options, name)
	if err == nil {
		t.keep(file, raw)
		return raw, nil
	}
	kept, failed := t.kept(file)
	if failed != nil {
		return nil, fmt.Errorf("%w: %w (%w)", ErrTUF, err, failed)
	}
	note := fmt.Sprintf("the %s of %s is used, because TUF cannot be reached: %v", what, kept.Confirmed.UTC().Format(time.DateOnly), err)
	if !slices.Contains(t.notes, note) {
		t.notes = append(t.notes, note)
		if t.opts.Warn != nil {
			t.opts.Warn(note)
		}
	}
	return kept.Data, nil
}

// options are TUF's own. Its client refreshes what it knows once a day, as cosign's does.
func (t *TUF) options() (*tuf.Options, error) {
	o := tuf.DefaultOptions().WithCacheValidity(1)
	if t.opts.Mirror == "" && t.opts.Root == "" {
		return o, nil
	}
	root, err := os.ReadFile(t.opts.Root)
	if err != nil {
		return nil, fmt.Errorf("TUF root: %w", err)
	}
	return o.WithRepositoryBaseURL(t.opts.Mirror).WithRoot(root), nil
}

// ask reads a file through TUF's client.
func (t *TUF) ask(o *tuf.Options, name string) ([]byte, error) {
	fetch := &fetcher{get: t.opts.Get}
	if t.client == nil && t.failed == nil {
		client, err := tuf.New(o.WithFetcher(fetch))
		t.client, t.failed = client, fetch.why(err)
	}
	if t.failed != nil {
		return nil, t.failed
	}
	raw, err := t.client.GetTarget(name)
	return raw, fetch.why(err)
}

// fetcher implements go-tuf's fetcher.Fetcher. It remembers what went wrong, since TUF's client wraps that into much else.
type fetcher struct {
	get    func(url string) (*http.Response, error)
	failed error
}

// DownloadFile reads a file of at most limit bytes.
func (f *fetcher) DownloadFile(address string, limit int64, _ time.Duration) ([]byte, error) {
	raw, status, err := f.read(address, limit)
	switch {
	case err != nil:
		f.failed = fmt.Errorf("%s: %w", shown(address), err)
		return nil, f.failed
	case status != http.StatusOK: // TUF's client looks for a newer root until there is none
		return nil, &metadata.ErrDownloadHTTP{StatusCode: status, URL: address}
	case int64(len(raw)) > limit:
		return nil, &metadata.ErrDownloadLengthMismatch{Msg: fmt.Sprintf("%s has more than %d bytes", address, limit)}
	}
	return raw, nil
}

// shown is an address without its password.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is no URL"
	}
	return u.Redacted()
}

func (f *fetcher) read(address string, limit int64) ([]byte, int, error) {
	resp, err := f.get(address)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	return raw, resp.StatusCode, err
}

func (f *fetcher) why(err error) error {
	if err != nil && f.failed != nil {
		return f.failed
	}
	return err
}

// copied is a file from TUF as the cache has it.
type copied struct {
	Confirmed time.Time // when TUF vouched for it last
	Sum       string    // SHA-256 of Data
	Data      []byte
}

// file is where the copy of a file is. Another mirror or another first root has other copies.
func (t *TUF) file(o *tuf.Options, name string) string {
	of := sha256.Sum256(append([]byte(o.RepositoryBaseURL+"\n"), o.Root...))
	return filepath.Join(t.opts.Cache, hex.EncodeToString(of[:6])+"."+name)
}

// keep remembers what TUF has just vouched for, once a day. A copy that cannot be written is none: the run does not need it.
func (t *TUF) keep(file string, raw []byte) {
	if t.opts.Cache == "" {
		return
	}
	now, sum := t.opts.Now(), sha256.Sum256(raw)
	c := copied{Confirmed: now.UTC(), Sum: hex.EncodeToString(sum[:]), Data: raw}
	if old, err := t.kept(file); err == nil && old.Sum == c.Sum && now.Sub(old.Confirmed) < 24*time.Hour {
		return
	}
	data, err := json.Marshal(c)
	if err != nil || os.MkdirAll(t.opts.Cache, 0o700) != nil {
		return
	}
	temp, err := os.CreateTemp(t.opts.Cache, ".new-")
	if err != nil {
		return
	}
	_, err = temp.Write(data)
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temp.Name())
	}
}

// kept reads a copy. The error says why there is none that counts.
func (t *TUF) kept(file string) (copied, error) {
	var c copied
	if t.opts.Cache == "" {
		return c, errors.New("no copy is kept")
	}
	for _, name := range []string{t.opts.Cache, file} {
		info, err := os.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return c, errors.New("no copy is kept yet")
		case err != nil:
			return c, fmt.Errorf("the kept copy: %w", err)
		case info.Mode().Perm()&0o002 != 0 && runtime.GOOS != "windows":
			return c, fmt.Errorf("the kept copy is not used: everybody can write to %s", name)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("the kept copy: %w", err)
	}
	if err = json.Unmarshal(raw, &c); err == nil {
		if sum := sha256.Sum256(c.Data); hex.EncodeToString(sum[:]) != c.Sum {
			err = errors.New("its bytes do not have their checksum")
		}
	}
	if err != nil {
		return c, fmt.Errorf("the kept copy %s is damaged: %w", file, err)
	}
	if age := t.opts.Now().Sub(c.Confirmed); age > maxKept {
		return c, fmt.Errorf("the kept copy is of %s, which is too long ago", c.Confirmed.UTC().Format(time.DateOnly))
	}
	return c, nil
}
