package render

import "github.com/stratio/keos-oci/internal/terminal"

// The statuses of a Login.
const (
	LoggedIn    = "logged-in"
	LoggedOut   = "logged-out"
	NotLoggedIn = "unchanged" // there was no login to remove
)

// Login is the answer of `keos-oci login` and `keos-oci logout`.
type Login struct {
	Host   string   `json:"host"`
	User   string   `json:"user,omitempty"`
	Status string   `json:"status"`
	File   string   `json:"file"`             // Docker's config
	Helper string   `json:"helper,omitempty"` // the program that keeps the password
	Notes  []string `json:"notes,omitempty"`
	textAlone
}

// Text implements Result.
func (r Login) Text(p *terminal.Page) {
	switch r.Status {
	case LoggedIn:
		p.Say("logged in to %s as %s\n", r.Host, r.User)
	case LoggedOut:
		p.Say("logged out of %s\n", r.Host)
	default:
		p.Say("there was no login for %s\n", r.Host)
	}
	notes(p, "", r.Notes)
}

// Brief implements Result.
func (r Login) Brief() any { return r }
