#!/bin/sh
# Pins what the images install, with the SHA-256 of every file: inference_container/requirements/*.txt.
# Both processors must get the same versions. Pins that still fit are kept: delete a file to renew all of it.
# Argument: the uv program.
set -eu
uv=$1
cd "$(dirname "$0")/../inference_container/requirements"
other=$(mktemp)
trap 'rm -f "$other"' EXIT

lock() { # lock OUT PROCESSOR ARGUMENT…
  out=$1 processor=$2; shift 2
  "$uv" pip compile --quiet --python-version 3.11 --python-platform "$processor-manylinux_2_36" \
    --overrides overrides.txt --generate-hashes --no-annotate --custom-compile-command "make lock" \
    --output-file "$out" "$@"
}

for target in "cpu --extra serve --extra openvino" "gpu --extra serve"; do
  # shellcheck disable=SC2086  # words are meant
  set -- $target
  file=$1.txt; shift
  lock "$file" x86_64 ../../pyproject.toml "$@"
  cp "$file" "$other"
  lock "$other" aarch64 ../../pyproject.toml "$@"
  diff "$file" "$other" >&2 || { echo "$file: x86_64 and arm64 would get different versions" >&2; exit 1; }
done
echo "setuptools>=77" | lock build.txt x86_64 -
