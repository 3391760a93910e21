#!/usr/bin/env bash
# Make the fixture of this folder anew: what the first release wrote to a registry, and the checkout it was made from.
# KEOS_OCI_SIGSTACK is the binary of e2e/cmd/sigstack; without it the one of the first release is built, which takes long.
set -euo pipefail
release=3f926da
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
pids=()
cleanup() {
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
  rm -rf "$work"
}
trap cleanup EXIT
await() { for _ in $(seq 600); do [ -s "$1" ] && return; sleep 0.1; done; echo "no $(basename "$1")" >&2; return 1; }

# The first release, built as the Makefile builds.
export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false'
mkdir "$work/src"
git -C "$here/../.." archive "$release" | tar -x -C "$work/src"
(cd "$work/src" && go build -o "$work/keos-oci" ./cmd/keos-oci)
sigstack=${KEOS_OCI_SIGSTACK:-$work/sigstack}
[ -n "${KEOS_OCI_SIGSTACK:-}" ] || (cd "$work/src/e2e" && go build -o "$sigstack" ./cmd/sigstack)

# Nothing of the settings of who runs this may end up in the fixture.
for name in $(compgen -e | grep -E '^(ACTIONS|CI|COSIGN|DOCKER|GIT|GITHUB|GITLAB|KEOS_OCI|SIGSTORE)(_|$)'); do unset "$name"; done
export HOME=$work DOCKER_CONFIG=$work COSIGN_PASSWORD=pw GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.com GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.com
export GITHUB_ACTOR=octocat GITHUB_RUN_ID=1 GITHUB_SERVER_URL=https://github.com GITHUB_REPOSITORY=org/apps

"$work/keos-oci" registry serve --listen 127.0.0.1:0 --dir "$work/registry" >"$work/address" &
pids+=($!)
mkdir "$work/stack"
"$sigstack" -github -dir "$work/stack" >"$work/stack.log" 2>&1 &
pids+=($!)
await "$work/address"
await "$work/stack/env"
registry=$(cat "$work/address")
stack() { (. "$work/stack/env" && printenv "$1"); }
"$work/keos-oci" generate-key-pair --output-key-prefix "$work/cosign"

mkdir "$work/apps"
cd "$work/apps"
git init -q -b main
git remote add origin git@github.com:org/apps.git

# component NAME VALUE writes what the helper of the same name in cmd/keos-oci/main_test.go writes.
component() {
  local dir=components/$1
  mkdir -p "$dir/base" "$dir/staging" "$dir/production"
  echo 'resources: [config.yaml]' >"$dir/base/kustomization.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {value: "%s"}\n' "$1" "$2" >"$dir/base/config.yaml"
  for stage in staging production; do echo 'resources: [../base]' >"$dir/$stage/kustomization.yaml"; done
}
# commit DAY MESSAGE
commit() {
  export GIT_AUTHOR_DATE=2026-01-0${1}T03:04:05Z GIT_COMMITTER_DATE=2026-01-0${1}T03:04:05Z
  git add -A
  git commit -q -m "$2"
}
# both WORKFLOW REF ARGUMENT… runs the first release once with the key pair and once as that workflow on that ref.
both() {
  local workflow=$1 ref=$2
  shift 2
  "$work/keos-oci" --registry "$registry/keyed/apps" --log-level warn "$@" --key "$work/cosign.key"
  ACTIONS_ID_TOKEN_REQUEST_TOKEN=$(stack ACTIONS_ID_TOKEN_REQUEST_TOKEN) \
  ACTIONS_ID_TOKEN_REQUEST_URL="$(stack ACTIONS_ID_TOKEN_REQUEST_URL)&repository=org/apps&workflow=$workflow&ref=$ref" \
    "$work/keos-oci" --registry "$registry/keyless/apps" --log-level warn "$@" \
    --fulcio-url "$(stack SIGSTORE_FULCIO_URL)" --rekor-url "$(stack SIGSTORE_REKOR_URL)" --trusted-root "$(stack SIGSTORE_TRUSTED_ROOT)"
}
publish() { both publish.yaml refs/heads/main publish; }
# release TAG FLAG…
release() {
  git tag "$1"
  both release.yaml "refs/tags/$1" publish --ref "refs/tags/$1" "${@:2}"
}
move() { both promote.yaml refs/heads/main "$@"; }

component frontend 1
component backend 1
commit 2 one
publish
release frontend/v1.0.0
release backend/v1.0.0 --no-promote
move promote backend v1.0.0
component frontend 2
commit 3 two
publish
release frontend/v1.1.0
component frontend 3
commit 4 three
publish
release frontend/v1.2.0 --no-promote
move rollback frontend --reason 'v1.1.0 answers with 500'

git bundle create -q "$here/checkout.bundle" main --tags
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode='u+rwX,go+rX,go-w' --format=ustar -C "$work/registry" -c . | gzip -9n >"$here/registry.tar.gz"
cp "$work/cosign.key" "$work/cosign.pub" "$here"
cp "$(stack SIGSTORE_TRUSTED_ROOT)" "$here/trusted_root.json"
chmod 644 "$here"/cosign.* "$here"/trusted_root.json
