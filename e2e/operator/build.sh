#!/usr/bin/env bash
# build.sh FILE operator|cli [LDFLAGS]: builds Flux Operator, or its command line, as go.mod and go.sum here pin them. Their module lacks the
# web pages that it embeds, which its own release builds with npm; a copy of the module gets an empty page instead, and is removed again.
set -euo pipefail
out=$1 program=$2 ldflags=${3:-}
cd "$(dirname "${BASH_SOURCE[0]}")"
module=github.com/controlplaneio-fluxcd/flux-operator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -R "$(go mod download -json $module | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')" "$work/operator"
chmod -R u+w "$work/operator"
mkdir "$work/operator/web/dist"
: >"$work/operator/web/dist/index.html"
cp go.mod go.sum "$work"
go mod edit -replace="$module=$work/operator" "$work/go.mod"
go build -modfile="$work/go.mod" -ldflags "$ldflags" -o "$out" "$module/cmd/$program"
