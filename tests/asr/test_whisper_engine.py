"""The engine with the bundled model: the same words as faster-whisper, also in batches, and no invented words."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest
from pytest_django import Settings

from asr.batching import BUSY_CALLERS
from asr.checkpoint import CONTEXTS_S, FULL_CONTEXT_S, Checkpoint, configured
from asr.decoding import LOGPROB_THRESHOLD
from asr.transcription import Transcription
from asr.tuning import by_rule
from asr.units import Hypothesis, Options, SpeechUnit
from asr.whisper_engine import WhisperEngine
from inference import thread_priority
from inference.errors import EngineUnavailable
from tests import sound
from tests.asr import smallwhisper
from tests.asr.engines import whisper_of

MALAY = Options(language="ms")
SENTENCES = [
    "selamat pagi semua",
    "saya mahu pergi ke kuala lumpur esok pagi",
    "berapa harga nasi lemak ini",
    "tolong buka lampu di ruang tamu",
    "hari ini cuaca sangat panas",
    "ibu saya memasak di dapur",
    "kami akan sampai pada pukul lapan malam",
    "sila hubungi kami di talian ini",
    "anak itu sedang bermain bola di padang",
    "dia bekerja sebagai guru di sekolah rendah",
    "bayaran bulan ini dua ratus lima puluh ringgit",
    "terima kasih kerana membantu saya",
]


async def heard(engine: WhisperEngine, audio: sound.Audio, options: Options = MALAY) -> Hypothesis:
    return await engine.submit(SpeechUnit(audio=audio, options=options))


async def transcribed(engine: WhisperEngine, audio: sound.Audio, options: Options = MALAY) -> str:
    transcription = await Transcription.open(sound.wav(audio), engine, engine.checkpoint, options)
    return (await transcription.whole()).text


@pytest.mark.skipif(sys.platform != "linux", reason="priorities of threads are Linux's")
async def test_the_models_threads_have_a_lower_priority(engine: WhisperEngine) -> None:
    await heard(engine, sound.said("selamat pagi"))
    threads = [int(thread.name) for thread in os.scandir("/proc/self/task")]
    nice = {thread: os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}
    own = nice[threading.get_native_id()]
    pythons = {thread.native_id for thread in threading.enumerate()}
    assert {nice[thread] for thread in pythons} == {own}
    assert own + thread_priority.NICE in {nice[thread] for thread in set(threads) - pythons}


async def test_it_works(engine: WhisperEngine) -> None:
    hypothesis = await heard(engine, sound.said("selamat pagi"))
    assert hypothesis.text == "selamat pagi"
    assert (hypothesis.language, hypothesis.temperature) == ("ms", 0.0)


@pytest.mark.parametrize("timestamps", [False, True])
async def test_the_words_equal_those_of_faster_whisper(timestamps: bool, settings: Settings) -> None:
    engine = WhisperEngine(Checkpoint(configured().source, "full", languages=("ms",), timestamps=True, bundled=True))
    await engine.load()
    clips = [sound.said(sentence) for sentence in SENTENCES]
    options = Options(language="ms", timestamps=timestamps)
    ours = await asyncio.gather(*(heard(engine, clip, options) for clip in clips))
    compared: list[tuple[str, str]] = []
    for clip, hypothesis in zip(clips, ours, strict=True):
        segments, _ = whisper_of(engine).transcribe(
            clip,
            language="ms",
            beam_size=settings.VOICE_ASR_BEAM,
            without_timestamps=not timestamps,
            condition_on_previous_text=False,
        )
        theirs = list(segments)
        # Below the threshold, both implementations sample at random. Near it, a rounding error decides whether they do.
        is_sure = hypothesis.avg_logprob >= LOGPROB_THRESHOLD and hypothesis.temperature == 0
        if is_sure and all(segment.temperature == 0 for segment in theirs):
            compared.append(("".join(segment.text for segment in theirs).strip(), hypothesis.text))
    assert len(compared) >= len(clips) / 2
    references, hypotheses = zip(*compared, strict=True)
    # Batches and single clips have different rounding errors. So if two words are almost equally likely, either may
    # win.
    assert jiwer.wer(list(references), list(hypotheses)) <= 0.05
    await engine.close()


async def test_a_short_context_is_as_accurate_as_thirty_seconds(engine: WhisperEngine) -> None:
    full = WhisperEngine(Checkpoint(configured().source, "full", contexts_s=(FULL_CONTEXT_S,), languages=("ms",)))
    await full.load()
    clips = [sound.said(sentence) for sentence in SENTENCES]
    short = await asyncio.gather(*(heard(engine, clip) for clip in clips))
    long = await asyncio.gather(*(heard(full, clip) for clip in clips))
    difference = jiwer.wer(SENTENCES, [h.text for h in short]) - jiwer.wer(SENTENCES, [h.text for h in long])
    assert difference <= 0.05
    await full.close()


async def test_simultaneous_units_share_batches_and_keep_their_words(engine: WhisperEngine) -> None:
    clips = [sound.said(sentence) for sentence in SENTENCES]
    alone = [await heard(engine, clip) for clip in clips]
    together = await asyncio.gather(*(heard(engine, clip) for clip in clips * 4))
    assert [h.text for h in together] == [h.text for h in alone] * 4
    assert engine.stats().largest_batch > 1


async def test_word_times_are_ascending_and_within_the_clip(engine: WhisperEngine) -> None:
    clip = sound.joined([sound.silence(0.5), sound.said("saya mahu pergi ke kuala lumpur"), sound.silence(0.5)])
    words = (await heard(engine, clip, Options(language="ms", words=True))).words
    starts = [word.start for word in words]
    assert len(words) >= 5
    assert starts == sorted(starts)
    assert all(word.start <= word.end <= len(clip) / sound.RATE for word in words)
    assert words[-1].end > 1.5


async def test_a_long_prompt_and_keywords_do_no_harm(engine: WhisperEngine) -> None:
    clip = sound.said("saya mahu pergi ke kuala lumpur")
    hinted = Options(language="ms", keywords=("Kuala Lumpur", "KLCC"), prompt="Perjalanan esok. " * 200)
    assert "lumpur" in (await heard(engine, clip, hinted)).text


@pytest.mark.parametrize(
    "audio",
    [sound.silence(35), sound.noise(35, 0.1), sound.tone(35), sound.hold_music(65)],
    ids=["silence", "noise", "tone", "hold-music"],
)
async def test_no_words_are_invented_for_audio_without_speech(engine: WhisperEngine, audio: sound.Audio) -> None:
    assert await transcribed(engine, audio) == ""


@pytest.mark.parametrize(
    "tail", [sound.silence(40), sound.noise(40, 0.02), sound.hold_music(40)], ids=["silence", "noise", "music"]
)
async def test_silence_or_noise_after_speech_adds_no_words(engine: WhisperEngine, tail: sound.Audio) -> None:
    speech = sound.said("selamat pagi semua apa khabar")
    alone = await transcribed(engine, speech)
    assert await transcribed(engine, sound.joined([speech, tail])) == alone != ""


async def test_a_long_file_keeps_the_order_of_its_sentences(engine: WhisperEngine) -> None:
    audio = sound.joined(sound.joined([sound.said(sentence), sound.silence(0.7)]) for sentence in SENTENCES)
    text = await transcribed(engine, audio)
    assert jiwer.wer(" ".join(SENTENCES), text) <= 0.25
    assert text.index("selamat pagi") < text.index("membantu")


async def test_no_segment_of_a_long_file_is_lost(engine: WhisperEngine, settings: Settings) -> None:
    settings.VOICE_ASR_BATCH = 2  # after the first two, this many segments are cut at once
    sentence = [sound.said("selamat pagi"), sound.silence(0.8)]
    assert (await transcribed(engine, sound.joined(11 * sentence))).split() == 11 * ["selamat", "pagi"]


async def test_another_checkpoint_directory_is_loaded(tmp_path: Path, settings: Settings) -> None:
    settings.VOICE_ASR_MODEL = str(smallwhisper.make(tmp_path / "whisper-small-ms"))
    engine = WhisperEngine(configured())
    assert (engine.checkpoint.name, engine.checkpoint.contexts_s) == ("whisper-small-ms", CONTEXTS_S)
    await engine.load()
    detected = await heard(engine, sound.said("selamat pagi"), Options(temperatures=(0.0,)))
    assert detected.language in settings.VOICE_ASR_LANGUAGES  # never Indonesian or Javanese, which the model also knows
    translated = Options(language="ms", task="translate", temperatures=(0.0,), timestamps=True, words=True)
    assert (await heard(engine, sound.said("selamat pagi"), translated)).language == "ms"
    await engine.close()


async def test_a_checkpoint_that_cannot_be_loaded_is_reported(tmp_path: Path) -> None:
    engine = WhisperEngine(Checkpoint(str(tmp_path), "nothing"))
    with pytest.raises(EngineUnavailable, match="cannot load"):
        await engine.load()


async def test_a_checkpoint_that_fails_on_the_first_unit_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: WhisperEngine, batch: object) -> None:
        raise IndexError("index 99999 is out of bounds")

    monkeypatch.setattr(WhisperEngine, "_run", fail)
    engine = WhisperEngine(Checkpoint(str(smallwhisper.make(tmp_path / "whisper")), "small"))
    with pytest.raises(EngineUnavailable, match="cannot load the ASR model"):
        await engine.load()


async def test_special_tokens_in_a_prompt_are_read_as_words(engine: WhisperEngine) -> None:
    """A client must not give the model other instructions than the service does."""
    recogniser = engine._recogniser
    assert recogniser is not None
    tokenizer = recogniser.tokenizer("ms", "transcribe")
    names = "<|startoftranscript|><|en|><|translate|><|notimestamps|><|endoftext|>"
    for options in (Options(prompt=names), Options(keywords=(names,))):
        first, *tokens = recogniser.prompt(SpeechUnit(audio=sound.silence(1), options=options))
        assert first == tokenizer.sot_prev
        assert tokens and max(tokens) < tokenizer.eot


async def test_an_idle_model_is_unloaded_and_reloaded(settings: Settings) -> None:
    settings.VOICE_ASR_IDLE_UNLOAD_S = 0.1
    engine = WhisperEngine(configured())
    first = await heard(engine, sound.said("selamat pagi"))
    async with asyncio.timeout(5):
        while whisper_of(engine).model.model_is_loaded:
            await asyncio.sleep(0.05)
    assert (await heard(engine, sound.said("selamat pagi"))).text == first.text
    await engine.close()


async def test_the_smallest_context_that_holds_the_clip_is_used() -> None:
    checkpoint = configured()
    table = by_rule(checkpoint, "cpu")
    assert [table.context_s(seconds) for seconds in (0.5, 5.0, 5.1, 14, 29, 30)] == [
        5,
        5,
        10,
        15,
        30,
        30,
    ]
    assert np.isclose(checkpoint.segment_s, 10)


async def test_the_engine_reports_its_workers_and_their_cores(settings) -> None:
    settings.VOICE_ASR_THREADS = 3
    settings.VOICE_ASR_DEVICE = "cpu"
    engine = WhisperEngine(configured())
    await engine.load()
    assert (engine.stats().workers, engine.stats().cores) == (3, 3)
    await engine.close()


@pytest.mark.parametrize(("callers", "beam"), [(1, 5), (BUSY_CALLERS - 1, 5), (BUSY_CALLERS, 2), (12, 2)])
async def test_a_busy_engine_uses_a_smaller_beam(callers: int, beam: int, monkeypatch, settings) -> None:
    settings.VOICE_ASR_THREADS = 2  # as many workers
    engine = WhisperEngine(replace(configured(), bundled=False))
    await engine.load()
    beams: set[int] = set()
    recognise = engine._recogniser.recognise

    def noting(item, beam_size):
        beams.add(beam_size)
        return recognise(item, beam_size)

    monkeypatch.setattr(engine._recogniser, "recognise", noting)
    clip = sound.said(SENTENCES[0])
    await asyncio.gather(*(heard(engine, clip, Options(language="ms")) for _ in range(callers)))
    assert beams & {beam} and (callers < BUSY_CALLERS) == (beams == {5})
    beams.clear()
    parts = [SpeechUnit(audio=clip, options=Options(language="ms"), admitted=True) for _ in range(6)]
    await asyncio.gather(*map(engine.submit, parts))  # all parts of one long recording
    assert beams == {5}
    beams.clear()
    await asyncio.gather(*(engine.submit(replace(part, stream=1)) for part in parts))  # all parts of one live stream
    assert beams == {5}
    streams = [replace(part, stream=1 + number) for number, part in enumerate(parts)]
    await asyncio.gather(*map(engine.submit, streams))
    assert 2 in beams
    assert not engine.batching.callers
    await engine.close()
