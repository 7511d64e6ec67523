#!/usr/bin/env bash
# Runs third-party clients against the service. Python clients are in .venv-clients, Node clients below build/.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

clients=tests/clients
folder="$PWD/.venv-clients"
missing=()

# environment NAME PYTHON REQUIREMENTS: makes a virtual environment with that file's packages, unless it is up to date.
environment() {
    local place="$folder/$1" wanted
    wanted=$(sha256sum <"$3")
    [ "$(cat "$place/installed" 2>/dev/null)" = "$wanted" ] && return
    echo "Installing $(head -1 "$3" | grep -v '^#' || basename "$3") into ${place#"$PWD"/}"
    new_environment "$2" "$place"
    install_packages "$place/bin/python" --quiet -r "$3"
    echo "$wanted" >"$place/installed"
}

newer_python() {
    local one
    for one in python3.14 python3.13 python3.12 "${HOME}"/.pyenv/versions/3.1[2-9]*/bin/python; do
        if "$one" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
            echo "$one"
            return
        fi
    done
}

environment python "${PYTHON:-python3}" $clients/requirements.txt
environment openai-1 "${PYTHON:-python3}" $clients/requirements-openai-1.txt
newer=$(newer_python)
if [ -n "$newer" ]; then
    environment wyoming "$newer" $clients/requirements-wyoming.txt
else
    missing+=("wyoming-openai: needs Python 3.12 or later")
fi

command -v npm >/dev/null || scripts/debian-packages.sh nodejs npm
mkdir -p build/clients-node
ln -sfn "$PWD/build/clients-node" "$folder/node"
if ! cmp -s $clients/package.json build/clients-node/package.json || [ ! -d build/clients-node/node_modules ]; then
    cp $clients/package.json $clients/package-lock.json build/clients-node/
    (cd build/clients-node && npm ci --silent --no-audit --no-fund)
fi

VOICE_TEST_CLIENTS="$folder" .venv/bin/python -m pytest $clients "$@"
for one in "${missing[@]}"; do
    echo "NOT TRIED: $one" >&2
done
