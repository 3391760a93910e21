package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

// Login is a login for a registry. Its password is not shown by anything.
type Login struct {
	User string // "" for a token without a user
	From string // where it was found, for people; "" where there is none

	credential auth.Credential
	scope      string // the entry that it was found under: HOST, or HOST/PATH in Podman's file
}

// Found reports whether there is a login.
func (l Login) Found() bool { return l.credential != auth.EmptyCredential }

// keychain finds logins: in Docker's config and the credential helpers that it names, then in Podman's auth.json, and for the
// registries of Google's cloud in the credentials of the machine. It writes nothing. Each place is asked once in a run, because a
// credential helper is a process of its own.
type keychain struct {
	files func() (loginFiles, error)
	asked sync.Map // where and what was asked -> *answer
	found sync.Map // HOST/REPOSITORY -> Login that a request was given
}

// answer is what one place said.
type answer struct {
	once  sync.Once
	login Login
	err   error
}

func newKeychain() *keychain { return &keychain{files: sync.OnceValues(readLoginFiles)} }

// credential implements auth.CredentialFunc. Which repository a request is for comes with its context.
func (k *keychain) credential(ctx context.Context, host string) (auth.Credential, error) {
	c, _ := ctx.Value(contactKey{}).(contact)
	l, err := k.find(ctx, host, c.repository)
	return l.credential, err
}

// find looks for the login for a repository, or for a host where the repository is "". Who has none gets the zero Login.
func (k *keychain) find(ctx context.Context, host, repository string) (Login, error) {
	l, err := k.look(ctx, host, repository)
	if err != nil {
		return Login{}, err
	}
	k.found.Store(host+"/"+repository, l)
	return l, nil
}

func (k *keychain) look(ctx context.Context, host, repository string) (Login, error) {
	files, err := k.files()
	if err != nil {
		return Login{}, err
	}
	l, err := k.ask(ctx, files.docker, credentials.ServerAddressFromHostname(host))
	if err != nil || l.Found() {
		return l, err
	}
	for _, f := range files.podman {
		if key := f.keyOf(host, repository); key != "" {
			if l, err := k.ask(ctx, f, key); err != nil || l.Found() {
				return l, err
			}
		}
	}
	if !isGoogle(host) {
		return Login{}, nil
	}
	return k.once("google", func() (Login, error) { return googleLogin(ctx), nil })
}

// ask reads a login from a file, or has the helper give it that the file names.
func (k *keychain) ask(ctx context.Context, f *loginFile, key string) (Login, error) {
	return k.once(f.path+" "+key, func() (Login, error) { return f.login(ctx, key) })
}

func (k *keychain) once(what string, get func() (Login, error)) (Login, error) {
	v, _ := k.asked.LoadOrStore(what, &answer{})
	a := v.(*answer)
	a.once.Do(func() { a.login, a.err = get() })
	return a.login, a.err
}

// given is the login that a request to a repository was given. asked is false where no request wanted one.
func (k *keychain) given(host, repository string) (l Login, asked bool) {
	v, asked := k.found.Load(host + "/" + repository)
	l, _ = v.(Login)
	return l, asked
}

// scopes is a cache of tokens that keeps the passwords of one host apart: Podman's file may have one for each path. Tokens have
// their repository in their key already.
type scopes struct {
	auth.Cache
	keys *keychain
}

// GetToken implements auth.Cache.
func (s scopes) GetToken(ctx context.Context, host string, scheme auth.Scheme, key string) (string, error) {
	return s.Cache.GetToken(ctx, host, scheme, s.key(ctx, host, scheme, key))
}

// Set implements auth.Cache.
func (s scopes) Set(ctx context.Context, host string, scheme auth.Scheme, key string,
	fetch func(context.Context) (string, error)) (string, error) {
	return s.Cache.Set(ctx, host, scheme, s.key(ctx, host, scheme, key), fetch)
}

func (s scopes) key(ctx context.Context, host string, scheme auth.Scheme, key string) string {
	c, ok := ctx.Value(contactKey{}).(contact)
	if scheme != auth.SchemeBasic || !ok {
		return key
	}
	l, err := s.keys.find(ctx, host, c.repository)
	if err != nil {
		return key
	}
	return l.scope
}

// LoginError reports a login that is missing, refused or out of reach, and says what to do. It is ErrUnauthorized.
type LoginError struct {
	Do   string // what to do, in a sentence
	text string
	err  error
}

func (e *LoginError) Error() string { return e.text }

// Is makes errors.Is find ErrUnauthorized.
func (e *LoginError) Is(target error) bool { return target == ErrUnauthorized }

// Unwrap implements errors.As.
func (e *LoginError) Unwrap() error { return e.err }

// explain adds to a refused request which login it had, and what to do.
func (k *keychain) explain(host, repository string, err error) error {
	var already *LoginError
	if !errors.Is(err, ErrUnauthorized) || errors.As(err, &already) {
		return err
	}
	shown := strings.Replace(host, "registry-1.docker.io", "docker.io", 1)
	l, asked := k.given(host, repository)
	if asked && l.Found() {
		who := "the login"
		if l.User != "" {
			who += " of " + l.User
		}
		return &LoginError{err: err, text: fmt.Sprintf("%v (%s from %s was not accepted)", err, who, l.From),
			Do: "log in again: keos-oci login " + shown + "; if the login is right, check what it may do in this repository"}
	}
	return &LoginError{err: err, text: fmt.Sprintf("%v (no login for %s was found)", err, shown), Do: howToLogIn(shown)}
}

// howToLogIn is how a login for a host is got.
func howToLogIn(host string) string {
	name := hostname(host)
	switch {
	case strings.Contains(name, ".dkr.ecr.") && strings.Contains(name, ".amazonaws.com"):
		region, _, _ := strings.Cut(name[strings.Index(name, ".dkr.ecr.")+len(".dkr.ecr."):], ".")
		return fmt.Sprintf("log in: aws ecr get-login-password --region %s | keos-oci login %s -u AWS --password-stdin; or install "+
			"docker-credential-ecr-login and name it in credHelpers of Docker's config", region, host)
	case isGoogle(name):
		return fmt.Sprintf("log in: gcloud auth configure-docker %s; or gcloud auth print-access-token | keos-oci login %s "+
			"-u oauth2accesstoken --password-stdin", host, host)
	case strings.HasSuffix(name, ".azurecr.io"):
		registry, _, _ := strings.Cut(name, ".")
		return fmt.Sprintf("log in: az acr login --name %s; or az acr login --name %s --expose-token --output tsv --query accessToken | "+
			"keos-oci login %s -u 00000000-0000-0000-0000-000000000000 --password-stdin", registry, registry, host)
	}
	return "log in: keos-oci login " + host
}
