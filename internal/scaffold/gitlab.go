package scaffold

import (
	"regexp"
	"strings"

	"github.com/stratio/keos-oci/internal/fileset"
)

const gitlabFile = ".gitlab-ci.yml"

func (w *workflows) gitlab() ([]fileset.File, error) {
	for _, c := range w.set {
		tag := regexp.QuoteMeta(c.GitTagOf("\x00"))
		pattern := strings.Replace(tag, "\x00", `[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?`, 1)
		w.Tags = append(w.Tags, "/^"+strings.ReplaceAll(pattern, "/", `\/`)+"$/")
	}
	return w.files([][2]string{{gitlabFile, "gitlab-ci.yml"}})
}
