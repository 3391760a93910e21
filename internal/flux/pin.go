package flux

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/stratio/keos-oci/internal/component"
	"github.com/stratio/keos-oci/internal/tag"
)

// Pin is what a component follows instead of the cluster's channel. At most one field is set.
type Pin struct {
	Tag    string // a version, or a channel of the component
	Semver string // the highest version in a range
	Digest string
	None   bool // the cluster's channel again, in place of an earlier pin
}

// IsZero says that the component follows the cluster's channel.
func (p Pin) IsZero() bool { return p == Pin{} }

// ref is where an OCIRepository with this pin points.
func (p Pin) ref() ociRef { return ociRef{Tag: p.Tag, Semver: p.Semver, Digest: p.Digest} }

// ParsePin reads a version tag, a channel's name, a semver range, a digest, or none.
func ParsePin(c component.Component, text string) (Pin, error) {
	if text == "none" {
		return Pin{None: true}, nil
	}
	if strings.Contains(text, ":") {
		d, err := digest.Parse(text)
		if err != nil {
			return Pin{}, fmt.Errorf("%w: pin of %s: %q: %w", ErrInput, c.Name, text, err)
		}
		return Pin{Digest: d.String()}, nil
	}
	if _, err := tag.ParseVersion(text); err == nil {
		return Pin{Tag: text}, nil
	}
	if _, err := c.Channels.Find(text); err == nil {
		return Pin{Tag: text}, nil
	}
	if _, err := semver.NewConstraint(text); err == nil {
		return Pin{Semver: text}, nil
	}
	return Pin{}, fmt.Errorf("%w: pin of %s: %q is neither a version such as v1.2.3, nor a range such as \">=1.2.0 <2.0.0\", nor a digest, nor a channel, nor none", ErrInput, c.Name, text)
}

// policyKey is the key in Policies for what p points to: the channel, or the key of versions.
func (p Pin) policyKey(channel string) string {
	switch {
	case p.IsZero() || p.None:
		return channel
	case p.Tag != "":
		return p.Tag
	}
	return AnyVersion
}
