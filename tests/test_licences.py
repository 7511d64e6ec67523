"""docs/licences.md names all libraries inside wheels. NOTICE covers those whose licences require more than a name."""

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from tests.services import ROOT

# The names of the libraries that wheels may contain. If one is missing here, it is new: look up its licence.
PROJECTS = {
    "av": {
        "avcodec avdevice avfilter avformat avutil swresample swscale": "FFmpeg",
        "x264": "x264",
        "x265": "x265",
        "mp3lame": "LAME",
        "opus": "Opus",
        "vpx": "libvpx",
        "webp webpmux sharpyuv": "libwebp",
        "dav1d": "dav1d",
        "SvtAv1Enc": "SVT-AV1",
        "opencore-amrnb opencore-amrwb": "opencore-amr",
        "gnutls": "GnuTLS",
        "nettle hogweed": "Nettle",
        "gmp": "GMP",
        "unistring": "libunistring",
        "asound": "ALSA",
        "xcb xcb-shape xcb-shm xcb-xfixes Xau": "libxcb",
        "drm": "libdrm",
        "vpl": "libvpl",
    },
    "psycopg_binary": {
        "pq": "libpq",
        "crypto ssl": "OpenSSL",
        "com_err gssapi_krb5 k5crypto krb5 krb5support": "MIT Kerberos",
        "ldap lber": "OpenLDAP",
        "sasl2": "Cyrus SASL",
        "keyutils": "keyutils",
        "crypt": "libxcrypt",
    },
    "ctranslate2": {"ctranslate2": "ctranslate2", "gomp": "OpenMP"},
    "numpy": {"scipy_openblas64_": "OpenBLAS", "gfortran quadmath": "Fortran"},
}
MORE_THAN_A_NOTICE = ["x264", "x265", "LAME", "GnuTLS", "Nettle", "GMP", "eSpeak NG", "libsoxr", "psycopg"]


@pytest.mark.parametrize("package", list(PROJECTS))
def test_every_library_in_a_wheel_is_on_the_page(package: str) -> None:
    page = (ROOT / "docs/licences.md").read_text()
    libraries = sorted(Path(sysconfig.get_path("platlib"), f"{package}.libs").glob("*.so*"))
    if not libraries:
        pytest.skip("another platform's wheel")
    projects = {name: project for names, project in PROJECTS[package].items() for name in names.split()}
    for library in libraries:
        name = re.sub(r"(-[0-9a-f]{8})*\.so.*|^lib", "", library.name)
        assert name in projects, f"{package} has a library that docs/licences.md does not know: {library.name}"
        assert projects[name] in page, library.name


@pytest.mark.parametrize("name", MORE_THAN_A_NOTICE)
def test_copyleft_licences_are_in_the_notice_too(name: str) -> None:
    assert name in (ROOT / "NOTICE").read_text()


def test_the_page_lists_the_choices() -> None:
    choices = (ROOT / "docs/licences.md").read_text().partition("## Options for companies")[2]
    for choice in ("PyAV's codecs", "eSpeak NG in a process of its own", "Leaving eSpeak NG out"):
        assert choice in choices
