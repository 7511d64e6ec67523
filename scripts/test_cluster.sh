#!/usr/bin/env bash
# Tests a cluster on this machine while parts of it are killed: Ray in a separate environment (.venv-cluster),
# PostgreSQL, Redis, and two API processes in the ordinary environment, which has no Ray. With --only-install, it only
# installs Ray.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

venv=.venv-cluster
python="$venv/bin/python"
wanted=$(cat requirements.txt requirements-cluster.txt | sha256sum)
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Ray into $venv"
    new_environment "${PYTHON:-python3}" "$venv"
    install_packages "$python" --quiet -r requirements.txt -r requirements-cluster.txt
    echo "$wanted" >"$venv/installed"
fi
if [ "${1:-}" = --only-install ]; then
    exit
fi

VOICE_TEST_CLUSTER_PYTHON="$PWD/$python" .venv/bin/python -m pytest tests/cluster -s "$@"
