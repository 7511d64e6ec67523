"""Streaming sessions without WebSockets, with real voice activity detection and a real engine.

One test uses Whisper base, the others use the bundled model.
"""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import jiwer
import numpy as np
import pytest

from asr.audio import decode
from asr.checkpoint import configured
from asr.endpointing import FRAME_MS, TurnDetection
from asr.streaming import NothingToCommit, State, WrongState
from asr.streaming_events import Committed, Final, Partial, SpeechStarted, SpeechStopped
from asr.transcription import Transcription
from asr.units import SAMPLE_RATE, Hypothesis, Options, SpeechUnit
from asr.whisper_engine import WhisperEngine
from inference.engine import EngineStats
from spoken_text.error_rate import normalise
from tests import sound
from tests.asr.streams import CHUNK, TALK, Listener, session, speak


async def test_it_works(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener)
    await speak(stream, TALK)
    await stream.finish()
    kinds = [type(event) for event in listener.events if not isinstance(event, Partial | Final)]
    assert kinds == [SpeechStarted, SpeechStopped, Committed] * 2
    first, second = listener.of(Final)
    assert jiwer.wer("selamat pagi semua terima kasih", f"{first.text} {second.text}") <= 0.4
    assert stream.state is State.FINISHED
    assert stream.audio_ms == pytest.approx(1000 * len(TALK) / SAMPLE_RATE)


async def test_times_are_positions_in_the_audio(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, TurnDetection(prefix_padding_ms=300, silence_duration_ms=500))
    await speak(stream, TALK + sound.noise(len(TALK) / SAMPLE_RATE, 3e-4))  # an open microphone
    await stream.finish()
    started, stopped, final = (listener.of(kind)[0] for kind in (SpeechStarted, SpeechStopped, Final))
    spoken_ms = len(sound.said("selamat pagi semua")) / 16 - 600
    assert started.at_ms == pytest.approx(800 - 300, abs=100)
    assert stopped.at_ms == pytest.approx(800 + spoken_ms + 500, abs=200)
    assert final.start_ms == pytest.approx(800 - 200, abs=100)
    assert final.end_ms == pytest.approx(800 + spoken_ms + 200, abs=200)
    starts = [word.start for word in final.words]
    assert final.start_ms / 1000 <= starts[0] < final.end_ms / 1000
    assert starts == sorted(starts)


@pytest.mark.parametrize("prefix_padding_ms", [300, 2_000])
@pytest.mark.parametrize("pause_s", [0.65, 0.7, 0.75])
async def test_turns_close_together_do_not_overlap(
    engine: WhisperEngine, pause_s: float, prefix_padding_ms: int
) -> None:
    word = sound.said("terima kasih")
    loud = np.flatnonzero(np.abs(word) > 0.05)
    word = word[loud[0] : loud[-1]]
    pause = sound.noise(pause_s, 3e-4)
    listener = Listener()
    detection = TurnDetection(prefix_padding_ms=prefix_padding_ms)
    stream = session(engine, listener, detection, partials=False)
    await speak(stream, sound.joined([sound.noise(1, 3e-4), word, pause, word, pause, word, sound.noise(1, 3e-4)]))
    await stream.finish()
    times = [event.at_ms for event in listener.events if isinstance(event, SpeechStarted | SpeechStopped)]
    assert len(times) == 6
    assert times == sorted(times)
    finals = listener.of(Final)
    assert sum(final.audio_ms for final in finals) <= times[-1] - times[0] + FRAME_MS
    assert all(before.end_ms <= after.start_ms for before, after in itertools.pairwise(finals))


@pytest.mark.parametrize("detection", [None, TurnDetection()])
async def test_nothing_starts_before_a_clear(engine: WhisperEngine, detection: TurnDetection | None) -> None:
    """No result starts before the audio buffer was cleared, even if there is silence before it to use as padding."""
    word = sound.said("terima kasih")
    word = word[np.flatnonzero(np.abs(word) > 0.05)[0] :]
    listener = Listener()
    stream = session(engine, listener, detection)
    await stream.append(sound.silence(1))
    await stream.clear()
    await speak(stream, sound.joined([sound.silence(0.05), word, sound.silence(1)]))
    await stream.finish()
    [final] = [final for final in listener.of(Final) if final.text]
    assert final.start_ms >= 1_000
    assert final.words[0].start >= 1


async def test_manual_commit(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, None)
    await speak(stream, TALK)
    await stream.commit()
    await speak(stream, sound.said("apa khabar"))
    await stream.finish()
    assert listener.of(SpeechStarted) == listener.of(SpeechStopped) == []
    assert [event.number for event in listener.of(Committed)] == [0, 1]
    assert [final.number for final in listener.of(Final)] == [0, 1]
    assert len(listener.of(Final)[0].text.split()) >= 3


async def test_commits_do_not_shift_the_clock(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, None)
    for _ in range(5):
        await stream.append(sound.silence(0.111))
        await stream.commit()
    await stream.append(sound.said("terima kasih"))
    await stream.finish()
    at_once = Listener()
    other = session(engine, at_once, None)
    await other.append(sound.joined([sound.silence(0.555), sound.said("terima kasih")]))
    await other.finish()
    assert listener.of(Final)[-1].start_ms == pytest.approx(at_once.of(Final)[0].start_ms, abs=33)


async def test_commit_cuts_a_turn_short(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener)
    await speak(stream, TALK[: int(1.5 * SAMPLE_RATE)])
    assert stream.state is State.SPEAKING
    await stream.commit()
    assert stream.state is State.LISTENING
    await stream.finish()
    assert len(listener.of(Final)) >= 1


@pytest.mark.parametrize("detection", [None, TurnDetection()])
async def test_committing_without_audio(engine: WhisperEngine, detection: TurnDetection | None) -> None:
    stream = session(engine, Listener(), detection)
    with pytest.raises(NothingToCommit):
        await stream.commit()
    await stream.append(sound.silence(0.05))
    with pytest.raises(NothingToCommit):
        await stream.commit()


async def test_clear_forgets(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, None)
    await speak(stream, sound.said("selamat pagi"))
    await stream.clear()
    await stream.append(sound.silence(0.3))
    await stream.finish()
    assert [final.text for final in listener.of(Final)] == [""]


async def test_silence_gives_no_events(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener)
    await speak(stream, sound.joined([sound.silence(1), sound.noise(2), sound.hold_music(3)]))
    await stream.finish()
    assert listener.text == ""


async def test_calls_after_the_end_are_refused(engine: WhisperEngine) -> None:
    stream = session(engine, Listener())
    await stream.finish()
    await stream.finish()
    for call, name in (
        (stream.append(sound.silence(0.1)), "audio"),
        (stream.commit(), "commit"),
        (stream.clear(), "clear"),
    ):
        with pytest.raises(WrongState, match=f"{name} makes no sense: the stream is finished"):
            await call


async def test_partials_grow_and_keep_stable_words(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener)
    await speak(stream, sound.said("saya mahu pergi ke kuala lumpur pada pukul lapan pagi esok"), pause_s=0.04)
    await stream.finish()
    partials = listener.of(Partial)
    assert len(partials) >= 3
    stable: list[str] = []
    for partial in partials:
        words = partial.stable.split()
        assert words[: len(stable)] == stable
        assert partial.text.split()[: len(words)] == words
        stable = words
    assert len(stable) >= 3
    assert listener.events.index(partials[-1]) < listener.events.index(listener.of(Final)[0])


async def test_a_client_that_sends_too_fast_has_to_wait(engine: WhisperEngine) -> None:
    listener = Listener()
    stream = session(engine, listener, None, partials=False)
    short = sound.said("terima kasih")
    for _ in range(20):
        await stream.append(short)
        await stream.commit()
        assert len(stream._concluding) <= 5
    await stream.finish()
    assert [final.number for final in listener.of(Final)] == list(range(20))


async def test_memory_holds_the_open_segment_only(engine: WhisperEngine) -> None:
    stream = session(engine, Listener(), partials=False)
    most = 0.0
    for _ in range(3):
        for start in range(0, len(TALK), CHUNK):
            await stream.append(TALK[start : start + CHUNK])
            most = max(most, stream.seconds_kept)
        await speak(stream, sound.silence(3))
        assert stream.seconds_kept < 1
    assert most < configured().segment_s + 1.5
    await stream.abort()


async def test_speech_without_a_pause_is_cut_as_in_a_file(engine: WhisperEngine) -> None:
    unbroken = sound.joined([sound.said("saya mahu pergi ke kedai buku")[6_000:-6_000]] * 12)
    recording = decode(sound.wav(unbroken), max_duration_s=60)
    listener = Listener()
    options = Options(language="ms", temperatures=(0.0,))  # higher temperatures sample at random
    stream = session(engine, listener, options=options)
    for start in range(0, len(unbroken), CHUNK):
        await stream.append(recording.float32(start, start + CHUNK))
        await asyncio.sleep(0.002)
        assert stream.seconds_kept < configured().segment_s + 1.5
    await stream.finish()
    [final] = listener.of(Final)
    transcription = await Transcription.open(sound.wav(unbroken), engine, configured(), options)
    whole = await transcription.whole()
    assert len(whole.parts) > 1
    assert jiwer.wer(normalise(whole.text), normalise(final.text)) <= 0.1  # other batches have other rounding errors
    assert listener.of(Partial)[-1].stable.split()[:3] == final.text.split()[:3]


async def test_abort_leaves_nothing_behind(engine: WhisperEngine) -> None:
    before = len(asyncio.all_tasks())
    listener = Listener()
    stream = session(engine, listener)
    await speak(stream, TALK[: 3 * SAMPLE_RATE], pause_s=0.005)
    await stream.abort()
    told = len(listener.events)
    await asyncio.sleep(0.2)
    assert len(asyncio.all_tasks()) <= before
    assert len(listener.events) == told


SENTENCES = [
    f"{subject} {place} {when}"
    for subject in ("saya mahu pergi ke", "kami akan sampai di", "ibu membeli ikan di", "dia bekerja di")
    for place in ("kuala lumpur", "pulau pinang", "shah alam")
    for when in ("pada pukul lapan pagi esok", "selepas waktu makan tengah hari")
]


async def test_final_words_equal_those_of_a_file(engine: WhisperEngine) -> None:
    """Over at least 20 clips, the word error rates of streams and files differ by at most 2 percentage points.

    Compared with the text of the files, the text of the streams has a word error rate of at most 2 %.
    """
    assert len(SENTENCES) >= 20
    live = []
    file = []
    options = Options(language="ms", temperatures=(0.0,))  # higher temperatures sample at random
    for number, sentence in enumerate(SENTENCES):
        audio = sound.said(sentence, rate=(150, 175, 200)[number % 3])
        audio = sound.joined([audio, sound.silence(0.5), sound.said("terima kasih")])
        data = sound.wav(audio)
        recording = decode(data, max_duration_s=60)
        listener = Listener()
        stream = session(engine, listener, partials=number % 2 == 0, options=options)
        await speak(stream, recording.float32(0, len(recording.samples)), pause_s=0.001)
        await stream.finish()
        live.append(normalise(listener.text))
        transcription = await Transcription.open(data, engine, configured(), options)
        file.append(normalise((await transcription.whole()).text))
    said = [normalise(f"{sentence} terima kasih") for sentence in SENTENCES]
    assert abs(jiwer.wer(said, live) - jiwer.wer(said, file)) <= 0.02
    assert jiwer.wer(file, live) <= 0.02


async def test_with_whisper_base_final_words_equal_those_of_a_file(whisper_base: Path, settings) -> None:
    settings.VOICE_ASR_MODEL = str(whisper_base)
    settings.VOICE_ASR_COMPUTE_TYPE = "int8"
    engine = WhisperEngine(configured())
    english = sound.said("please help me to change my password today", "en", rate=150)
    malay = sound.said(
        "selamat pagi semua apa khabar hari ini saya mahu pergi ke pasar", rate=150
    )  # no two words are almost equally likely
    audio = sound.joined([sound.silence(0.3), malay, sound.silence(1.5), english, sound.silence(0.107)])
    recording = decode(sound.wav(audio), max_duration_s=60)
    try:
        for options in (Options(language="ms", timestamps=True), Options(timestamps=True)):
            listener = Listener()
            stream = session(engine, listener, options=options)
            await speak(stream, recording.float32(0, len(recording.samples)), pause_s=0.005)
            await stream.finish()
            transcription = await Transcription.open(sound.wav(audio), engine, configured(), options)
            assert normalise((await transcription.whole()).text) == normalise(listener.text) != ""
    finally:
        await engine.close()


class Noting:
    """An engine that records the audio of each submitted unit."""

    def __init__(self, engine: WhisperEngine) -> None:
        self._engine = engine
        self.units: list[sound.Audio] = []

    async def submit(self, unit: SpeechUnit) -> Hypothesis:
        self.units.append(unit.audio)
        return await self._engine.submit(unit)

    def stats(self) -> EngineStats:
        return self._engine.stats()


@pytest.mark.parametrize("chunk", [320, 1_600, 16_000])
@pytest.mark.parametrize("detection", [TurnDetection(), TurnDetection(silence_duration_ms=900), None])
async def test_the_engine_gets_the_same_units_as_for_a_file(
    engine: WhisperEngine, chunk: int, detection: TurnDetection | None
) -> None:
    word = sound.said("terima kasih")
    loud = np.flatnonzero(np.abs(word) > 0.05)
    pauses = [sound.silence(seconds) for seconds in (0.05, 0.4, 0.6, 0.9, 1.3)]
    audio = sound.joined([part for pause in pauses for part in (TALK, pause, word)] + [word[: loud[-1]]])
    file = Noting(engine)
    opened = await Transcription.open(sound.wav(audio), file, configured(), Options(language="ms"))
    await opened.whole()
    recording = decode(sound.wav(audio), max_duration_s=60)
    samples = recording.float32(0, len(recording.samples))
    live = Noting(engine)
    stream = session(live, Listener(), detection, partials=False)
    for start in range(0, len(samples), chunk):
        await stream.append(samples[start : start + chunk])
    if detection is None:
        await stream.commit()
    await stream.finish()
    assert len(file.units) > 10
    for ours, theirs in zip(live.units, file.units, strict=True):
        np.testing.assert_array_equal(ours, theirs)
