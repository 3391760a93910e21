package component

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stratio/keos-oci/internal/kustomize"
)

// Survey is the content of a checkout, published or not. A config file is proposed from it. It
// knows more layouts than Load accepts without a config file, since nothing is published from a survey.
type Survey struct {
	Clusters   []string // folders of clusters/ with Flux objects
	Operator   bool     // one of them has a FluxInstance, so that the repository as a whole is what clusters sync
	Bootstrap  Bootstrap
	Builds     []Build  // folders of this repository, outside clusters/, that clusters build
	Components []string // folders of components/ with a kustomization
	Templates  []string // folders of components/ and clusters/ left out because of their names
	Folders    []Folder // the other folders at the top that hold something
	Top        Folder   // the top folder itself, as a place of environments
}

// Bootstrap is whether `flux bootstrap` has put Flux's own installation, gotk-components.yaml, below clusters/; and whether
// a cluster builds it with its folder, so that an artifact without it would not build to the same objects.
type Bootstrap struct{ Found, Built bool }

// Build is a folder of this repository that a cluster builds.
type Build struct {
	Cluster string
	Path    string
	Source  string // kind/name
	Own     bool   // the source is that from which the cluster takes its own folder
}

// Folder is a folder and what is known of its layout.
type Folder struct {
	Path           string
	Manifests      bool     // it has YAML
	Kustomizations bool     // one of them is a kustomization
	Environments   []string // folders in it that are environments or their common base, with kustomizations
	Others         []string // the other folders in it that have kustomizations
	Apps           bool     // each of Others consists of variants, as a component does
	Remote         []Remote // references to remote URLs
	Places         []Place  // the folders in it that are environments or their base by name, or may be since they are beside a base
	Variants       []string // folders in it that clusters can build, relative to it
	Loose          []string // folders with manifests that none of these can read, unless they name each file
}

// Place is a folder with a folder for each app: <folder>/<environment>/<app>.
type Place struct {
	Name  string
	Base  bool     // the others build on it
	Named bool     // environments are called so everywhere
	Apps  []string // folders in it that have kustomizations
	File  string   // its own kustomization; empty where it has none
	Lists []string // those of Apps that File builds
	Else  []string // what else File builds
	Sets  []string // what else File says, for all that it builds
}

// Remote is where a kustomization refers to a remote URL.
type Remote struct {
	File string
	URL  string
}

// Survey looks at a checkout. Of the options, the config file and the registry do not count.
func (o Options) Survey() (*Survey, error) {
	files, done, err := o.open()
	if err != nil {
		return nil, err
	}
	defer done()
	l := &loader{settings: &settings{doc: &document{}}, tree: newTree(o.Files), files: files, fleets: map[string]fleet{}}
	s := &Survey{}
	found, err := l.fleet(clustersDir)
	if err != nil {
		return nil, err
	}
	s.Clusters = found.clusters
	repository := o.repositoryName()
	for _, cluster := range s.Clusters {
		if err := l.surveyCluster(s, cluster, repository); err != nil {
			return nil, err
		}
	}
	for _, name := range l.tree.folders(componentsDir) {
		if dir := path.Join(componentsDir, name); len(l.tree.kustomizations(dir)) > 0 {
			s.Components = append(s.Components, dir)
		}
	}
	for _, dir := range []string{clustersDir, componentsDir} {
		s.Templates = append(s.Templates, l.tree.templates(dir)...)
	}
	for _, name := range l.tree.folders(".") {
		if name == clustersDir || name == componentsDir {
			continue
		}
		f, err := l.folderAt(name)
		if err != nil {
			return nil, err
		}
		s.Folders = append(s.Folders, f)
	}
	s.Top = Folder{Path: "."}
	l.tree.environments(&s.Top)
	s.Top.Places, err = l.places(s.Top)
	return s, err
}

// repositoryName is the last part of the Git remote, by which a cluster's source is known as this repository: its
// address may be another one, by another protocol or of a fork.
func (o Options) repositoryName() string {
	if o.RemoteURL == nil {
		return ""
	}
	remote, err := o.RemoteURL()
	if err != nil {
		return ""
	}
	return lastOf(remote)
}

func lastOf(address string) string {
	return strings.ToLower(strings.TrimSuffix(path.Base(strings.TrimRight(address, "/")), ".git"))
}

// surveyCluster adds what a cluster builds outside clusters/.
func (l *loader) surveyCluster(s *Survey, cluster, repository string) error {
	objects, err := l.fluxObjects(cluster)
	if err != nil {
		return err
	}
	sources, err := l.sources(cluster)
	if err != nil {
		return err
	}
	own := ownSources(cluster, objects)
	for _, o := range objects {
		s.Operator = s.Operator || o.isInstance()
		p := repositoryPath(o.Spec.Path)
		if !o.isKustomization() || p == "" || within(clustersDir, p) || !l.tree.hasDir(p) {
			continue
		}
		b := Build{Cluster: cluster, Path: p, Source: o.Spec.SourceRef.Kind + "/" + o.Spec.SourceRef.Name,
			Own: slices.Contains(own, o.Spec.SourceRef) || o.Spec.SourceRef.Name == defaultSource}
		name, known := sources[o.Spec.SourceRef]
		// A source that is not here, or is of another repository, has a folder of this path by chance only.
		if b.Own || known && (repository == "" || name == repository) {
			s.Builds = append(s.Builds, b)
		}
	}
	for _, file := range l.tree.below(cluster) {
		if path.Base(file) == "gotk-components.yaml" {
			s.Bootstrap.Found = true
			s.Bootstrap.Built = s.Bootstrap.Built || slices.ContainsFunc(l.builds(cluster, objects),
				func(dir string) bool { return within(dir, file) })
		}
	}
	return nil
}

// sources gives the repositories, by their last part, that a cluster's sources are of.
func (l *loader) sources(cluster string) (map[fluxSource]string, error) {
	found := map[fluxSource]string{}
	for _, file := range l.tree.below(cluster) {
		if ext := path.Ext(file); ext != ".yaml" && ext != ".yml" {
			continue
		}
		data, err := l.read(file)
		if err != nil {
			return nil, fmt.Errorf("look for sources: %w", err)
		}
		for _, document := range documents(data) {
			if !bytes.Contains(document, []byte("source.toolkit.fluxcd.io")) ||
				bytes.Contains(document, []byte("\nkind: CustomResourceDefinition")) {
				continue
			}
			var o struct {
				Kind     string                `yaml:"kind"`
				Metadata struct{ Name string } `yaml:"metadata"`
				Spec     struct{ URL string }  `yaml:"spec"`
			}
			if yaml.Unmarshal(document, &o) == nil && o.Spec.URL != "" {
				found[fluxSource{o.Kind, o.Metadata.Name}] = lastOf(o.Spec.URL)
			}
		}
	}
	return found, nil
}

// folderAt looks at a folder at the top.
func (l *loader) folderAt(dir string) (Folder, error) {
	f := Folder{Path: dir}
	for _, file := range l.tree.below(dir) {
		ext := path.Ext(file)
		f.Manifests = f.Manifests || ext == ".yaml" || ext == ".yml"
		if !kustomize.IsFile(file) {
			continue
		}
		f.Kustomizations, f.Manifests = true, true
		remote, err := l.remoteReferences(file)
		if err != nil {
			return f, err
		}
		f.Remote = append(f.Remote, remote...)
	}
	l.tree.environments(&f)
	f.Variants, f.Loose = l.tree.variants(dir, []string{dir}), l.tree.loose(dir)
	var err error
	f.Places, err = l.places(f)
	return f, err
}

// loose returns the folders at or below dir that have YAML and that are in no folder with a kustomization. Flux builds them
// as they are, where a Kustomization applies the folder. What is below a base is there to be referred to.
func (t tree) loose(dir string) []string {
	built := t.kustomizations(dir)
	var found []string
	for _, file := range t.below(dir) {
		folder, ext := path.Dir(file), path.Ext(file)
		if ext != ".yaml" && ext != ".yml" || path.Base(file)[0] == '.' || isBase(relative(dir, folder)) ||
			slices.ContainsFunc(built, func(k string) bool { return within(k, folder) }) {
			continue
		}
		found = append(found, folder)
	}
	slices.SortFunc(found, comparePaths)
	return slices.Compact(found)
}

// places looks into the folders of f that environments or bases are called, and into others beside a base. At the top
// anything may be beside a base.
func (l *loader) places(f Folder) ([]Place, error) {
	var found []Place
	for _, name := range l.tree.folders(f.Path) {
		if !isBase(name) && !isEnvironment(name) && (f.Path == "." || !slices.Contains(f.Environments, name)) {
			continue
		}
		p, err := l.place(f.Path, name)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	return found, nil
}

func (l *loader) place(dir, name string) (Place, error) {
	folder := path.Join(dir, name)
	p := Place{Name: name, Base: isBase(name), Named: isEnvironment(name), File: l.tree.kustomizationOf(folder)}
	for _, app := range l.tree.folders(folder) {
		if len(l.tree.kustomizations(path.Join(folder, app))) > 0 {
			p.Apps = append(p.Apps, app)
		}
	}
	if p.File == "" {
		return p, nil
	}
	lists, err := l.listed(p.File, nil)
	if err != nil || lists == nil { // whether it is valid is for check to say
		return p, err
	}
	for _, app := range p.Apps {
		if lists[app] {
			p.Lists = append(p.Lists, app)
		}
	}
	p.Else, p.Sets, err = l.besides(p)
	return p, err
}

// besides returns what a place's kustomization has beside the apps that it lists.
func (l *loader) besides(p Place) (builds, sets []string, err error) {
	data, err := l.read(p.File)
	if err != nil {
		return nil, nil, fmt.Errorf("look for environments: %w", err)
	}
	k, err := kustomize.Parse(p.File, data)
	if err != nil {
		return nil, nil, nil
	}
	for _, r := range k.Lists() {
		if !slices.Contains(p.Apps, appOf(p.File, r.Path)) {
			builds = append(builds, r.Path)
		}
	}
	for _, field := range k.Fields {
		if !slices.Contains([]string{"apiversion", "kind", "metadata", "resources", "bases", "components"}, strings.ToLower(field)) {
			sets = append(sets, field)
		}
	}
	slices.Sort(builds)
	slices.Sort(sets)
	return builds, sets, nil
}

// IsName reports whether a repository can be named so: lower case letters and digits, separated by ".", "_", "__" or dashes.
func IsName(name string) bool { return isElement(name) }

// ProposeName makes a name that a repository can have of one that it cannot; it is empty where nothing in it is of use.
func ProposeName(name string) string { return slug(name) }

// ConfigOnDisk returns the config file at the top of the workspace, nil where there is none. A file that Git does not
// track yet counts, for Load reads it as well.
func (o Options) ConfigOnDisk() ([]byte, error) {
	data, err := readConfig(o.Dir, o.ConfigFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// DefaultRegistry returns the prefix of all repositories where neither a config file nor an option names one.
func (o Options) DefaultRegistry() (string, error) { return defaultPrefix(o.RemoteURL) }

// GitHost returns the host of the Git remote and the path of the project there, such as gitlab.com and group/project.
func GitHost(remote string) (host, project string, err error) {
	host, project, err = splitRemote(remote)
	return host, strings.TrimSuffix(strings.Trim(project, "/"), ".git"), err
}
