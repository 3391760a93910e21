// Package tuftest makes TUF repositories for tests, with real keys and signatures.
package tuftest

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Repository makes a TUF repository of some files in dir, and answers with the file of its root.json.
func Repository(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := metadata.KeyFromPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().AddDate(0, 0, 7).UTC()
	root, targets := metadata.Root(expires), metadata.Targets(expires)
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		if targets.Signed.Targets[name], err = metadata.TargetFile().FromBytes(name, []byte(content)); err != nil {
			t.Fatal(err)
		}
		targets.Signed.Targets[name].Path = name
		sum := targets.Signed.Targets[name].Hashes["sha256"]
		place := filepath.Join(dir, "targets", sum.String()+"."+name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o755), os.WriteFile(place, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(name string, sign func(signature.Signer) (*metadata.Signature, error), toFile func(string, bool) error) {
		if _, err := sign(signer); err != nil {
			t.Fatal(err)
		}
		if err := toFile(filepath.Join(dir, name), false); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, timestamp := metadata.Snapshot(expires), metadata.Timestamp(expires)
	write("1.root.json", root.Sign, root.ToFile)
	write("1.targets.json", targets.Sign, targets.ToFile)
	write("1.snapshot.json", snapshot.Sign, snapshot.ToFile)
	write("timestamp.json", timestamp.Sign, timestamp.ToFile)
	return filepath.Join(dir, "1.root.json")
}
