package release

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/stratio/keos-oci/internal/manifest"
)

// masker hides the values of Secrets. Its key lives as long as the run: marks tell only whether two values of one result
// are equal, and nobody can try guesses against them.
type masker struct{ key []byte }

func newMasker() masker {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // never fails
	return masker{key}
}

func (m masker) mark(value string) string {
	mac := hmac.New(sha256.New, m.key)
	_, _ = io.WriteString(mac, value)
	return "*** " + hex.EncodeToString(mac.Sum(nil))[:6]
}

// hide masks every Secret at or below n: those of a ResourceSet lie inside of it, or in a string.
func (m masker) hide(n *yaml.Node) {
	switch {
	case n.Kind == yaml.MappingNode && manifest.Text(manifest.Field(n, "kind")) == "Secret":
		m.hideSecret(n)
		return
	case n.Kind == yaml.ScalarNode:
		m.hideInside(n)
	}
	for _, child := range n.Content {
		m.hide(child)
	}
}

func (m masker) hideSecret(n *yaml.Node) {
	m.hideAll(manifest.Field(n, "data"))
	m.hideAll(manifest.Field(n, "stringData"))
	annotations := manifest.Field(manifest.Field(n, "metadata"), "annotations")
	if annotations == nil || annotations.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(annotations.Content); i += 2 {
		if holdsObject(annotations.Content[i].Value, manifest.Text(annotations.Content[i+1])) {
			m.hideAll(annotations.Content[i+1])
		}
	}
}

// holdsObject reports whether an annotation is a copy of the object, as kubectl apply and others leave it.
func holdsObject(key, value string) bool {
	return strings.Contains(key, "last-applied") || strings.HasPrefix(strings.TrimSpace(value), "{")
}

// hideAll masks all scalars at or below n but the keys of mappings.
func (m masker) hideAll(n *yaml.Node) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode {
		n.Value, n.Tag, n.Style = m.mark(n.Value), yaml.NodeTagString, yaml.SingleQuotedStyle
		return
	}
	for i, child := range n.Content {
		if n.Kind != yaml.MappingNode || i%2 == 1 {
			m.hideAll(child)
		}
	}
}

// secretText finds a Secret in a string of YAML or JSON, and leaves alone an ExternalSecret or a SecretStore.
var secretText = regexp.MustCompile(`kind["']?\s*:\s*["']?Secret\b`)

// hideInside masks the Secrets among the documents of a string; where they cannot be separated, as in a template that is no
// YAML, the whole string.
func (m masker) hideInside(n *yaml.Node) {
	if !secretText.MatchString(n.Value) {
		return
	}
	docs, err := parseInner(n.Value)
	if err != nil {
		m.hideAll(n)
		return
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	for _, doc := range docs {
		m.hide(doc)
		err = errors.Join(err, enc.Encode(doc))
	}
	if err = errors.Join(err, enc.Close()); err != nil {
		m.hideAll(n)
		return
	}
	n.Value = out.String()
}

// parseInner reads the documents of a string. It refuses aliases, behind which a value may stand where nobody looks.
func parseInner(text string) (docs []*yaml.Node, err error) {
	defer func() { // the parser panics on some input
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if len(doc.Content) != 1 || doc.Content[0].Kind == yaml.ScalarNode || hasAlias(&doc) {
			return nil, errors.New("not plain YAML")
		}
		docs = append(docs, &doc)
	}
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}
