package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/flux"
	"github.com/stratio/keos-oci/internal/git"
	"github.com/stratio/keos-oci/internal/scaffold"
)

// initFlags are those of init.
type initFlags struct {
	layout, by, workflows, branch, actionRef string
	write, overwrite                         bool
}

func (a *app) initCmd() *cobra.Command {
	var flags initFlags
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Look at a checkout and propose the files to publish it",
		Long: `Prints which components the checkout has and which rule found each of them. Where these rules do not fit the layout,
init proposes a
keos-oci.yaml. If a layout can be read in several ways, init shows all of them: choose one with --layout. Nothing is written from a guess.

For <layer>/<environment>/<app>, init proposes one component per layer, or one per app with --by app. --workflows adds the workflows that
check, publish, release, promote and roll back.

Nothing is written without --write. Workflows that nobody edited are replaced. A file that a person wrote or edited is replaced only with
--overwrite.`,
		Example: `  keos-oci init                    # what is here, and what is missing
  keos-oci init --write
  keos-oci init --layout split     # if several layouts are possible
  keos-oci init --by app           # each app of a layer is a component
  keos-oci init --workflows github --action-ref v1.0.0@1a2b3c4d --write
  keos-oci init --workflows gitlab --write`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.StringVar(&flags.layout, "layout", "", "how to read the checkout: "+enumerate(scaffold.Layouts())+" (default: found by itself)")
	f.StringVar(&flags.by, "by", "", "what is one component in <layer>/<environment>/<app>: "+
		enumerate(scaffold.Bys())+" (default layer)")
	f.StringVar(&flags.workflows, "workflows", "", "also propose the workflows of "+enumerate(scaffold.Systems()))
	f.StringVar(&flags.branch, "branch", "", "branch that the channel latest follows (default main, or master if there is no main)")
	f.StringVar(&flags.actionRef, "action-ref", "",
		"commit of stratio/keos-oci for GitHub's workflows, as COMMIT or VERSION@COMMIT (default the commit of this program)")
	f.BoolVar(&flags.write, "write", false, "write the files")
	f.BoolVar(&flags.overwrite, "overwrite", false, "with --write: also replace files that a person wrote or edited")
	_ = cmd.RegisterFlagCompletionFunc("workflows", cobra.FixedCompletions(scaffold.Systems(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(scaffold.Bys(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("layout", cobra.FixedCompletions(scaffold.Layouts(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.propose(cmd.Context(), flags) }
	return cmd
}

func (a *app) propose(ctx context.Context, flags initFlags) error {
	if a.global.config != "" {
		return fmt.Errorf("%w: init is about %s at the top of the checkout, and --config names another file", errUsage, component.ConfigFile)
	}
	checkout, err := git.Open(ctx, a.global.directory)
	if err != nil {
		return err
	}
	ask, err := flags.ask(ctx, checkout)
	if err != nil {
		return err
	}
	tree, err := checkout.WorkTree(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	options, err := a.opener().Options(ctx, checkout, tree)
	if err != nil {
		return err
	}
	options.Unnamed = flags.workflows == "" // which log in to it
	proposal, err := scaffold.Propose(options, ask)
	if proposal == nil {
		return err
	}
	res, failed := newInitResult(checkout.Top(), proposal, flags)
	return a.finish(res, errors.Join(err, failed))
}

// ask is what the flags say.
func (f initFlags) ask(ctx context.Context, checkout *git.Checkout) (scaffold.Ask, error) {
	ask := scaffold.Ask{Layout: scaffold.Layout(f.layout), By: scaffold.By(f.by), Replace: f.overwrite, Workflows: f.workflows,
		Branch: f.branch}
	if ask.Branch == "" {
		ask.Branch = mainBranch(ctx, checkout)
	}
	if isRelease(version()) {
		ask.Release = version()
	}
	var err error
	switch {
	case f.workflows != scaffold.GitHub && f.actionRef != "":
		err = fmt.Errorf("%w: --action-ref goes with --workflows github", errUsage)
	case f.workflows != scaffold.GitHub:
	case f.actionRef != "":
		ask.Action, err = scaffold.ParseAction(f.actionRef)
	default:
		if ask.Action.Commit = builtFrom(buildResult()); ask.Action.Commit == "" {
			err = fmt.Errorf("%w: this keos-oci does not know the commit of a release that it was built from: name the one that workflows shall pin "+
				"with --action-ref COMMIT, all 40 digits, or VERSION@COMMIT", errUsage)
		}
		ask.Action.Version = ask.Release
	}
	return ask, err
}

// mainBranch is master where that exists and main does not, here or at the origin.
func mainBranch(ctx context.Context, checkout *git.Checkout) string {
	for _, branch := range []string{"main", "master"} {
		for _, ref := range []string{"refs/heads/", "refs/remotes/origin/"} {
			if _, err := checkout.Resolve(ctx, ref+branch); err == nil {
				return branch
			}
		}
	}
	return "main"
}

// builtFrom is the commit of the release that this binary is, "" where the build does not say: a module from the proxy
// knows its version alone, and what was built between releases may be of a commit that nobody else has.
func builtFrom(b *versionResult) string {
	if b.Modified || !isRelease(b.Version) {
		return ""
	}
	return b.Commit
}

// isRelease tells a release from what stands between two of them.
func isRelease(version string) bool {
	return regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`).MatchString(version)
}

// initResult is what init found and what it proposes.
type initResult struct {
	Found []foundLayout   `json:"found"`
	Files []generatedFile `json:"files"`
	Notes []string        `json:"notes,omitempty"`
}

// foundLayout is one way to read the checkout. Config is what it takes, nothing where the rules without a config do.
type foundLayout struct {
	Layout     scaffold.Layout  `json:"layout"`
	By         scaffold.By      `json:"by,omitempty"`
	Rule       string           `json:"rule"`
	Reasons    []string         `json:"reasons"`
	Chosen     bool             `json:"chosen"`
	Registry   string           `json:"registry"`
	Components []componentEntry `json:"components"`
	Config     string           `json:"config,omitempty"`
}

// newInitResult compares the files with those that are there, and writes them if that was asked for.
func newInitResult(top string, p *scaffold.Proposal, flags initFlags) (*initResult, error) {
	res := &initResult{Found: []foundLayout{}, Files: []generatedFile{}, Notes: p.Notes}
	for _, r := range p.Readings {
		list := newComponentsResult(r.Workspace, r.Workspace.Components)
		res.Found = append(res.Found, foundLayout{Layout: r.Layout, By: r.By, Rule: r.Rule, Reasons: orEmpty(r.Reasons), Chosen: r.Chosen,
			Registry: list.Registry, Components: list.Components, Config: string(r.Config)})
		if !r.Workspace.Named() && r.Chosen {
			res.Notes = append(res.Notes, "it is not known yet where to publish: set registry in keos-oci.yaml, or pass --registry HOST/PREFIX")
		}
	}
	if p.Chosen() == nil {
		return res, res.undecided(flags)
	}
	root, err := openFolder(top, true)
	if err != nil {
		return res, err
	}
	defer root.Close()
	return res, res.settle(root, p.Files, flags)
}

// undecided is why nothing is written: a guess could publish what nobody meant to.
func (r *initResult) undecided(flags initFlags) error {
	if !flags.write && flags.workflows == "" {
		return nil
	}
	names := make([]string, len(r.Found))
	for i, f := range r.Found {
		names[i] = "--layout " + string(f.Layout)
	}
	return fmt.Errorf("%w: this checkout can be read in %d ways: choose one with %s", errUsage, len(names), strings.Join(names, " or "))
}

func (r *initResult) settle(root *os.Root, proposed []scaffold.File, flags initFlags) error {
	files := make([]flux.File, len(proposed))
	for i, f := range proposed {
		files[i] = flux.File{Path: f.Path, Content: f.Content}
	}
	var compared generateResult
	if err := compared.compare(root, files, proposedKind); err != nil {
		return err
	}
	r.Files = append(r.Files, compared.Files...)
	if !flags.write {
		r.show(proposed)
		return nil
	}
	if taken := compared.differing(); len(taken) > 0 && !flags.overwrite {
		r.show(proposed)
		return fmt.Errorf("%w: %s: there and different from what init proposes: compare, then keep it or write over it with --overwrite%s",
			flux.ErrTaken, strings.Join(taken, ", "), compared.losses())
	}
	if err := compared.write(root, files); err != nil {
		return err
	}
	r.Files = append([]generatedFile{}, compared.Files...)
	return nil
}

// proposedKind: people edit the config file, so that only they change it. Workflows are generated anew when components come and go.
func proposedKind(path string) fileKind {
	if path == component.ConfigFile {
		return golden
	}
	return marked
}

// differing lists the files that a person wrote or edited.
func (r *generateResult) differing() []string {
	var names []string
	for _, f := range r.Files {
		if f.theirs {
			names = append(names, path.Clean(f.Path))
		}
	}
	return names
}

// show is what would be written: the content of new files, the differences of others.
func (r *initResult) show(proposed []scaffold.File) {
	for i := range r.Files {
		f := &r.Files[i]
		f.Content = string(proposed[i].Content)
		switch f.Status {
		case fileCreated:
			f.Status, f.Diff = filePrinted, ""
		case fileUpdated:
			f.Status = fileDiffers
		}
	}
}

// printInit is a report for people.
func (a *app) printInit(r *initResult) error {
	var b strings.Builder
	decided := false
	for _, f := range r.Found {
		decided = decided || f.Chosen
	}
	if !decided {
		say(&b, "This checkout can be read in %d ways; choose one with --layout:\n\n", len(r.Found))
	}
	for _, f := range r.Found {
		if f.Chosen || !decided {
			a.initLayout(&b, f, decided)
		}
	}
	for _, f := range r.Found {
		if decided && !f.Chosen {
			say(&b, "Also possible, with --layout %s: %s.\n\n", f.Layout, f.Rule)
		}
	}
	a.initFiles(&b, r, decided)
	for _, n := range r.Notes {
		say(&b, "%s: %s\n", a.paint(bold, "note"), a.paragraph(n))
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

func (a *app) initLayout(b *strings.Builder, f foundLayout, decided bool) {
	heading := string(f.Layout)
	if f.By == scaffold.ByApp {
		heading += ", by app"
	}
	say(b, "%s: %s.\n", a.paint(bold, heading), f.Rule)
	for _, reason := range f.Reasons {
		say(b, "  %s\n", reason)
	}
	say(b, "\n%s\n", componentTable(f.Components))
	if !decided {
		say(b, "%s\n", cmp.Or(indented(f.Config), "  Needs no keos-oci.yaml.\n"))
	}
}

func (a *app) initFiles(b *strings.Builder, r *initResult, decided bool) {
	config := false
	for _, f := range r.Files {
		config = config || f.Path == component.ConfigFile
		switch f.Status {
		case filePrinted:
			say(b, "would write  %s\n%s\n", f.Path, indented(f.Content))
		case fileDiffers:
			p := diffPrinter{app: a}
			p.hunks(f.Diff)
			say(b, "differs  %s\n%s\n", f.Path, shown(p.out.String()))
		default:
			say(b, "%s  %s\n", f.Status, f.Path)
		}
	}
	if decided && !config {
		for _, f := range r.Found {
			if f.Chosen && f.Layout != scaffold.LayoutConfig {
				fmt.Fprintln(b, "No keos-oci.yaml is needed.")
			}
		}
	}
}

func indented(text string) shown {
	var b strings.Builder
	for line := range strings.Lines(visibleLines(text)) {
		b.WriteString("  " + line)
	}
	return shown(b.String())
}

// componentTable is components as init shows them: with what releases them.
func componentTable(list []componentEntry) shown {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "COMPONENT\tKIND\tVARIANTS\tPHASES\tGIT TAG\tREPOSITORY")
	for _, c := range list {
		say(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.Name, c.Kind, cmp.Or(strings.Join(c.Variants, ","), "-"), cmp.Or(strings.Join(c.Phases, ","), "-"),
			strings.Replace(c.GitTag, "{version}", "X.Y.Z", 1), cmp.Or(c.Repository, "?"))
	}
	_ = w.Flush() // into memory
	return shown(b.String())
}
