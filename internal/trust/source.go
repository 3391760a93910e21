package trust

import (
	"path"
	"regexp"
	"strings"
)

// Normalise names a Git repository in the same words on every machine: https, without .git, login or port of ssh. Local paths
// say nothing to others and are left out.
func Normalise(remote string) string {
	if m := scpLike.FindStringSubmatch(remote); m != nil && !strings.Contains(remote, "://") {
		remote = "ssh://" + m[1] + "/" + m[2]
	}
	scheme, rest, ok := strings.Cut(remote, "://")
	if !ok || scheme == "file" {
		return ""
	}
	host, p, _ := strings.Cut(rest, "/")
	host = host[strings.LastIndex(host, "@")+1:]
	if scheme == "ssh" || scheme == "git" {
		host, _, _ = strings.Cut(host, ":")
	}
	if scheme != "http" {
		scheme = "https"
	}
	return scheme + "://" + host + path.Clean("/"+strings.TrimSuffix(p, ".git"))
}

// scpLike is Git's user@host:path form.
var scpLike = regexp.MustCompile(`^(?:[^@/:]+@)?([^@/:]+):([^/].*|/.*)$`)
