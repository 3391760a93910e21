package component

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// The shape of the config file, as the schema lets it through.
type (
	fileShape struct {
		Registry      string           `yaml:"registry"`
		ComponentKind Kind             `yaml:"componentKind"`
		Discover      *[]discoverShape `yaml:"discover"`
		Artifact      artifactShape    `yaml:"artifact"`
		Generate      Generate         `yaml:"generate"`
		Secrets       struct {
			Passwords string            `yaml:"passwords"`
			Allow     []SecretException `yaml:"allow"`
		} `yaml:"secrets"`
		Baseline string        `yaml:"baseline"`
		Formerly []formerShape `yaml:"formerly"`
		Mirrors  []string      `yaml:"mirrors"`
	}
	formerShape struct {
		Repository string `yaml:"repository"`
		Until      string `yaml:"until"`
	}
	discoverShape struct {
		Layout       layout   `yaml:"layout"`
		Path         string   `yaml:"path"`
		Environments []string `yaml:"environments"`
		EnabledFrom  string   `yaml:"enabledFrom"`
	}
	artifactShape struct {
		External    External    `yaml:"external"`
		RemoteBases RemoteBases `yaml:"remoteBases"`
		Ignore      []string    `yaml:"ignore"`
		MaxSize     string      `yaml:"maxSize"`
		Mode        Mode        `yaml:"mode"`
	}
	componentShape struct {
		Name     string   `yaml:"name"`
		Kind     Kind     `yaml:"kind"`
		Paths    []string `yaml:"paths"`
		Root     string   `yaml:"root"`
		Variants []string `yaml:"variants"`
		GitTag   string   `yaml:"gitTag"`
		Ignore   []string `yaml:"ignore"`
	}
	moverShape struct {
		Identity `yaml:",inline"`
		Until    string `yaml:"until"`
	}
	channelShape struct {
		From     Source       `yaml:"from"`
		Branch   string       `yaml:"branch"`
		Promote  Promotion    `yaml:"promote"`
		Journal  *bool        `yaml:"journal"`
		Movers   []moverShape `yaml:"movers"`
		Identity Identity     `yaml:"identity"`

		Identities []Identity `yaml:"identities"`
	}
)

// settings is a config file that was read: its values, and where they stand.
type settings struct {
	config   Config
	shape    fileShape
	doc      *document // empty where there is no file
	channels map[string]channelShape
	dir      string
	extract  func(string) (string, error)
	errs     []error // of extract
}

// loadSettings reads the config file of the workspace; a file that was not asked for by name may be missing.
func loadSettings(o Options) (*settings, error) {
	dir, file := o.Dir, o.ConfigFile
	s := &settings{dir: dir, doc: &document{file: ConfigFile}, channels: defaultChannels()}
	if file == "" {
		s.extract = o.Extract
	}
	data, err := o.config()
	if err != nil {
		return nil, err
	}
	if data != nil {
		s.config.File = file
		if s.config.File == "" {
			s.config.File = ConfigFile
		}
		if err := s.read(s.config.File, data); err != nil {
			return nil, err
		}
	}
	s.fill()
	return s, errors.Join(s.doc.err(), errors.Join(s.errs...))
}

// config returns the text of the config file, nil where there is none.
func (o Options) config() ([]byte, error) {
	switch {
	case o.Config != nil:
		return o.Config, nil
	case o.Commit == "" || o.ConfigFile != "":
		return readConfig(o.Dir, o.ConfigFile)
	}
	f, err := o.FS.Open(ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s of commit %s: %w", ErrConfig, ConfigFile, o.Commit, err)
	}
	defer f.Close()
	return readLimited(f)
}

// readConfig returns nil without an error where the default file does not exist.
func readConfig(dir, file string) ([]byte, error) {
	path := file
	if path == "" {
		path = ConfigFile
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	switch {
	case file == "" && errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is not a file", ErrConfig, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	return readLimited(f)
}

// readLimited reads what a config file may have, and one byte more. It is never nil without an error.
func readLimited(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return append([]byte{}, data...), nil
}

// configPath returns the path of the config file, or of the one there could be, relative to the workspace.
func (s *settings) configPath() string {
	file := orElse(s.config.File, ConfigFile)
	if relative, err := filepath.Rel(s.dir, s.absolute(file)); err == nil {
		return filepath.ToSlash(relative)
	}
	return file
}

// read parses the file, checks it against the schema and takes its values.
func (s *settings) read(file string, data []byte) error {
	if len(data) > maxConfigBytes {
		line := strings.Count(string(data[:maxConfigBytes]), "\n") + 1
		return (&document{file: file, last: line}).failAt(line, "the file is larger than 1 MiB")
	}
	doc, err := parseDocument(file, data)
	if err != nil {
		return err
	}
	s.doc = doc
	schema, err := compileSchema()
	if err != nil {
		return err
	}
	schema.check(doc)
	if err := doc.err(); err != nil {
		return err
	}
	return s.decode()
}

// decode takes the values of a file that the schema let through.
func (s *settings) decode() error {
	if err := s.doc.root.Decode(&s.shape); err != nil {
		return fmt.Errorf("%s: %w: %w", s.doc.file, ErrConfig, err)
	}
	s.config.Signing = s.signing(Signing{}, "signing")
	s.channels = s.mergeChannels(s.channels, "channels")
	return nil
}

// fill puts the defaults where the file says nothing, and parses what is more than a word.
func (s *settings) fill() {
	a := s.shape.Artifact
	s.config.Registry, s.config.Kind, s.config.Secrets = s.shape.Registry, s.shape.ComponentKind, s.shape.Secrets.Allow
	s.config.Passwords = s.shape.Secrets.Passwords
	s.config.Artifact = Artifact{
		External:    orElse(a.External, ExternalError),
		RemoteBases: orElse(a.RemoteBases, RemoteBasesError),
		Ignore:      a.Ignore,
		MaxSize:     s.maxSize(orElse(a.MaxSize, "5Mi")),
		Mode:        orElse(a.Mode, ModeFolder),
	}
	s.config.Baseline = s.baseline()
	s.config.Generate = s.shape.Generate
	s.config.Formerly, s.config.Mirrors = s.formerly(), s.shape.Mirrors
	s.config.Signing.Format = orElse(s.config.Signing.Format, FormatBundle)
	s.config.Channels = finish(s.channels, s.config.Signing)
}

// baseline reads the path of the file with known findings.
func (s *settings) baseline() string {
	if s.shape.Baseline == "" {
		return ""
	}
	file := path.Clean(s.shape.Baseline)
	if !fs.ValidPath(file) || file == "." {
		s.doc.add([]string{"baseline"}, "%q is no file of the workspace: want a path relative to its top folder", s.shape.Baseline)
		return ""
	}
	return file
}

// formerly reads the names that the repository had.
func (s *settings) formerly() []Former {
	var list []Former
	for i, f := range s.shape.Formerly {
		list = append(list, Former{Repository: f.Repository, Until: s.day(f.Until, "formerly", fmt.Sprint(i), "until")})
	}
	return list
}

// day is parseDay for a value at path.
func (s *settings) day(text string, path ...string) time.Time {
	at, err := parseDay(text)
	if err != nil {
		s.doc.add(path, "%q is not a day such as 2026-11-01", text)
	}
	return at
}

// parseDay reads a day (UTC), which begins at midnight, or a time.
func parseDay(text string) (time.Time, error) {
	if at, err := time.Parse(time.DateOnly, text); err == nil {
		return at, nil
	}
	return time.Parse(time.RFC3339, text)
}

func orElse[T ~string](value, fallback T) T {
	if value == "" {
		return fallback
	}
	return value
}

func (s *settings) maxSize(text string) int64 {
	quantity, err := resource.ParseQuantity(text)
	if err != nil || quantity.Value() < 1 {
		s.doc.add([]string{"artifact", "maxSize"}, "%q is not a size: want a number of bytes, or one such as 5Mi", text)
		return 0
	}
	return quantity.Value()
}
