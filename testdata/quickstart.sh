#!/usr/bin/env bash
# The main job on an embedded registry: publish the sample workspace twice, verify it, list its tags. Nothing stays behind.
set -euo pipefail
bin=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
sample=$(cd "$(dirname "$0")" && pwd)/repos/apps
work=$(mktemp -d)
pid=
cleanup() { [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; } || true; rm -rf "$work"; }
trap cleanup EXIT
say() { printf '\n$ %s\n' "$*"; }

"$bin" registry serve --listen 127.0.0.1:0 --dir "$work/registry" >"$work/address" &
pid=$!
for _ in $(seq 100); do [ -s "$work/address" ] && break; sleep 0.1; done
host=$(cat "$work/address")

export COSIGN_PASSWORD=quickstart GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
unset GITHUB_REF GITHUB_ACTIONS
cp -R "$sample" "$work/apps" && cd "$work/apps"
git init -q -b main && git add -A && git -c user.name=quickstart -c user.email=quickstart@example.com commit -q -m "sample"
keos() { say keos-oci "$@"; "$bin" --registry "$host/quickstart/apps" --log-level warn "$@"; }

keos generate-key-pair --output-key-prefix "$work/cosign"
keos components
keos publish --key "$work/cosign.key"
keos publish --key "$work/cosign.key" | tee "$work/second"
grep -q '2 unchanged' "$work/second"
keos publish --key "$work/cosign.key" --version v1.0.0 shop
keos verify shop:v1.0.0 --key "$work/cosign.pub"
keos list shop
printf '\nDone: published, signed and verified against %s; everything is cleaned up.\n' "$host"
