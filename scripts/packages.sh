# The other scripts source this file. `install_packages PYTHON ARGUMENT ...` takes the arguments of `pip install`. It uses
# uv, which takes a tenth of pip's time. It uses pip if uv is not installed or fails, for example because only pip is
# configured for the package index.

# pip_setting PYTHON NAME: prints a setting of pip's configuration or environment.
pip_setting() {
    "$1" -m pip config list 2>/dev/null | sed -n "s/^\(global\|install\|:env:\)\.$2='\(.*\)'\$/\2/p" | tail -1
}

install_packages() (
    python=$1
    shift
    uv=.venv/bin/uv
    index=$(pip_setting "$python" index-url)
    certificates=$(pip_setting "$python" cert)
    [ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
    [ -z "$certificates" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$certificates}"
    if [ -x "$uv" ] && [ -z "$(pip_setting "$python" no-index)" ]; then
        "$uv" pip install --python "$python" "$@" && exit
        echo "uv could not install them; pip goes on."
    fi
    "$python" -m pip install --disable-pip-version-check "$@"
)
