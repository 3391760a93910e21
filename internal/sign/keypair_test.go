package sign

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWriteKeyPair: both files are written or none, and no file is written over.
func TestWriteKeyPair(t *testing.T) {
	dir := t.TempDir()
	private, public := filepath.Join(dir, "a.key"), filepath.Join(dir, "a.pub")
	taken := func() ([]byte, error) { return []byte("pw"), os.WriteFile(public, nil, 0o600) } // while the person types
	if err := WriteKeyPair(private, public, taken); err == nil {
		t.Error("the public key was written over")
	}
	if _, err := os.Lstat(private); err == nil {
		t.Error("the private key is left without its public key")
	}
	asked := func() ([]byte, error) { t.Error("asked for a password"); return nil, nil }
	if err := WriteKeyPair(private, public, asked); err == nil {
		t.Error("a key pair over a file that is there")
	}
	if err := os.Remove(public); err != nil {
		t.Fatal(err)
	}
	if err := WriteKeyPair(private, public, func() ([]byte, error) { return []byte("pw"), nil }); err != nil {
		t.Fatal(err)
	}
	if is, err := IsPrivateKey(private); !is || err != nil {
		t.Errorf("private key: %t, %v", is, err)
	}
	if is, err := IsPrivateKey(public); is || err != nil {
		t.Errorf("public key: %t, %v", is, err)
	}
}
