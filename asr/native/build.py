"""Compile the C files of this folder into one library: ``make native``, or ``python -m asr.native.build``.

The library is optional, because CTranslate2 can run the models too. If this program cannot compile the library, it
says why, and succeeds. With ``--strict`` it fails.

This module needs only the standard library, so a build stage without packages can run it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / "libnative.so"  # not the name of a module, because Python imports modules from such files too
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-march=x86-64-v4", "-mavx512vnni", "-shared", "-fPIC", "-Wall", "-Wextra")
COST = "speech recognition takes about twice the processor time"


class NotBuilt(Exception):
    """Raised when the library cannot be compiled here. The message says why, what that costs and what to do."""


def is_supported_platform() -> bool:
    """Return True on Linux on x86-64, the only platform for which the library can be compiled."""
    return (sys.platform, platform.machine()) == ("linux", "x86_64")


def source_id(folder: Path) -> str:
    """Return the first 16 hexadecimal digits of a SHA-256. The library contains them.

    It is that of ``FLAGS`` and of the names and contents of the folder's C files.
    """
    digest = hashlib.sha256(repr(FLAGS).encode())
    for file in sorted(folder.glob("*.[ch]")):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def build(folder: Path = FOLDER, library: Path = LIBRARY) -> None:
    """Compile the folder's C files. Replace an earlier library atomically. Raise ``NotBuilt`` if that is impossible."""
    if not is_supported_platform():
        raise NotBuilt(f"The native library needs Linux on x86-64, so {COST} here.")
    compiler = _compiler()
    draft = library.with_name(f"{library.stem}.{os.getpid()}{library.suffix}")
    sources = map(str, sorted(folder.glob("*.c")))
    command = [*compiler, *FLAGS, f'-DSOURCE_ID="{source_id(folder)}"', "-o", str(draft), *sources, "-lm"]
    try:
        compiled = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - see _compiler
        if compiled.returncode:
            raise NotBuilt(_failure(compiler, compiled.stderr))
        draft.replace(library)  # a process that has loaded the earlier library keeps it
    except OSError as error:
        raise NotBuilt(_failure(compiler, str(error))) from error
    finally:
        draft.unlink(missing_ok=True)


def _compiler() -> list[str]:
    """Return the command of the first compiler that is installed: ``$CC``, which may have arguments, or a known one."""
    for command in (os.environ.get("CC", ""), *COMPILERS):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise NotBuilt(f"No C compiler was found, so {COST}: install gcc and libc6-dev, then run `make native`.")


def _failure(compiler: Sequence[str], message: str) -> str:
    return (
        f"{shlex.join(compiler)} could not compile the native library, so {COST}: "
        f"install gcc 11 or later and libc6-dev, then run `make native`.\n{message.rstrip()}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the native library.")
    parser.add_argument("--strict", action="store_true", help="fail if the library cannot be compiled")
    options = parser.parse_args()
    try:
        build()
    except NotBuilt as reason:
        print(reason, file=sys.stderr)  # noqa: T201 - this is a program
        return int(options.strict)
    return 0


if __name__ == "__main__":
    sys.exit(main())
