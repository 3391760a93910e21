#!/usr/bin/env bash
# Decides what is installed: the release asked for, the release that the action itself was asked for by, or, where the
# action is a checkout or pinned by its commit, what its own source builds. The latter needs no trust in anything but the
# pin.
set -euo pipefail
version=${KEOS_OCI_VERSION:-}
pattern='^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$'
if [ -n "$version" ] && ! [[ $version =~ $pattern ]]; then
  echo "::error title=keos-oci::keos-oci-version: want a version such as v1.0.0"
  exit 2
fi
if [ -z "$version" ] && [[ ${ACTION_REF:-} =~ $pattern ]]; then version=$ACTION_REF; fi
echo "version=$version" >>"$GITHUB_OUTPUT"
