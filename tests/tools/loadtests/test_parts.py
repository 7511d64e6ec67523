"""Parts of the load tests: clips, checks of responses, reading ``/metrics``, and the curves of the report."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from capacity.latency_targets import Workload
from capacity.loadtest_chart import Curve, chart
from tests import sound
from tools.loadtests import service, speech_clips
from tools.loadtests.generator_config import GeneratorConfig
from tools.loadtests.processes import Process, Watch
from tools.loadtests.response_checks import WrongResponse, check_audio, check_pcm, check_words
from tools.loadtests.scenarios import MIX, SCENARIOS, ramp_s
from tools.loadtests.sentences import NUMBER, sentence
from tools.loadtests.service import Unusable
from tools.loadtests.speakers import PACKS, REFERENCE, Espeak, Kokoro, Samples, best_speaker

REQUIRED = [
    ("baseline", 10, 5, 99),
    ("normal_load", 50, 15, 99),
    ("peak_load", 100, 10, 95),
    ("stress_test", 200, 5, 80),
]


def test_the_scenarios_are_those_required() -> None:
    found = [(kind.name, kind.users, kind.minutes, kind.success_percent) for kind in SCENARIOS.values()]
    assert found == REQUIRED
    assert set(MIX) == set(Workload)
    assert sum(MIX.values()) == 100
    assert [ramp_s(seconds) for seconds in (1, 60, 900)] == [1, 6, 30]


def test_all_sentences_are_different() -> None:
    assert len({sentence(number) for number in range(NUMBER + 1000)}) == NUMBER + 1000


def test_clips_are_spoken(tmp_path: Path) -> None:
    clips = list(speech_clips.spoken(tmp_path, 6, Espeak()))
    assert {clip.content_type for clip in clips} == {"audio/wav", "audio/ogg"}
    assert all(1 < clip.seconds < 15 for clip in clips)
    assert len({Path(clip.pcm).read_bytes() for clip in clips}) == 6


class FakeModel:
    """Counts the sentences that it is asked to speak, except the reference sentence.

    ``frequency``: frequency of its tone, in radians per sample.
    """

    def __init__(self) -> None:
        self.spoken = 0
        self.frequency = 0.05

    def speak(self, ipa: str, pack: object, speed: float) -> np.ndarray:
        self.spoken += ipa != REFERENCE
        return np.sin(np.arange(24_000, dtype=np.float32) * self.frequency)


def test_kokoro_speaks_each_sentence_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeModel()
    monkeypatch.setattr("tts.kokoro.load", lambda *_args, **_options: model)

    def say(text: str, turn: int, speed: float = 1.0) -> Samples:
        return Kokoro(tmp_path, tmp_path / "cache").say(text, turn, speed)

    first = say("selamat pagi", 0)
    assert len(first) == pytest.approx(16_000, abs=10)
    assert np.abs(first).max() > 3_000
    assert (say("selamat pagi", len(PACKS)) == first).all()
    assert model.spoken == 1
    say("selamat pagi", 1)
    say("selamat pagi", 0, 1.1)
    say("selamat malam", 0)
    assert model.spoken == 4
    model.frequency = 0.06  # as if the weights, the model's graph or the code had changed
    assert (say("selamat pagi", 0) != first).any()
    assert model.spoken == 5


def test_without_kokoro_espeak_ng_speaks(tmp_path: Path) -> None:
    assert isinstance(best_speaker(tmp_path, tmp_path), Espeak)


def test_own_recordings_are_used(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "pcm").mkdir()
    (tmp_path / "mine" / "a.mp3").write_bytes(sound.encoded(sound.said("selamat pagi"), "mp3"))
    (tmp_path / "mine" / "notes.txt").write_text("no audio")
    (clip,) = speech_clips.recorded(tmp_path / "mine", tmp_path / "pcm")
    assert (Path(clip.file).name, clip.content_type) == ("a.mp3", "audio/mpeg")
    (tmp_path / "mine" / "b.wav").write_bytes(b"RIFF")
    with pytest.raises(speech_clips.UnusableClips, match=r"b\.wav"):
        list(speech_clips.recorded(tmp_path / "mine", tmp_path / "pcm"))


def test_a_folder_without_recordings(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(speech_clips.UnusableClips, match="no recordings"):
            list(speech_clips.recorded(folder, tmp_path))


def test_only_the_owner_can_read_the_configuration(tmp_path: Path) -> None:
    clips = list(speech_clips.spoken(tmp_path, 1, Espeak()))
    config = GeneratorConfig("http://x", "vk_secret", "people", 3, False, "ms", "alloy", clips)
    file = tmp_path / "generator.json"
    config.write(file)
    assert file.stat().st_mode & 0o077 == 0
    assert GeneratorConfig.read(str(file)) == config


@pytest.mark.parametrize("name", ["mp3", "wav", "flac"])
def test_correct_audio_is_accepted(name: str) -> None:
    said = sound.said("selamat pagi")
    assert check_audio(sound.encoded(said, name), name) == pytest.approx(len(said) / 16_000, abs=0.1)


def test_wrong_audio_is_refused() -> None:
    mp3 = sound.encoded(sound.said("selamat pagi"), "mp3")
    for body, name, problem in (
        (mp3, "wav", "mp3 instead of wav"),
        (b"", "mp3", "does not decode"),
        (b'{"error": {}}', "mp3", "does not decode"),
        (sound.wav(sound.silence(1)), "wav", "silence"),
        (sound.wav(sound.said("a")[:1000]), "wav", "only 0.06 s"),
    ):
        with pytest.raises(WrongResponse, match=problem):
            check_audio(body, name)


def test_raw_audio() -> None:
    speech = sound.wav(sound.said("selamat pagi"), 24_000)[44:]
    assert check_pcm(speech) == len(speech) / 48_000
    for body in (speech[:-1], b"", bytes(48_000)):
        with pytest.raises(WrongResponse):
            check_pcm(body)


def test_transcripts_are_checked() -> None:
    check_words(json.dumps({"text": "selamat pagi"}))
    for body in (b"", b"[]", b"{}", b'{"text": " "}', b'{"text": null}'):
        with pytest.raises(WrongResponse):
            check_words(body)


METRICS = "# TYPE x gauge\nprocess_resident_memory_bytes {memory}\nprocess_start_time_seconds {began}\n"


@contextmanager
def answering(text: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join()
    server.server_close()


def test_memory_is_read() -> None:
    with answering(METRICS.format(memory="3.1e+08", began="1.7e+09")) as url:
        watch = Watch(url, 1)
        process = watch.read()
    assert process is not None
    assert watch.memory() is None  # only readings of the thread count
    assert process.memory[0][1] == 3.1e8


def test_missing_memory_metrics() -> None:
    with answering("nothing 1\n") as url:
        watch = Watch(url, 1)
        assert watch.read() is None
    assert "does not report" in watch.problem
    assert watch.read() is None
    assert "refused" in watch.problem


@pytest.mark.parametrize(
    ("seen", "replaced"),
    [
        ("AAAAAAAAAA", 0),
        ("AAAAABBBBB", 1),
        ("ABABABABAB", 0),
        ("ABABACACAC", 1),
        ("AAAAA.....", 0),
        ("ABABAAAAAA", 0),
        ("AAAAAABCAB", 0),
        ("AAA..BBBBB", 1),
    ],
)
def test_a_process_that_died_is_noticed(seen: str, replaced: int) -> None:
    """In ``seen``, each letter is a reading and names the process that answered. A full stop is a failed reading."""
    watch = Watch("http://nowhere", 1)
    watch.processes = {float(ord(name)): Process(float(ord(name))) for name in set(seen) - {"."}}
    watch.readings = [watch.processes.get(float(ord(name))) for name in seen]
    assert len(watch.replaced()) == replaced


@pytest.mark.parametrize("host", ["voice.example.com", "ftp://x", "http://", "http://u:p@x", "http://x/v1", "ws://x"])
def test_invalid_addresses(host: str) -> None:
    with pytest.raises(Unusable, match="an address such as"):
        service.address(host)


def test_addresses() -> None:
    assert service.address("https://voice.example.com/") == "https://voice.example.com"
    assert service.address("http://127.0.0.1:8000") == "http://127.0.0.1:8000"


def test_a_chart() -> None:
    drawn = chart("x", "s", [Curve("p95", 1, [(0, 0.5), (1, None), (2, 1.5), (3, 2.5)])], limits=[(2, "limit")])
    assert [label for _y, label in drawn.lines] == ["0", "1", "2", "3"]
    ((_colour, path),) = drawn.paths
    assert path.count("M") == 2  # a gap where there are no values
    assert path.count("L") == 1


@pytest.mark.parametrize("highest", [0, 0.003, 0.1, 0.26, 1, 7, 99, 100, 101, 12_345])
def test_axes_contain_all_values(highest: float) -> None:
    drawn = chart("x", "", [Curve("", 1, [(0, highest), (60, 0)])])
    labels = [float(label.replace(",", "")) for _y, label in drawn.lines]
    assert labels == sorted(set(labels))
    assert labels[-1] >= highest
    assert 2 <= len(labels) <= 6
