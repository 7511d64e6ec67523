#!/usr/bin/env bash
# Writes a bill of materials for each image as CycloneDX (JSON): the project and its version, and its locked packages.
#   scripts/sbom.sh FOLDER [OPTION ...]
# The options are those of `cyclonedx-py requirements`.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1
shift
version=$(sed -n 's/^VERSION = "\([^"]*\)".*/\1/p' voiceproject/__init__.py)
mkdir -p "$folder"
about=$(mktemp --suffix=.toml)
trap 'rm -f "$about"' EXIT
for image in api gpu; do
    lock=$(sed -n 's/^COPY \(requirements[a-z-]*\.txt\) .*/\1/p' "docker/$image.Dockerfile")
    printf '[project]\nname = "voice-%s"\nversion = "%s"\nlicense = {text = "Apache-2.0"}\n' "$image" "$version" >"$about"
    PYTHONWARNINGS=ignore .venv/bin/cyclonedx-py requirements --pyproject "$about" --mc-type application --output-reproducible \
        --sv 1.6 --of JSON --output-file "$folder/voice-$image-$version.cdx.json" "$@" "$lock"
    echo "$folder/voice-$image-$version.cdx.json"
done
