package render

import "github.com/stratio/keos-oci/internal/terminal"

// KeyPair is the answer of `keos-oci generate-key-pair`: the files of the two keys.
type KeyPair struct {
	PrivateKey string `json:"privateKey"`
	PublicKey  string `json:"publicKey"`
	textAlone
}

// Text implements Result.
func (r *KeyPair) Text(p *terminal.Page) {
	p.Table([]terminal.Column{{}, {}, {Drop: 1}}, []terminal.Row{
		{"private key", r.PrivateKey, "only the job that publishes may read it"},
		{"public key", r.PublicKey, "people and clusters verify with it"},
	})
	p.Say("next: commit %s, and add to keos-oci.yaml: signing: {key: %s}\n", r.PublicKey, r.PublicKey)
	p.Say("then: keos-oci publish --key %s\n", r.PrivateKey)
}

// Brief implements Result.
func (r *KeyPair) Brief() any { return r }
