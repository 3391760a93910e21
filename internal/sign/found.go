package sign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Found is what is known of a digest's signatures.
type Found struct {
	Valid     []Signed
	Invalid   []error
	Unchecked []error // signatures that may be valid: ErrCannotCheck
	cut       bool    // more signatures exist than were read
}

func (f *Found) add(s Signed, err error) {
	switch {
	case err == nil:
		f.Valid = append(f.Valid, s)
	case errors.Is(err, ErrCannotCheck):
		f.Unchecked = append(f.Unchecked, err)
	default:
		f.Invalid = append(f.Invalid, err)
	}
}

// none reports whether there is no signature at all.
func (f Found) none() bool { return len(f.Valid)+len(f.Invalid)+len(f.Unchecked) == 0 }

// Has reports whether a valid signature fulfils the condition.
func (f Found) Has(counts func(Signed) bool) bool { return slices.ContainsFunc(f.Valid, counts) }

// Meets says why the signatures do not meet a policy, nil when one does. The error is ErrUnsigned or ErrWrongIdentity when
// the answer is no, and ErrCannotCheck when signatures are left that were not read, or could not be checked.
func (f Found) Meets(ps Policies) error {
	if err := ps.Validate(); err != nil {
		return err
	}
	var why error
	var who []string
	for _, s := range f.Valid {
		err := ps.Judge(s)
		if err == nil {
			return nil
		}
		if why == nil || ps.MatchesName(s.Identity) {
			why = err
		}
		who = append(who, s.String())
	}
	switch {
	case f.cut:
		return fmt.Errorf("%w: none of the first %d is accepted, and more exist", ErrCannotCheck, maxSignatures)
	case len(f.Unchecked) > 0:
		return f.Unchecked[0]
	case why != nil:
		return fmt.Errorf("%w: %w; signed by %s", ErrWrongIdentity, why, strings.Join(who, ", "))
	case len(f.Invalid) > 0:
		return fmt.Errorf("%w: no signature is valid: %w", ErrUnsigned, errors.Join(f.Invalid...))
	}
	return ErrUnsigned
}
