package sigstack

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"log"
)

func (s *Stack) serve(name string, delay time.Duration, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s.count(name, delay, h), ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.Serve(l) }()
	s.stops = append(s.stops, func() { _ = srv.Close() })
	return "http://" + l.Addr().String(), nil
}

// fakeHost serves h over TLS on loopback and makes http.DefaultTransport of THIS process reach it as host. It may be called
// for several hosts, but only while nothing sends requests.
func (s *Stack) fakeHost(host string, h http.Handler) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sigstack test CA"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, k.Public(), k)
	if err != nil {
		return err
	}
	crt, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second,
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: k}}}}
	go func() { _ = srv.ServeTLS(l, "", "") }()
	tr := http.DefaultTransport.(*http.Transport)
	old, oldProxy := tr.DialContext, tr.Proxy
	if tr.TLSClientConfig == nil {
		tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if tr.TLSClientConfig.RootCAs == nil {
		if tr.TLSClientConfig.RootCAs, _ = x509.SystemCertPool(); tr.TLSClientConfig.RootCAs == nil {
			tr.TLSClientConfig.RootCAs = x509.NewCertPool()
		}
	}
	tr.TLSClientConfig.RootCAs.AddCert(crt) // those of other faked hosts stay
	tr.Proxy = func(r *http.Request) (*url.URL, error) {
		if r.URL.Hostname() == host { // a proxy would reach the real host
			return nil, nil
		}
		return oldProxy(r)
	}
	tr.DialContext = func(ctx context.Context, n, a string) (net.Conn, error) {
		if a == host+":443" {
			a = l.Addr().String()
		}
		return old(ctx, n, a)
	}
	s.stops = append(s.stops, func() { _ = srv.Close(); tr.DialContext, tr.Proxy = old, oldProxy })
	return nil
}

func tlogOf(url string, pub crypto.PublicKey) (string, *root.TransparencyLog, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", nil, err
	}
	id := sha256.Sum256(der)
	return hex.EncodeToString(id[:]), &root.TransparencyLog{BaseURL: url, ID: id[:], ValidityPeriodStart: time.Now().Add(-time.Hour),
		HashFunc: crypto.SHA256, PublicKey: pub, SignatureHashFunc: crypto.SHA256}, nil
}

func (s *Stack) writePub(name string, pub crypto.PublicKey) error {
	b, err := cryptoutils.MarshalPublicKeyToPEM(pub)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Dir, name), b, 0o644)
}

func fetchPEM(u string) ([]byte, error) {
	r, err := http.Get(u)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != 200 {
		err = fmt.Errorf("%s: %s: %s", u, r.Status, b)
	}
	return b, err
}

func fetchPub(u string) (crypto.PublicKey, error) {
	b, err := fetchPEM(u)
	if err != nil {
		return nil, err
	}
	if p, _ := pem.Decode(b); p == nil {
		return nil, fmt.Errorf("%s: no PEM", u)
	}
	return cryptoutils.UnmarshalPEMToPublicKey(b)
}
