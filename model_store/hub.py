"""Download models from the Hugging Face hub: single files, or all files of a model whose hashes are not known."""

from __future__ import annotations

import importlib.util
import shutil
from functools import cache
from pathlib import Path

from model_store.catalogue import Source
from model_store.errors import FilesUnavailable, SourceUnreachable

# The files of a Whisper model for CTranslate2, as in faster-whisper.
_WHISPER_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]
_ANSWER_S = 10.0
_TOKENIZER_FILES = ["tokenizer.json", "preprocessor_config.json"]


def download(source: Source, member: str, folder: Path) -> Path:
    """Download one file of a repository, and return the path of the downloaded file. Resume an interrupted download.

    ``member``: path of the file in the repository.
    ``folder``: directory in which to store the file.

    Raise ``FilesUnavailable`` if the file cannot be fetched, and ``OSError`` if it cannot be written.
    """
    from huggingface_hub import hf_hub_download

    _require_hub()
    try:
        return Path(hf_hub_download(source.repository, member, revision=source.revision or None, local_dir=folder))
    except Exception as error:
        raise _as_unavailable(source, error) from error


def download_all(source: Source, folder: Path) -> list[str]:
    """Download all files of a Whisper model to ``folder``, and return their paths relative to ``folder``.

    If ``source.format`` is "transformers", convert the checkpoint to CTranslate2's format.

    Raise ``FilesUnavailable`` if the files cannot be fetched, and ``OSError`` if they cannot be written.
    """
    from huggingface_hub import snapshot_download

    is_converted = source.format == "transformers"
    downloaded = folder.with_name("transformers") if is_converted else folder
    if is_converted:
        _require_converter(source)
    _require_hub()
    try:
        snapshot_download(
            source.repository,
            revision=source.revision or None,
            local_dir=downloaded,
            allow_patterns=["*.json", "*.txt", "*.safetensors"] if is_converted else _WHISPER_FILES,
        )
    except Exception as error:
        raise _as_unavailable(source, error) from error
    if is_converted:
        _convert(downloaded, folder)
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@cache
def _require_hub() -> None:
    """Raise ``SourceUnreachable`` if the hub does not answer.

    Without this check, the hub's library would try each file for half a minute. Once the hub has answered, it is not
    asked again in this process.
    """
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_ANSWER_S)
    except Exception as error:
        raise SourceUnreachable(f"the model hub cannot be reached: {error}") from error


def _require_converter(source: Source) -> None:
    if not all(importlib.util.find_spec(name) for name in ("torch", "transformers")):
        raise FilesUnavailable(
            f"{source.repository} has to be converted, which needs torch and transformers: "
            "pip install -r requirements-coqui.txt"
        )


def _convert(downloaded: Path, folder: Path) -> None:
    from ctranslate2.converters import TransformersConverter

    copied = [name for name in _TOKENIZER_FILES if (downloaded / name).is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    TransformersConverter(str(downloaded), copy_files=copied, low_cpu_mem_usage=True).convert(
        str(folder), quantization="float16"
    )
    shutil.rmtree(downloaded)


def _as_unavailable(source: Source, error: Exception) -> FilesUnavailable | OSError:
    """Return the error to raise after a download has failed with ``error``.

    This is ``FilesUnavailable`` for an error of the hub or the network, and ``error`` itself for an error of the disk.
    """
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return error
    reason = " ".join(str(error).split()) or type(error).__name__
    return FilesUnavailable(f"the hub does not give {source.repository}: {reason[:200]}")
