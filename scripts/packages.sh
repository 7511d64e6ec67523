# For the other scripts: `install_packages PYTHON ARGUMENT ...` takes the arguments of `pip install`. uv does it in a tenth
# of pip's time; pip does it where there is no uv, or where uv fails, as it may behind an index that only pip is set up for.

# pip_setting PYTHON NAME: what pip's configuration or environment says of it.
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
