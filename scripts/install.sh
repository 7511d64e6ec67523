#!/usr/bin/env bash
# Installs requirement files into .venv.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh
trap 'exit 130' INT

python=.venv/bin/python
files=()
for file in "$@"; do
    files+=(-r "$file")
done
if [ ! -x .venv/bin/uv ]; then
    uv=$(grep '^uv==' requirements-dev.txt)
    "$python" -m pip install --quiet --disable-pip-version-check --only-binary uv "$uv" || echo "There is no uv; pip does it."
fi
install_packages "$python" "${files[@]}"
