package component

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// signing reads the settings at path over those of base, which hold where the file says nothing else.
func (s *settings) signing(base Signing, path ...string) Signing {
	node := s.doc.value(path...)
	if node == nil {
		return base
	}
	signing := base
	s.take(node, &signing, path)
	signing.Identity = s.identity(base.Identity, with(path, "identity"))
	s.checkIdentities(signing.Identities, with(path, "identities"))
	if s.doc.value(with(path, "keys")...) != nil {
		signing.Keys = make([]string, len(signing.Keys))
		for i, key := range s.keysAt(with(path, "keys")) {
			signing.Keys[i] = s.onDisk(key)
		}
	}
	if node := s.doc.value(with(path, "key")...); node != nil && !strings.Contains(signing.Key, "://") {
		signing.Key = s.onDisk(signing.Key)
	}
	if s.doc.value(with(path, "trustedRoot")...) != nil {
		signing.TrustedRoot = s.onDisk(signing.TrustedRoot)
	}
	return signing
}

func (s *settings) keysAt(path []string) []string {
	var keys []string
	s.take(s.doc.value(path...), &keys, path)
	return keys
}

func (s *settings) absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.dir, filepath.FromSlash(path))
}

// onDisk is the absolute path of a file that the config names. What the commit of the config has is that commit's.
func (s *settings) onDisk(path string) string {
	if s.extract == nil || filepath.IsAbs(path) {
		return s.absolute(path)
	}
	found, err := s.extract(path)
	if err != nil {
		s.errs = append(s.errs, err)
	}
	return orElse(found, s.absolute(path))
}

// identity reads one over another. A subject of one form replaces a subject of the other.
func (s *settings) identity(base Identity, path []string) Identity {
	node := s.doc.value(path...)
	if node == nil {
		return base
	}
	var own Identity
	s.take(node, &own, path)
	s.checkIdentity(own, path)
	own.Issuer, own.Repository, own.RepositoryID = orElse(own.Issuer, base.Issuer), orElse(own.Repository,
		base.Repository), orElse(own.RepositoryID, base.RepositoryID)
	if len(own.Triggers) == 0 {
		own.Triggers = base.Triggers
	}
	if own.Subject == "" && own.SubjectRegexp == "" {
		own.Subject, own.SubjectRegexp = base.Subject, base.SubjectRegexp
	}
	return own
}

func (s *settings) checkIdentity(identity Identity, path []string) {
	if identity.Subject != "" && identity.SubjectRegexp != "" {
		s.doc.add(with(path, "subjectRegexp"), "give either subject or subjectRegexp")
	}
	if _, err := regexp.Compile(identity.SubjectRegexp); err != nil {
		s.doc.add(with(path, "subjectRegexp"), "%v", err)
	}
}

func (s *settings) checkIdentities(list []Identity, path []string) {
	for i, identity := range list {
		s.checkIdentity(identity, with(path, fmt.Sprint(i)))
	}
}
