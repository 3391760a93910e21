package component

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
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

// signing reads the settings at path over those of base, which hold where the file says nothing else.
func (s *settings) signing(base Signing, path ...string) Signing {
	node := s.doc.value(path...)
	if node == nil {
		return base
	}
	signing := base
	s.take(node, &signing, path)
	signing.Identity = s.identity(base.Identity, with(path, "identity"))
	s.checkIdentities(signing.Identities, with(path, "identities"))
	if s.doc.value(with(path, "keys")...) != nil {
		signing.Keys = make([]string, len(signing.Keys))
		for i, key := range s.keysAt(with(path, "keys")) {
			signing.Keys[i] = s.onDisk(key)
		}
	}
	if node := s.doc.value(with(path, "key")...); node != nil && !strings.Contains(signing.Key, "://") {
		signing.Key = s.onDisk(signing.Key)
	}
	if s.doc.value(with(path, "trustedRoot")...) != nil {
		signing.TrustedRoot = s.onDisk(signing.TrustedRoot)
	}
	return signing
}

func (s *settings) keysAt(path []string) []string {
	var keys []string
	s.take(s.doc.value(path...), &keys, path)
	return keys
}

func (s *settings) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, filepath.FromSlash(path))
}

// onDisk is the absolute path of a file that the config names. What the commit of the config has is that commit's.
func (s *settings) onDisk(path string) string {
	if s.extract == nil || filepath.IsAbs(path) {
		return s.absolute(path)
	}
	found, err := s.extract(path)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	return orElse(found, s.absolute(path))
}

// identity reads one over another. A subject of one form replaces a subject of the other.
func (s *settings) identity(base Identity, path []string) Identity {
	node := s.doc.value(path...)
	if node == nil {
		return base
	}
	var own Identity
	s.take(node, &own, path)
	s.checkIdentity(own, path)
	own.Issuer, own.Repository, own.RepositoryID = orElse(own.Issuer, base.Issuer), orElse(own.Repository,
		base.Repository), orElse(own.RepositoryID, base.RepositoryID)
	if len(own.Triggers) == 0 {
		own.Triggers = base.Triggers
	}
	if own.Subject == "" && own.SubjectRegexp == "" {
		own.Subject, own.SubjectRegexp = base.Subject, base.SubjectRegexp
	}
	return own
}

func (s *settings) checkIdentity(identity Identity, path []string) {
	if identity.Subject != "" && identity.SubjectRegexp != "" {
		s.doc.add(with(path, "subjectRegexp"), "give either subject or subjectRegexp")
	}
	if _, err := regexp.Compile(identity.SubjectRegexp); err != nil {
		s.doc.add(with(path, "subjectRegexp"), "%v", err)
	}
}

func (s *settings) checkIdentities(list []Identity, path []string) {
	for i, identity := range list {
		s.checkIdentity(identity, with(path, fmt.Sprint(i)))
	}
}

// mergeChannels reads the channels at path over those of base.
func (s *settings) mergeChannels(base map[string]channelShape, path ...string) map[string]channelShape {
	merged := make(map[string]channelShape, len(base))
	for name, channel := range base {
		merged[name] = channel
	}
	for _, name := range keys(s.doc.value(path...)) {
		at := with(path, name)
		channel := merged[name]
		if channel.Journal != nil { // decoding writes through a pointer, which base shares
			journal := *channel.Journal
			channel.Journal = &journal
		}
		s.take(s.doc.value(at...), &channel, at)
		channel.Identity = s.identity(merged[name].Identity, with(at, "identity"))
		s.checkChannel(&channel, name, at)
		merged[name] = channel
	}
	return merged
}

func (s *settings) checkChannel(channel *channelShape, name string, path []string) {
	given := func(key string) bool { return s.doc.value(with(path, key)...) != nil }
	switch {
	case channel.From == "":
		s.doc.add(path, "from is missing: want branch or version")
	case channel.From == FromBranch && given("promote"):
		s.doc.add(with(path, "promote"), "only for channels that follow versions (from: version)")
	case channel.From == FromVersion && given("branch"):
		s.doc.add(with(path, "branch"), "only for channels that follow a branch (from: branch)")
	}
	if isVersion(name) || strings.HasPrefix(name, "sha256-") {
		s.doc.add(path, "%q cannot be a channel: such tags have another meaning", name)
	}
	for i, m := range channel.Movers {
		at := with(path, "movers", fmt.Sprint(i))
		if s.checkIdentity(m.Identity, at); m.Until != "" {
			s.day(m.Until, with(at, "until")...)
		}
	}
	s.checkIdentities(channel.Identities, with(path, "identities"))
}

// take decodes a value that the schema let through; a fault here is one of the schema, and still told with its line.
func (s *settings) take(node *yaml.Node, into any, path []string) {
	if err := node.Decode(into); err != nil {
		s.doc.add(path, "%v", err)
	}
}

// defaultChannels is what a workspace has that configures none.
func defaultChannels() map[string]channelShape {
	return map[string]channelShape{"latest": {From: FromBranch}, "latest-stable": {From: FromVersion}}
}

// finish turns channels that were read and merged into what the rest of the program sees.
func finish(shapes map[string]channelShape, signing Signing) Channels {
	channels := make(Channels, 0, len(shapes))
	for name, shape := range shapes {
		channel := Channel{Name: name, From: shape.From, Movers: movers(shape.Movers), Identities: identities(shape.Identity, shape.Identities)}
		if channel.From == FromBranch {
			channel.Branch = orElse(shape.Branch, "main")
		} else {
			channel.Promote = orElse(shape.Promote, PromoteAuto)
			channel.Journal = true
		}
		if shape.Journal != nil {
			channel.Journal = *shape.Journal
		}
		if len(channel.Identities) == 0 {
			channel.Identities = identities(signing.Identity, signing.Identities)
		}
		channels = append(channels, channel)
	}
	slices.SortFunc(channels, func(a, b Channel) int { return strings.Compare(a.Name, b.Name) })
	return channels
}

// movers is what checkChannel has checked.
func movers(shapes []moverShape) []Mover {
	var list []Mover
	for _, m := range shapes {
		until, _ := parseDay(m.Until) // zero for none
		list = append(list, Mover{m.Identity, until})
	}
	return list
}

// identities is the single one and those of the list.
func identities(one Identity, list []Identity) []Identity {
	if one.IsZero() {
		return list
	}
	return append([]Identity{one}, list...)
}

// keys returns the keys of a mapping in the order in which they stand.
func keys(node *yaml.Node) []string {
	if node == nil {
		return nil
	}
	var keys []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		keys = append(keys, resolve(node.Content[i]).Value)
	}
	return keys
}
