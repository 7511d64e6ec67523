"""Sources of models for tests: a folder of wheels, a package index that stalls, and a model hub."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from model_store.catalogue import Model, ModelFile, Part, Source, Task

HALVES = (b"first half, " * 20_000, b"second half" * 20_000)
CONFIG = b'{"a": 1}'
PACKAGES = ("ujian-bahagian-satu==1.0.0", "ujian-bahagian-dua==1.0.0")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def make_wheel(folder: Path, name: str, members: Mapping[str, bytes], version: str = "1.0.0") -> Path:
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def make_wheels(folder: Path) -> list[Path]:
    """Make the two packages that contain the model of ``pinned``; return their paths."""
    folder.mkdir(exist_ok=True)
    return [
        make_wheel(folder, "ujian-bahagian-satu", {"satu/model.bin": HALVES[0], "satu/config.json": CONFIG}),
        make_wheel(folder, "ujian-bahagian-dua", {"dua/model.bin": HALVES[1]}),
    ]


def pinned(*sources: Source, **changes: str) -> Model:
    """Return a model of two files, one of which (``model.bin``) is joined from two packages.

    ``sources``: the sources of the model; by default the two packages.
    ``changes``: wrong hashes, by the name of the file without its suffix.
    """
    contents = {"model.bin": HALVES[0] + HALVES[1], "config.json": CONFIG}
    files = tuple(
        ModelFile(path, len(content), changes.get(path.split(".")[0], sha256(content)))
        for path, content in contents.items()
    )
    return Model(
        id="ujian",
        name="Ujian",
        task=Task.TRANSCRIPTION,
        engine="whisper",
        languages=("ms",),
        license="MIT",
        author="tests",
        device="any",
        files=files,
        sources=sources or (pip_source(),),
    )


def pip_source() -> Source:
    parts = (
        Part("model.bin", "satu/model.bin", PACKAGES[0]),
        Part("model.bin", "dua/model.bin", PACKAGES[1]),
        Part("config.json", "satu/config.json", PACKAGES[0]),
    )
    return Source("pip", parts, download_bytes=500_000)


def pip_finds(folder: Path) -> dict[str, str]:
    """Return environment variables that make pip use only a folder of wheels."""
    return {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


class _Quiet(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def stalling_index(folder: Path) -> Iterator[tuple[dict[str, str], threading.Event]]:
    """Serve a package index that sends half of each wheel and then stalls.

    Yield environment variables for pip, and an event that is set when half of a wheel has been sent.
    """
    half_sent = threading.Event()
    over = threading.Event()

    class Handler(_Quiet):
        def do_GET(self) -> None:
            name = self.path.rstrip("/").rsplit("/", 1)[-1]
            if name.endswith(".whl"):
                content = (folder / name).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                half_sent.set()
                over.wait(60)
                return
            wheels = [path.name for path in folder.glob(f"{name.replace('-', '_')}-*.whl")]
            links = "".join(f'<a href="/files/{wheel}">{wheel}</a>' for wheel in wheels)
            self.answer(200 if wheels else 404, links.encode(), Content_Type="text/html")

    with serving(Handler) as url:
        try:
            yield {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_INDEX_URL": f"{url}/simple/"}, half_sent
        finally:
            over.set()


@contextmanager
def hub(repositories: Mapping[str, Mapping[str, bytes]], revision: str = "a" * 40) -> Iterator[str]:
    """Serve a model hub that answers the requests of ``huggingface_hub``; yield its address.

    ``repositories``: the contents of the files, keyed by repository and path.
    ``revision``: the commit hash of all repositories.
    """

    class Handler(_Quiet):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.path == "/":
                self.answer(200, b"")
                return
            owner, name, *rest = self.path.split("?")[0].removeprefix("/api/models").strip("/").split("/")
            files = repositories.get(f"{owner}/{name}")
            if files is None:
                self.answer(404, b"{}", X_Error_Code="RepoNotFound")
            elif rest[:1] == ["resolve"]:
                content = files.get("/".join(rest[2:]))
                if content is None:
                    self.answer(404, b"", X_Error_Code="EntryNotFound")
                else:
                    self.answer(200, content, ETag=f'"{sha256(content)}"', X_Repo_Commit=revision)
            else:
                self.answer(200, self._about(f"{owner}/{name}", files, rest), Content_Type="application/json")

        def _about(self, repository: str, files: Mapping[str, bytes], rest: list[str]) -> bytes:
            if rest[:1] == ["tree"]:
                tree = [{"type": "file", "path": path, "size": len(files[path]), "oid": "0"} for path in files]
                return json.dumps(tree).encode()
            siblings = [{"rfilename": path} for path in files]
            return json.dumps({"id": repository, "sha": revision, "siblings": siblings}).encode()

    with serving(Handler) as url:
        yield url
