package release

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/check"
	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/manifest"
)

// ObjectDiff is one rendered object that is not the same on both sides. Diff is as in FileDiff, over the object's YAML;
// in the place of each value of a Secret there is a mark that is the same on both sides where the values are.
type ObjectDiff struct {
	Variant    string `json:"variant"`
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	Change     string `json:"change"`
	Diff       string `json:"diff"`
}

// objectKey is what makes two objects the same one.
type objectKey struct{ namespace, kind, apiVersion, name string }

// object is one rendered object: plain decides whether it changed, shown is what people may see of it.
type object struct{ plain, shown []byte }

func (s *Service) diffVariants(ctx context.Context, variants []string, from, to side) ([]ObjectDiff, error) {
	diffs, mask := []ObjectDiff{}, newMasker()
	for i, variant := range variants {
		if slices.Contains(variants[:i], variant) {
			continue
		}
		before, err := s.render(ctx, from, variant, mask)
		if err != nil {
			return nil, err
		}
		after, err := s.render(ctx, to, variant, mask)
		if err != nil {
			return nil, err
		}
		diffs = append(diffs, diffObjects(variant, before, after)...)
	}
	return diffs, nil
}

func (s *Service) render(ctx context.Context, from side, variant string, mask masker) (map[objectKey]object, error) {
	if len(from.files) == 0 {
		return nil, nil
	}
	c := check.Component{Workspace: from.dir, Root: ".", Files: slices.Sorted(maps.Keys(from.files)), Unpacked: from.dir}
	raw, err := check.RenderVariant(ctx, c, variant, s.Workspace.Config.Artifact.RemoteBases == component.RemoteBasesAllow)
	if err != nil {
		return nil, fmt.Errorf("%s: variant %w", from.name, err)
	}
	objects, err := groupObjects(raw, mask)
	if err != nil {
		return nil, fmt.Errorf("%s: variant %s: %w", from.name, variant, err)
	}
	return objects, nil
}

// groupObjects splits rendered YAML. Objects that generateName leaves without a name share a key.
func groupObjects(raw []byte, mask masker) (map[objectKey]object, error) {
	objects := map[objectKey]object{}
	for dec := yaml.NewDecoder(bytes.NewReader(raw)); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		plain, err := encode(&doc)
		if err != nil {
			return nil, err
		}
		key := keyOf(&doc)
		mask.hide(&doc)
		shown, err := encode(&doc)
		if err != nil {
			return nil, err
		}
		o := objects[key]
		objects[key] = object{append(o.plain, plain...), append(o.shown, shown...)}
	}
}

func encode(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	err := errors.Join(enc.Encode(doc), enc.Close())
	return out.Bytes(), err
}

func keyOf(doc *yaml.Node) objectKey {
	top := doc.Content[0]
	metadata := manifest.Field(top, "metadata")
	return objectKey{manifest.Text(manifest.Field(metadata, "namespace")), manifest.Text(manifest.Field(top, "kind")),
		manifest.Text(manifest.Field(top, "apiVersion")), manifest.Text(manifest.Field(metadata, "name"))}
}

// diffObjects compares by the plain objects, so that no two values of a Secret ever pass for equal.
func diffObjects(variant string, before, after map[objectKey]object) []ObjectDiff {
	var diffs []ObjectDiff
	keys := slices.Collect(maps.Keys(before))
	for key := range after {
		if _, ok := before[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareKeys)
	for _, key := range keys {
		a, inBefore := before[key]
		b, inAfter := after[key]
		if inBefore && inAfter && bytes.Equal(a.plain, b.plain) {
			continue
		}
		diffs = append(diffs, ObjectDiff{Variant: variant, APIVersion: key.apiVersion, Kind: key.kind, Namespace: key.namespace, Name: key.name,
			Change: change(inBefore, inAfter), Diff: unified(a.shown, b.shown)})
	}
	return diffs
}

func compareKeys(a, b objectKey) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.kind, b.kind), cmp.Compare(a.apiVersion, b.apiVersion),
		cmp.Compare(a.name, b.name))
}
