package component

// List is the components of a workspace as a result has them.
type List struct {
	Registry   string  `json:"registry"`
	Components []Entry `json:"components"`
}

// Entry is one component of a List.
type Entry struct {
	Name       string   `json:"name"`
	Kind       Kind     `json:"kind"`
	Dir        string   `json:"dir"`
	Root       string   `json:"root"`
	Paths      []string `json:"paths"`
	Repository string   `json:"repository"`
	Variants   []string `json:"variants"`
	Phases     []string `json:"phases"`
	GitTag     string   `json:"gitTag"`
}

// List lists components of the workspace. Repositories are empty where it is not known where they are.
func (w *Workspace) List(set Set) *List {
	list := &List{Components: make([]Entry, len(set))}
	for i, c := range set {
		list.Components[i] = Entry{c.Name, c.Kind, c.Dir, c.Root, c.Paths, c.Repository.String(), append([]string{}, c.Variants...),
			append([]string{}, c.Phases...), c.GitTag}
		if !w.Named() {
			list.Components[i].Repository = ""
		}
	}
	if w.Named() {
		list.Registry = w.Registry
	}
	return list
}
