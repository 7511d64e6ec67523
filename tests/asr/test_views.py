"""``POST /v1/audio/transcriptions`` and ``/v1/audio/translations``, as chat front ends call them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from asr.checkpoint import configured
from tests import services, sound
from tests.asr import smallwhisper
from tests.asr.test_audio import PNG
from usage.models import LedgerEntry

TRANSCRIPTIONS = "/v1/audio/transcriptions"
SENTENCE = "selamat pagi semua"


@pytest.fixture(scope="module")
def clip() -> bytes:
    return sound.wav(sound.said(SENTENCE))


async def post(api: httpx.AsyncClient, file: bytes | None, path: str = TRANSCRIPTIONS, **fields: Any) -> httpx.Response:
    files = None if file is None else {"file": ("clip.wav", file, "audio/wav")}
    data = {"model": "whisper-1"} | fields
    # httpx URL-encodes a form without a file, but OpenAI's clients always send multipart.
    return await api.post(path, files=files or {"other": ("x", b"x")}, data=data)


async def test_it_works(api: httpx.AsyncClient, clip: bytes) -> None:
    answer = await post(api, clip)
    assert answer.status_code == 200
    assert answer.json() == {
        "text": SENTENCE,
        "languages": [{"code": "ms"}],
        "usage": {"type": "duration", "seconds": 2},
    }
    assert answer.headers["x-request-id"]
    assert float(answer.headers["openai-processing-ms"]) > 0


@pytest.mark.parametrize(
    ("response_format", "content_type", "contains"),
    [
        ("json", "application/json", '"text"'),
        ("text", "text/plain", SENTENCE),
        ("srt", "application/x-subrip", "00:00:0"),
        ("vtt", "text/vtt", "WEBVTT"),
        ("verbose_json", "application/json", '"segments"'),
    ],
)
async def test_response_formats(
    api: httpx.AsyncClient, clip: bytes, response_format: str, content_type: str, contains: str
) -> None:
    answer = await post(api, clip, response_format=response_format)
    assert answer.headers["content-type"].startswith(content_type)
    assert contains in answer.text


async def test_word_and_segment_timestamps(api: httpx.AsyncClient, clip: bytes) -> None:
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]}
    body = (await post(api, clip, **fields)).json()
    assert body["language"] == "malay"
    assert body["duration"] == pytest.approx(1.82, abs=0.1)
    assert [word["word"] for word in body["words"]] == SENTENCE.split()
    assert 0 <= body["words"][0]["start"] < body["words"][-1]["end"] <= body["duration"]
    assert body["segments"][0]["text"].strip() == SENTENCE


async def test_streaming_by_segment(api: httpx.AsyncClient) -> None:
    audio = sound.joined([sound.said(SENTENCE), sound.silence(1.5), sound.said("terima kasih")])
    answer = await post(api, sound.wav(audio), stream="true")
    assert answer.headers["content-type"] == "text/event-stream"
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == f"{SENTENCE} terima kasih"


async def test_log_probabilities_of_the_tokens(api: httpx.AsyncClient, clip: bytes) -> None:
    body = (await post(api, clip, **{"include[]": "logprobs"})).json()
    assert b"".join(bytes(token["bytes"]) for token in body["logprobs"]).decode().split() == SENTENCE.split()
    assert all(token["logprob"] <= 0 for token in body["logprobs"])
    answer = await post(api, clip, response_format="srt", **{"include[]": "logprobs"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "include")


@pytest.mark.parametrize(
    "audio",
    [
        sound.said(SENTENCE),
        sound.joined([sound.said(SENTENCE), sound.silence(1.5), sound.said("terima kasih")]),
        sound.joined([sound.said(SENTENCE, rate=200), sound.said("saya mahu pergi ke pasar", rate=140)]),
        sound.joined([sound.said("terima kasih"), sound.hold_music(3), sound.said(SENTENCE), sound.noise(2)]),
        sound.joined([sound.said("saya mahu pergi ke kuala lumpur", rate=130)] * 13),
        sound.silence(2),
    ],
    ids=["one", "two", "without a pause", "around music", "longer than a window", "nothing"],
)
async def test_all_formats_have_the_same_words(api: httpx.AsyncClient, audio: sound.Audio) -> None:
    file = sound.wav(audio)
    texts = [(await post(api, file, response_format=name)).text for name in ("text", "srt", "vtt")]
    texts += [(await post(api, file, response_format=name)).json()["text"] for name in ("json", "verbose_json")]
    segments = (await post(api, file, response_format="verbose_json")).json()["segments"]
    texts.append(" ".join(segment["text"] for segment in segments))
    streamed = (await post(api, file, stream="true")).text.split("\n\n")
    texts.append(json.loads([event for event in streamed if event][-1].removeprefix("data: "))["text"])
    words = [[word for word in text.split() if word.isalpha() and word != "WEBVTT"] for text in texts]
    assert words == [words[0]] * 7
    assert bool(words[0]) == bool(audio.any())


async def test_a_model_that_cannot_translate_says_so(api: httpx.AsyncClient, clip: bytes) -> None:
    answer = await post(api, clip, "/v1/audio/translations", response_format="verbose_json")
    body = answer.json()
    assert (body["task"], body["language"], body["text"]) == ("transcribe", "malay", SENTENCE)
    assert "cannot translate" in body["warnings"][0]
    assert "cannot translate" in answer.headers["warning"]


TOLD_APART = "Speakers are not told apart"


async def test_all_speech_is_attributed_to_one_speaker(api: httpx.AsyncClient, clip: bytes) -> None:
    answer = await post(api, clip, response_format="diarized_json", chunking_strategy="auto")
    body = answer.json()
    assert (body["task"], body["text"], body["duration"]) == ("transcribe", SENTENCE, pytest.approx(1.82, abs=0.1))
    [segment] = body["segments"]
    assert (segment["type"], segment["speaker"], segment["text"]) == ("transcript.text.segment", "A", SENTENCE)
    assert segment["id"] and 0 <= segment["start"] < segment["end"]
    assert TOLD_APART in body["warnings"][0]
    assert TOLD_APART in answer.headers["warning"]


async def test_a_diarizing_model_name_is_described_as_having_one_speaker(api: httpx.AsyncClient, clip: bytes) -> None:
    answer = await post(api, clip, model="gpt-4o-transcribe-diarize")
    assert answer.json()["text"] == SENTENCE
    assert TOLD_APART in answer.json()["warnings"][0]
    answer = await post(api, clip, model="gpt-4o-transcribe-diarize", response_format="text")
    assert TOLD_APART in answer.headers["warning"]


async def test_segments_of_the_speaker_are_streamed(api: httpx.AsyncClient) -> None:
    audio = sound.joined([sound.said(SENTENCE), sound.silence(1.5), sound.said("terima kasih")])
    answer = await post(api, sound.wav(audio), stream="true", response_format="diarized_json")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
    assert [event["type"].rpartition(".")[2] for event in events] == ["delta", "segment"] * 2 + ["done"]
    assert [event["segment_id"] for event in events[:4:2]] == [event["id"] for event in events[1:4:2]]
    assert events[1]["start"] < events[3]["start"]
    assert TOLD_APART in events[-1]["warnings"][0]


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": "auto"},
        {"chunking_strategy[type]": "server_vad"},
        {"chunking_strategy": '{"type": "server_vad", "threshold": 0.5}'},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy[prefix_padding_ms]": "300"},
        {"languages[]": ["ms"]},
        {"languages[]": ["ms", "en"]},
        {"language": "ms", "languages[]": ["Malay", "ta"]},
    ],
)
async def test_fields_of_newer_clients_are_accepted(
    api: httpx.AsyncClient, clip: bytes, fields: dict[str, Any]
) -> None:
    answer = await post(api, clip, **fields)
    assert (answer.status_code, answer.json().get("text")) == (200, SENTENCE), answer.text


async def test_the_language_is_detected_among_the_candidates(clip: bytes, tmp_path: Path) -> None:
    model = smallwhisper.make(tmp_path / "whisper-small-ms")
    with services.served(tmp_path, VOICE_ASR_MODEL=str(model)) as service:
        async with httpx.AsyncClient(base_url=service.url, headers=service.headers(), timeout=60) as api:
            found = [await detected(api, clip, *pair) for pair in (["ta", "zh"], ["en", "ta"], ["id"])]
    assert found[0] in ("tamil", "chinese") and found[1] in ("english", "tamil")
    assert found[2] == "indonesian"


async def detected(api: httpx.AsyncClient, clip: bytes, *candidates: str) -> str:
    fields = {"response_format": "verbose_json", "temperature": "0.1", "languages[]": candidates}
    return str((await post(api, clip, **fields)).json()["language"])


async def test_a_model_that_can_translate_translates(clip: bytes, tmp_path: Path) -> None:
    model = smallwhisper.make(tmp_path / "whisper-small-ms")
    with services.served(tmp_path, VOICE_ASR_MODEL=str(model)) as service:
        async with httpx.AsyncClient(base_url=service.url, headers=service.headers(), timeout=60) as api:
            answer = await post(api, clip, "/v1/audio/translations", response_format="verbose_json", temperature="0.1")
    assert (answer.json()["task"], answer.json()["language"]) == ("translate", "english")
    assert "warnings" not in answer.json()


async def test_a_lower_case_plain_model_takes_prompt_and_keywords(api: httpx.AsyncClient, clip: bytes) -> None:
    answer = await post(api, clip, prompt="Ucapan:", **{"keywords[]": ["Pagi", "Semua"]})
    assert SENTENCE in answer.json()["text"]


async def test_silence_gives_an_empty_text(api: httpx.AsyncClient) -> None:
    for audio in (sound.silence(3), sound.noise(3), sound.hold_music(8)):
        answer = await post(api, sound.wav(audio))
        assert (answer.status_code, answer.json()["text"]) == (200, "")


async def test_the_ledger_has_one_row_for_each_request(api: httpx.AsyncClient, clip: bytes) -> None:
    await api.post(TRANSCRIPTIONS, files={"file": clip}, data={"user": "aminah"})
    await post(api, b"not audio")
    columns = ("user", "audio_ms", "status", "model", "error_code")
    rows = [row async for row in LedgerEntry.objects.order_by("id").values(*columns)]
    good, bad = rows
    assert good["user"] == "aminah"
    assert good["audio_ms"] == pytest.approx(1820, abs=100)
    assert (good["status"], good["model"], good["error_code"]) == (200, configured().name, "")
    assert (bad["status"], bad["audio_ms"], bad["error_code"]) == (400, 0, "invalid_audio")


@pytest.mark.parametrize(
    ("file", "fields", "status", "code", "param"),
    [
        (None, {}, 400, "missing_field", "file"),
        (b"", {}, 400, "invalid_audio", "file"),
        (b"RIFF....WAVE", {}, 400, "invalid_audio", "file"),
        (np.random.default_rng(1).bytes(30_000), {}, 400, "invalid_audio", "file"),
        (PNG, {}, 400, "unsupported_format", "file"),
        (sound.wav(sound.tone(2))[:30_000], {}, 400, "invalid_audio", "file"),
        (sound.wav(sound.tone(0.05)), {}, 400, "audio_too_short", "file"),
        ("clip", {"response_format": "xml"}, 400, "invalid_value", "response_format"),
        ("clip", {"temperature": "hot"}, 400, "invalid_value", "temperature"),
        ("clip", {"temperature": "1.5"}, 400, "invalid_value", "temperature"),
        ("clip", {"language": "klingon"}, 400, "invalid_value", "language"),
        ("clip", {"language": "en"}, 400, "invalid_value", "language"),
        ("clip", {"timestamp_granularities[]": "word"}, 400, "invalid_value", "timestamp_granularities"),
        (
            "clip",
            {"response_format": "verbose_json", "timestamp_granularities[]": "letter"},
            400,
            "invalid_value",
            None,
        ),
        ("clip", {"languages[]": ["klingon", "ms"]}, 400, "invalid_value", "languages"),
        ("clip", {"languages[]": ["en", "ta"]}, 400, "invalid_value", "languages"),
        ("clip", {"language": "ms", "languages[]": ["en", "ta"]}, 400, "invalid_value", "languages"),
        ("clip", {"chunking_strategy": "tokens"}, 400, "unsupported_parameter", "chunking_strategy"),
        ("clip", {"chunking_strategy": "[]"}, 400, "unsupported_parameter", "chunking_strategy"),
        ("clip", {"chunking_strategy": '{"\\ud800": 1}'}, 400, "unsupported_parameter", "chunking_strategy[?]"),
        (
            "clip",
            {"chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "0.9"},
            400,
            "unsupported_parameter",
            "chunking_strategy[threshold]",
        ),
        ("clip", {"known_speaker_names[]": ["agent"]}, 400, "unsupported_parameter", "known_speaker_names"),
        ("clip", {"known_speaker_references[]": ["data:,"]}, 400, "unsupported_parameter", "known_speaker_references"),
        ("clip", {"stream": "perhaps"}, 400, "invalid_value", "stream"),
        ("clip", {"stream": "true", "response_format": "srt"}, 400, "unsupported_parameter", "response_format"),
        ("clip", {"stream": "true", "response_format": "vtt"}, 400, "unsupported_parameter", "response_format"),
        (
            "clip",
            {"stream": "true", "response_format": "verbose_json"},
            400,
            "unsupported_parameter",
            "response_format",
        ),
        ("clip", {"model": "whisper-9"}, 404, "model_not_found", "model"),
        ("clip", {"prompt": "x" * 5000}, 400, "invalid_value", "prompt"),
    ],
)
async def test_bad_input_is_explained(
    api: httpx.AsyncClient, clip: bytes, file: Any, fields: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    answer = await post(api, clip if file == "clip" else file, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["message"] and error["type"] == "invalid_request_error"
    if param:
        assert error["param"] == param


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": "[" * 100_000},
        {"chunking_strategy": '{"type": "server_vad", "threshold": ' + "[" * 700 + "]" * 700 + "}"},
        {"chunking_strategy": '{"type": "server_vad", "threshold": 1' + "0" * 400 + "}"},
        {"chunking_strategy": '{"type": "server_vad", "type": "server_vad"}'},
        {"chunking_strategy": '{"' + "x" * 100_000 + '": 1}'},
        {"chunking_strategy[threshold]": "x" * 100_000},
        {"chunking_strategy": "auto", "chunking_strategy[type]": "server_vad"},
        {"chunking_strategy[type]": "server_vad", "chunking_strategy": "auto"},
    ],
    ids=["deep", "deep value", "long number", "repeated name", "long name", "long value", "both", "both, plain last"],
)
async def test_a_strange_chunking_strategy_gets_a_short_refusal(
    api: httpx.AsyncClient, clip: bytes, fields: dict[str, str]
) -> None:
    answer = await post(api, clip, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("chunking_strategy")
    assert len(answer.content) < 500


async def test_two_hours_of_silence_in_a_small_file(api: httpx.AsyncClient) -> None:
    small = sound.encoded(sound.silence(7200), "flac")
    assert len(small) < 1_000_000
    answer = await post(api, small)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "audio_too_long")


@pytest.mark.parametrize("size", [27_300_000, 100_000_000])
async def test_a_body_that_is_too_large_is_refused(api: httpx.AsyncClient, size: int) -> None:
    answer = await post(api, b"\0" * size)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "file_too_large")


async def test_json_instead_of_a_form(api: httpx.AsyncClient) -> None:
    answer = await api.post(TRANSCRIPTIONS, json={"file": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


async def test_fifty_simultaneous_requests_keep_their_own_words(api: httpx.AsyncClient) -> None:
    from asr.whisper_engine import whisper

    numbers = ["satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "lapan", "sembilan", "sepuluh"]
    sentences = [f"saya beli {a} ekor ikan dan {b} biji telur" for a in numbers for b in numbers[:5]]
    clips = [sound.wav(sound.said(sentence)) for sentence in sentences]
    alone = [(await post(api, clip)).json()["text"] for clip in clips]
    before = whisper().stats()
    together = await asyncio.gather(*(post(api, clip) for clip in clips))
    assert [answer.status_code for answer in together] == [200] * 50
    assert [answer.json()["text"] for answer in together] == alone
    assert len(set(alone)) > 40
    after = whisper().stats()
    assert after.units - before.units >= 50
    assert after.batches - before.batches < after.units - before.units
    assert after.largest_batch > 1
