// Package sigstack runs a real Sigstore keyless stack inside one Go process, on loopback only:
// OIDC issuers shaped like those of GitHub Actions, of GitLab and of persons, Fulcio (ephemeral CA), a CT log (CTFE),
// Rekor v1, both logs over Trillian with in-memory storage, and an RFC 3161 timestamp authority. Nothing is written but Dir.
package sigstack

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	prototr "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/sigstore/fulcio/pkg/ca/ephemeralca"
	flog "github.com/sigstore/fulcio/pkg/log"
	rlog "github.com/sigstore/rekor/pkg/log"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"go.uber.org/zap"
	"k8s.io/klog/v2"

	"log"
)

// Options configures a Stack; the zero value is good.
type Options struct {
	Dir           string        // where trusted_root.json etc. are written; a temporary folder by default
	Sequencer     time.Duration // Trillian sequencing interval, 20 ms by default
	GitHub        bool          // issue tokens as https://token.actions.githubusercontent.com itself
	Claims        Claims        // of the tokens given out by the Actions endpoint
	TSA           bool
	FulcioDelay   time.Duration // added to each request, to imitate the public instances
	RekorDelay    time.Duration
	RegistryDelay time.Duration
	Verbose       bool
	WithoutCTLog  bool
}

// Stack is a running stack.
type Stack struct {
	Dir                                              string
	Issuer                                           *Issuer
	IssuerURL, ActionsURL, ActionsToken              string
	FulcioURL, RekorURL, CTURL, TSAURL, RegistryHost string
	TrustedRootPath, SigningConfigPath               string
	Trust                                            *root.TrustedRoot
	Timing                                           []string
	counts                                           sync.Map // service -> *atomic.Int64
	paths                                            sync.Map // service+method+path class -> *atomic.Int64
	stops                                            []func()
}

var once sync.Mutex
var started bool

// Start brings everything up. Rekor and the TSA keep process-wide state, so only one Stack per process.
func Start(ctx context.Context, o Options) (_ *Stack, err error) {
	once.Lock()
	defer once.Unlock()
	if started {
		return nil, fmt.Errorf("sigstack: only one per process")
	}
	started = true
	t0 := time.Now()
	if o.Sequencer == 0 {
		o.Sequencer = 20 * time.Millisecond
	}
	if !o.Verbose {
		flog.Logger = zap.NewNop().Sugar()
		rlog.Logger = zap.NewNop().Sugar()
		klog.LogToStderr(false) // Trillian and CTFE
		klog.SetOutput(io.Discard)
	}
	s := &Stack{Dir: o.Dir}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "sigstack"); err != nil {
			return nil, err
		}
		s.stops = append(s.stops, func() { os.RemoveAll(s.Dir) })
	}
	mark := func(n string) { s.Timing = append(s.Timing, fmt.Sprintf("%s@%dms", n, time.Since(t0).Milliseconds())) }

	// 1. OIDC issuers
	if o.GitHub {
		if s.Issuer, err = newIssuer(GitHubIssuer); err != nil {
			return nil, err
		}
		if err = s.fakeHost("token.actions.githubusercontent.com", s.count("issuer", 0, s.Issuer.handler())); err != nil {
			return nil, err
		}
		s.IssuerURL = GitHubIssuer
	} else {
		if s.Issuer, err = newIssuer(""); err != nil {
			return nil, err
		}
		if s.IssuerURL, err = s.serve("issuer", 0, s.Issuer.handler()); err != nil {
			return nil, err
		}
		s.Issuer.url = s.IssuerURL
	}
	if err = s.fakeHost("accounts.example.com", s.Issuer.email.handler()); err != nil {
		return nil, err
	}
	if err = s.fakeHost("gitlab.com", s.Issuer.gitlab.handler()); err != nil {
		return nil, err
	}
	s.Issuer.Def = o.Claims
	au, err := s.serve("actions", 0, s.Issuer.actions())
	if err != nil {
		return nil, err
	}
	s.ActionsURL, s.ActionsToken = au+"/_apis/token?api-version=2.0", s.Issuer.Bearer
	mark("issuer")

	// 2. CA, Trillian, CT log
	ca, err := ephemeralca.NewEphemeralCA()
	if err != nil {
		return nil, err
	}
	bundle, err := ca.TrustBundle(ctx)
	if err != nil {
		return nil, err
	}
	rootCert := bundle[0][len(bundle[0])-1]
	rootPEM, err := cryptoutils.MarshalCertificateToPEM(rootCert)
	if err != nil {
		return nil, err
	}
	rootPath := filepath.Join(s.Dir, "fulcio-root.pem")
	if err = os.WriteFile(rootPath, rootPEM, 0o644); err != nil {
		return nil, err
	}
	taddr, conn, stop, err := startTrillian(ctx, o.Sequencer)
	if err != nil {
		return nil, err
	}
	s.stops = append(s.stops, stop)
	mark("trillian")
	ctLogs := map[string]*root.TransparencyLog{}
	if !o.WithoutCTLog {
		h, pub, err := ctLog(ctx, conn, "ct", rootPath)
		if err != nil {
			return nil, fmt.Errorf("ct log: %w", err)
		}
		if s.CTURL, err = s.serve("ctlog", 0, h); err != nil {
			return nil, err
		}
		s.CTURL += "/ct"
		id, tl, err := tlogOf(s.CTURL, pub)
		if err != nil {
			return nil, err
		}
		ctLogs[id] = tl
		if err := s.writePub("ctlog.pub", pub); err != nil {
			return nil, err
		}
		mark("ctlog")
	}

	// 3. Fulcio
	fh, err := fulcioHandler(ctx, ca, s.CTURL, s.IssuerURL)
	if err != nil {
		return nil, err
	}
	if s.FulcioURL, err = s.serve("fulcio", o.FulcioDelay, fh); err != nil {
		return nil, err
	}
	mark("fulcio")

	// 4. Rekor v1
	tree, err := createTree(ctx, conn)
	if err != nil {
		return nil, err
	}
	rh, err := rekorHandler(taddr, tree)
	if err != nil {
		return nil, err
	}
	if s.RekorURL, err = s.serve("rekor", o.RekorDelay, rh); err != nil {
		return nil, err
	}
	rpub, err := fetchPub(s.RekorURL + "/api/v1/log/publicKey")
	if err != nil {
		return nil, err
	}
	rid, rtl, err := tlogOf(s.RekorURL, rpub)
	if err != nil {
		return nil, err
	}
	if err := s.writePub("rekor.pub", rpub); err != nil {
		return nil, err
	}
	mark("rekor")

	// 5. TSA
	var tsas []root.TimestampingAuthority
	now := time.Now()
	if o.TSA {
		th, certs, err := tsaHandler()
		if err != nil {
			return nil, err
		}
		if s.TSAURL, err = s.serve("tsa", 0, th); err != nil {
			return nil, err
		}
		chain, err := cryptoutils.MarshalCertificatesToPEM(certs)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(s.Dir, "tsa-chain.pem"), chain, 0o644); err != nil {
			return nil, err
		}
		tsas = append(tsas, &root.SigstoreTimestampingAuthority{Leaf: certs[0], Intermediates: certs[1 : len(certs)-1],
			Root: certs[len(certs)-1], ValidityPeriodStart: now.Add(-time.Hour), URI: s.TSAURL + "/api/v1/timestamp"})
		mark("tsa")
	}

	// 6. registry (go-containerregistry, in memory, with the referrers API)
	reg := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	ru, err := s.serve("registry", o.RegistryDelay, reg)
	if err != nil {
		return nil, err
	}
	s.RegistryHost = strings.TrimPrefix(ru, "http://")

	// 7. trust
	s.Trust, err = root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{Root: rootCert, ValidityPeriodStart: rootCert.NotBefore.Add(-time.Minute),
			URI: s.FulcioURL}},
		ctLogs, tsas, map[string]*root.TransparencyLog{rid: rtl})
	if err != nil {
		return nil, err
	}
	b, err := s.Trust.MarshalJSON()
	if err != nil {
		return nil, err
	}
	s.TrustedRootPath = filepath.Join(s.Dir, "trusted_root.json")
	if err = os.WriteFile(s.TrustedRootPath, b, 0o644); err != nil {
		return nil, err
	}
	svc := func(u string) []root.Service {
		return []root.Service{{URL: u, MajorAPIVersion: 1, ValidityPeriodStart: now.Add(-time.Hour), Operator: "sigstack"}}
	}
	var tsvc []root.Service
	var tcfg root.ServiceConfiguration
	if o.TSA {
		tsvc, tcfg = svc(s.TSAURL+"/api/v1/timestamp"), root.ServiceConfiguration{Selector: prototr.ServiceSelector_ANY}
	}
	sc, err := root.NewSigningConfig(root.SigningConfigMediaType02, svc(s.FulcioURL), svc(s.IssuerURL), svc(s.RekorURL),
		root.ServiceConfiguration{Selector: prototr.ServiceSelector_ANY}, tsvc, tcfg)
	if err != nil {
		return nil, err
	}
	if b, err = sc.MarshalJSON(); err != nil {
		return nil, err
	}
	s.SigningConfigPath = filepath.Join(s.Dir, "signing_config.json")
	if err = os.WriteFile(s.SigningConfigPath, b, 0o644); err != nil {
		return nil, err
	}
	mark("done")
	s.ResetCounts()
	return s, nil
}

// Stop ends all services.
func (s *Stack) Stop() {
	for i := len(s.stops) - 1; i >= 0; i-- {
		s.stops[i]()
	}
	s.stops = nil
}

// Env is the environment that makes a CLI with an ambient GitHub Actions provider use this stack.
func (s *Stack) Env() []string {
	return []string{
		"ACTIONS_ID_TOKEN_REQUEST_URL=" + s.ActionsURL, "ACTIONS_ID_TOKEN_REQUEST_TOKEN=" + s.ActionsToken,
		"SIGSTORE_ISSUER=" + s.IssuerURL, "SIGSTORE_EMAIL_ISSUER=" + EmailIssuer, "SIGSTORE_GITLAB_ISSUER=" + GitLabIssuer,
		"SIGSTORE_FULCIO_URL=" + s.FulcioURL, "SIGSTORE_REKOR_URL=" + s.RekorURL, "SIGSTORE_TSA_URL=" + s.TSAURL,
		"SIGSTORE_REGISTRY=" + s.RegistryHost, "SIGSTORE_DIR=" + s.Dir,
		"SIGSTORE_TRUSTED_ROOT=" + s.TrustedRootPath, "SIGSTORE_SIGNING_CONFIG=" + s.SigningConfigPath,
	}
}
