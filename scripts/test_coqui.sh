#!/usr/bin/env bash
# Makes small Coqui checkpoints, and tests the Coqui voices with them in a separate environment (.venv-coqui).
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

venv=.venv-coqui
python="$venv/bin/python"
wanted=$(cat requirements.txt requirements-coqui.txt | sha256sum)
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Coqui into $venv (about a minute)"
    new_environment "${PYTHON:-python3}" "$venv"
    # pip installs PyTorch, because pip's configuration may name an index with builds of PyTorch, and uv does not read
    # that configuration. uv installs the rest, because it is faster.
    "$python" -m pip install --quiet --disable-pip-version-check --no-compile \
        "$(grep '^torch==' requirements-coqui.txt)"
    install_packages "$python" --quiet -r requirements.txt -r requirements-coqui.txt
    install_packages "$python" --quiet -c requirements-dev.txt \
        pytest pytest-django pytest-asyncio pytest-timeout
    # torchaudio's binaries need CUDA's libraries. If there are none, the binaries are removed, because speech needs only
    # the Python part.
    "$python" -c "import torchaudio" 2>/dev/null || rm -f "$venv"/lib/python*/site-packages/torchaudio/lib/*.so
    "$python" -c "import torchaudio"
    echo "$wanted" >"$venv/installed"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Making checkpoints"
"$python" -m tests.coqui.checkpoint "$work" 2>/dev/null
VOICE_STATE_DIR="$work/state" VOICE_COQUI_MODELS="$work/satu,$work/ramai" "$python" -m pytest tests/coqui "$@"
