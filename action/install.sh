#!/usr/bin/env bash
# Puts keos-oci on the PATH: built from the action's own source, or a release whose list of checksums is signed by the
# release workflow of that very version.
set -euo pipefail
bin=$RUNNER_TEMP/keos-oci/bin
mkdir -p "$bin"
echo "$bin" >>"$GITHUB_PATH"

if [ -z "${KEOS_OCI_VERSION:-}" ]; then
  cd "$GITHUB_ACTION_PATH"
  CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$bin/" ./cmd/keos-oci
  exit
fi

version=$KEOS_OCI_VERSION
releases=${KEOS_OCI_RELEASES:-https://github.com/stratio/keos-oci/releases/download}
case ${RUNNER_OS:-Linux} in Linux) os=linux ;; macOS) os=darwin ;; Windows) os=windows ;; *) os=unknown ;; esac
case ${RUNNER_ARCH:-X64} in X64) arch=amd64 ;; ARM64) arch=arm64 ;; *) arch=unknown ;; esac
archive=keos-oci_${version#v}_${os}_${arch}.tar.gz
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for file in checksums.txt checksums.txt.sigstore.json "$archive"; do
  curl --fail --silent --show-error --location --retry 3 --output "$file" "$releases/$version/$file"
done
trust=()
if [ -n "${KEOS_OCI_TRUSTED_ROOT:-}" ]; then trust=(--trusted-root "$KEOS_OCI_TRUSTED_ROOT"); fi
cosign verify-blob --bundle checksums.txt.sigstore.json ${trust[@]+"${trust[@]}"} \
  --certificate-identity "https://github.com/stratio/keos-oci/.github/workflows/release.yml@refs/tags/$version" \
  --certificate-oidc-issuer https://token.actions.githubusercontent.com checksums.txt
if command -v sha256sum >/dev/null; then sum=(sha256sum); else sum=(shasum -a 256); fi
got=$("${sum[@]}" "$archive" | cut -d' ' -f1)
want=$(awk -v name="$archive" '$2 == name { print $1 }' checksums.txt)
if [ -z "$want" ] || [ "$got" != "$want" ]; then
  echo "::error title=keos-oci::$archive has the checksum $got, and the signed list says ${want:-nothing of it}"
  exit 1
fi
if [ -n "${KEOS_OCI_CHECKSUM:-}" ] && [ "$got" != "$KEOS_OCI_CHECKSUM" ]; then
  echo "::error title=keos-oci::$archive has the checksum $got, and the workflow asks for $KEOS_OCI_CHECKSUM"
  exit 1
fi
tar -xzf "$archive" -C "$bin" "keos-oci$([ $os = windows ] && echo .exe || true)"
