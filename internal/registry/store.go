package registry

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Stored says where a login was written to, or removed from.
type Stored struct {
	File    string // Docker's config
	Helper  string // the program that keeps the password; "" where the file has it, not encrypted
	Asked   bool   // whether the registry wanted a login, so that it was checked
	Removed bool   // whether there was a login
	Left    Login  // another login for the host that is still found
}

// LogIn checks a login with the registry, and writes it where docker login does: to the credential helper that Docker's config
// names, else to the helper of the system, else to the config itself.
func (c *Client) LogIn(ctx context.Context, host, user, password string) (Stored, error) {
	store, out, err := writable(host)
	if err != nil {
		return out, err
	}
	login := auth.Credential{Username: user, Password: password}
	out.Asked, err = c.try(ctx, host, login)
	if err != nil {
		return out, fmt.Errorf("log in to %s: %w", host, err)
	}
	if err := store.Put(ctx, credentials.ServerAddressFromRegistry(host), login); err != nil {
		return out, fmt.Errorf("write the login for %s: %w", host, err)
	}
	return out, nil
}

// LogOut removes a login from where LogIn writes it.
func (c *Client) LogOut(ctx context.Context, host string) (Stored, error) {
	store, out, err := writable(host)
	if err != nil {
		return out, err
	}
	address := credentials.ServerAddressFromRegistry(host)
	was, err := store.Get(ctx, address)
	if err != nil {
		return out, fmt.Errorf("read the login for %s: %w", host, err)
	}
	if out.Removed = was != auth.EmptyCredential; out.Removed {
		if err := store.Delete(ctx, address); err != nil {
			return out, fmt.Errorf("remove the login for %s: %w", host, err)
		}
	}
	out.Left, err = newKeychain().find(ctx, registry.Reference{Registry: host}.Host(), "")
	return out, err
}

// writable opens the place where docker keeps the login for a host.
func writable(host string) (*credentials.DynamicStore, Stored, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{AllowPlaintextPut: true, DetectDefaultNativeStore: true})
	if err != nil {
		return nil, Stored{}, fmt.Errorf("docker config: %w", err)
	}
	f := &loginFile{path: store.ConfigPath(), store: store}
	if err := f.read(); err != nil {
		return nil, Stored{}, fmt.Errorf("docker config: %w", err)
	}
	out := Stored{File: f.path}
	key := credentials.ServerAddressFromRegistry(host)
	if helper := f.helper(key); helper != "" {
		out.Helper = program(helper)
		return store, out, f.lacks(helper, key)
	}
	if !store.IsAuthConfigured() { // docker then takes the helper of the system, if it is installed
		out.Helper = systemHelper()
	}
	return store, out, nil
}

// systemHelper is the credential helper that is taken where Docker's config has nothing yet, "" where none is installed.
func systemHelper() string {
	if _, found := credentials.NewDefaultNativeStore(); !found {
		return ""
	}
	for _, helper := range []string{"osxkeychain", "wincred", "pass", "secretservice"} {
		if _, err := exec.LookPath(program(helper)); err == nil {
			return program(helper)
		}
	}
	return ""
}

// try asks the registry whether it takes a login. asked is false where it wants none.
func (c *Client) try(ctx context.Context, host string, login auth.Credential) (asked bool, err error) {
	client := &auth.Client{Client: c.auth.Client, Header: c.auth.Header,
		Credential: func(context.Context, string) (auth.Credential, error) { asked = true; return login, nil }}
	ref := registry.Reference{Registry: host}
	r := remote.Registry{RepositoryOptions: remote.RepositoryOptions{Client: client, Reference: ref, PlainHTTP: c.plain(host)}}
	if err = r.Ping(c.contacting(ctx, ref)); err != nil {
		err = classify(err)
	}
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: it does not know the path /v2/", ErrNoRegistry)
	}
	return asked, err
}
