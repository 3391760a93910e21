package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrNoRemote says that a checkout has no remote named origin.
var ErrNoRemote = errors.New("no git remote named origin")

// RemoteURL returns the address of the remote named origin, without any user or password that an http address carries,
// so that it can be shown and published. The error is ErrNoRemote where there is none.
func (c *Checkout) RemoteURL(ctx context.Context) (string, error) {
	// Not `git remote get-url`: that applies url.<base>.insteadOf, by which CI adds its token to every address.
	out, err := c.git(ctx, "config", "-z", "--get", "remote.origin.url")
	var failed *commandError
	if errors.As(err, &failed) && failed.stderr == "" {
		return "", ErrNoRemote
	}
	if err != nil {
		return "", fmt.Errorf("read remote: %w", err)
	}
	return withoutCredentials(strings.TrimSuffix(string(out), "\x00")), nil
}

// withoutCredentials drops the user of an http address, and the password of any.
func withoutCredentials(address string) string {
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL {
		return address // a path, or user@host:path, which has no place for a password
	}
	// Cut by hand: a password with stray characters must not survive because it does not parse.
	host, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndex(host, "@"); at >= 0 {
		user, _, _ := strings.Cut(host[:at], ":")
		host = host[at+1:]
		if scheme != "http" && scheme != "https" {
			host = user + "@" + host
		}
	}
	if hasPath {
		path = "/" + path
	}
	return scheme + "://" + host + path
}
