package sign

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Reached is a service that a run may need, and whether it answers.
type Reached struct {
	Name, URL string
	Err       error
}

// LoadRoot loads what certificates are checked against. Notes says whether an older copy had to do.
func (v *Verifier) LoadRoot() error {
	_, err := v.trust.load()
	return err
}

// Reach asks the services of a keyless signature whether they are there. Nothing is signed. The error says why it is not known which
// services these are.
func (s *Signer) Reach(ctx context.Context) ([]Reached, error) {
	e, err := s.opts.Services.resolve(s.opts.Now(), s.opts.Key != nil)
	if err != nil {
		return nil, err
	}
	list := []Reached{{Name: "Fulcio", URL: e.fulcio}, {Name: "Rekor", URL: e.rekor}}
	for _, address := range e.tsa {
		list = append(list, Reached{Name: "the timestamp authority", URL: address})
	}
	for i := range list {
		client, path := s.opts.Clients.Timestamps, ""
		switch i { // their first page is for people
		case 0:
			client, path = s.opts.Clients.Fulcio, "/api/v2/configuration"
		case 1:
			client, path = s.opts.Clients.Rekor, "/api/v1/log"
			if e.rekorVersion == 2 {
				path = "/api/v2/checkpoint"
			}
		}
		list[i].Err = answers(ctx, client, strings.TrimSuffix(list[i].URL, "/")+path)
	}
	return list, nil
}

// answers reports why a server is out of reach. Any answer of its own will do: what it has at this path does not matter.
func answers(ctx context.Context, client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			return ue.Err
		}
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	if resp.StatusCode >= http.StatusInternalServerError && resp.StatusCode != http.StatusNotImplemented {
		return &httpError{status: resp.StatusCode, message: http.StatusText(resp.StatusCode)}
	}
	return nil
}

// TokenSource is where a run's identity token comes from without a person. ErrNoToken is no error where a person can log in.
func (s *Signer) TokenSource() (string, error) {
	o := s.opts.Tokens
	switch {
	case o.File != "":
		return "the file of --identity-token", nil
	case o.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL") != "":
		return "GitHub Actions", nil
	case o.Getenv("SIGSTORE_ID_TOKEN") != "":
		return "SIGSTORE_ID_TOKEN", nil
	}
	o.Interactive = false
	_, err := o.token(context.Background())
	return "", err
}

// HasKey reports whether the run signs with a private key.
func (s *Signer) HasKey() bool { return s.opts.Key != nil }
