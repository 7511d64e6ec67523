# The other scripts source this file. `install_packages PYTHON ARGUMENT ...` takes the arguments of `pip install`, and
# `new_environment PYTHON FOLDER` makes a virtual environment with pip. Both use uv, which takes a tenth of the time. They
# use pip and venv if uv is not installed or fails, for example because only pip is configured for the package index.

# use_pip_settings PYTHON: lets uv use the package index that pip is configured for. Fails if pip is configured to use no
# index, or if uv is not installed.
use_pip_settings() {
    local settings index certificates
    settings=$("$1" -m pip config list 2>/dev/null) || settings=
    index=$(pip_setting index-url "$settings")
    certificates=$(pip_setting cert "$settings")
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    [ -x .venv/bin/uv ] && [ -z "$(pip_setting no-index "$settings")" ]
}

# pip_setting NAME SETTINGS: prints one of the settings that pip printed, from its configuration or environment.
pip_setting() {
    sed -n "s/^\(global\|install\|:env:\)\.$1='\(.*\)'\$/\2/p" <<<"$2" | tail -1
}

new_environment() (
    if use_pip_settings .venv/bin/python; then
        .venv/bin/uv venv --quiet --clear --seed --python "$(command -v "$1")" "$2" && exit
    fi
    "$1" -m venv --clear "$2"
)

install_packages() (
    python=$1
    shift
    if use_pip_settings "$python"; then
        .venv/bin/uv pip install --python "$python" "$@" && exit
        echo "uv could not install them; pip goes on."
    fi
    "$python" -m pip install --disable-pip-version-check "$@"
)
