#!/usr/bin/env bash
# Tests the Coqui voices in an environment of their own (.venv-coqui), with checkpoints that it makes.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/packages.sh

venv=.venv-coqui
python="$venv/bin/python"
wanted=$(cat requirements.txt requirements-coqui.txt | sha256sum)
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Coqui into $venv (about a minute)"
    "${PYTHON:-python3}" -m venv --clear "$venv"
    # pip installs PyTorch, because its configuration may name an index of builds, which uv does not read. uv installs
    # the rest, because it is faster.
    "$python" -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' requirements-coqui.txt)"
    install_packages "$python" --quiet -r requirements.txt -r requirements-coqui.txt
    install_packages "$python" --quiet -c requirements-dev.txt \
        pytest pytest-django pytest-asyncio pytest-timeout
    # torchaudio's wheel links CUDA's libraries. Where there are none, its binaries are removed: speech needs only its
    # Python part.
    "$python" -c "import torchaudio" 2>/dev/null || rm -f "$venv"/lib/python*/site-packages/torchaudio/lib/*.so
    "$python" -c "import torchaudio"
    echo "$wanted" >"$venv/installed"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Making checkpoints"
"$python" -m tests.coqui.checkpoint "$work" 2>/dev/null
VOICE_STATE_DIR="$work/state" VOICE_COQUI_MODELS="$work/satu,$work/ramai" "$python" -m pytest tests/coqui "$@"
