package component

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

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

// take decodes a value that the schema let through; a fault here is one of the schema, and is reported with its line all the same.
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
