"""Live speech sessions without a WebSocket: order, pacing, cancel, flush."""

from __future__ import annotations

import asyncio
import random

import pytest

from inference import runtime
from tests.tts.listening import seconds
from tts.encoding import AudioFormat
from tts.live_speech import (
    LEAD_S,
    MAX_UNFINISHED_CHARACTERS,
    STEP_S,
    Audio,
    Cancelled,
    Ended,
    Event,
    Flushed,
    LiveSpeech,
    SentenceStarts,
    State,
    TooMuchText,
)
from tts.voices import default_voice

TEXT = "Selamat pagi, Encik Ali. **Harga** tiket ialah RM12.50 sahaja. Sila ke kaunter 3, ya! Terima kasih."
SENTENCES = [
    "Selamat pagi, Encik Ali.",
    "**Harga** tiket ialah RM12.50 sahaja.",
    "Sila ke kaunter 3, ya!",
    "Terima kasih.",
]


class Listener:
    """A listener that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.errors: list[Exception] = []
        self.ended = asyncio.Event()

    async def tell(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Ended):
            self.ended.set()

    def speech(self, speed: float = 4.0, audio_format: AudioFormat = AudioFormat.PCM) -> LiveSpeech:
        voice = default_voice()
        failed = self.errors.append
        return LiveSpeech(voice, language="ms", tell=self.tell, failed=failed, speed=speed, audio_format=audio_format)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[Event], count: int = 1) -> None:
        async with asyncio.timeout(10):
            while len(self.of(kind)) < count:
                await asyncio.sleep(0.005)


@pytest.fixture
def listener(espeak: None) -> Listener:
    return Listener()


async def test_it_works(listener: Listener) -> None:
    speech = listener.speech()
    speech.push(TEXT)
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 20)
    assert [event.text for event in listener.of(SentenceStarts)] == SENTENCES
    starts = [event.start_ms for event in listener.of(SentenceStarts)]
    assert starts[0] == 0 and starts == sorted(set(starts))
    sent = sum(len(event.data) for event in listener.of(Audio)) / 2 / 24_000
    assert speech.audio_ms == pytest.approx(1000 * sent, abs=1)
    assert speech.characters == sum(map(len, SENTENCES))
    assert speech.state is State.ENDED


async def test_any_split_of_the_text_gives_the_same_sentences(listener: Listener) -> None:
    rng = random.Random(3)
    speech = listener.speech()
    left = TEXT
    while left:
        size = rng.randint(1, 5)
        speech.push(left[:size])
        left = left[size:]
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 20)
    assert [event.text for event in listener.of(SentenceStarts)] == SENTENCES


async def test_the_first_sentence_is_spoken_before_the_text_ends(listener: Listener) -> None:
    speech = listener.speech()
    speech.push("Selamat pagi semua. Dan seter")
    await listener.until(Audio)
    assert [event.text for event in listener.of(SentenceStarts)] == ["Selamat pagi semua."]
    await speech.close()


async def test_audio_is_sent_little_ahead_of_the_listener(listener: Listener) -> None:
    speech = listener.speech(speed=1.0)
    speech.push("Ini ayat yang agak panjang supaya mengambil masa beberapa saat untuk dibaca.")
    speech.flush()
    await asyncio.sleep(1.0)
    assert speech.audio_ms <= 1000 * (1.0 + LEAD_S + 2 * STEP_S + 0.2)
    await speech.close()


async def test_a_cancel_takes_effect_at_once_and_later_text_is_spoken(listener: Listener) -> None:
    speech = listener.speech(speed=1.0)
    speech.push(TEXT * 5)
    await listener.until(Audio, 3)
    await speech.cancel()
    [cancelled] = listener.of(Cancelled)
    assert cancelled.audio_ms == speech.audio_ms
    assert speech.characters == sum(len(event.text) for event in listener.of(SentenceStarts))  # none made ahead
    before = len(listener.of(Audio))
    await asyncio.sleep(0.3)
    assert len(listener.of(Audio)) == before
    speech.push("Baiklah.")
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 10)
    assert listener.of(SentenceStarts)[-1].text == "Baiklah."
    assert runtime.engine("espeak-ng").stats().queue_length == 0


async def test_opus_after_a_cancel_contains_no_earlier_audio(listener: Listener) -> None:
    speech = listener.speech(speed=1.0, audio_format=AudioFormat.OPUS)
    speech.push(TEXT)
    await listener.until(Audio, 3)
    await speech.cancel()
    before = len(listener.of(Audio))
    speech.push("Baiklah.")
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 10)
    later = b"".join(event.data for event in listener.of(Audio)[before:])
    assert later.startswith(b"OggS")
    assert seconds(later) == pytest.approx((speech.audio_ms - listener.of(Cancelled)[0].audio_ms) / 1000, abs=0.1)


async def test_ten_cancels_a_second_leave_no_tasks_behind(listener: Listener) -> None:
    speech = listener.speech()
    tasks = len(asyncio.all_tasks())
    for _ in range(10):
        speech.push(TEXT)
        await asyncio.sleep(0.02)
        await speech.cancel()
    assert len(listener.of(Cancelled)) == 10
    assert len(asyncio.all_tasks()) <= tasks + 1
    await speech.close()
    assert not listener.errors


async def test_flush_speaks_an_incomplete_sentence(listener: Listener) -> None:
    speech = listener.speech()
    speech.push("Sekejap ya")
    speech.flush()
    await listener.until(Flushed)
    assert [event.text for event in listener.of(SentenceStarts)] == ["Sekejap ya"]
    await speech.close()


async def test_unspeakable_text_is_skipped(listener: Listener) -> None:
    speech = listener.speech()
    speech.push("😀🎉\n\nBaik.\n\n---\n\n")
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 10)
    assert [event.text for event in listener.of(SentenceStarts)] == ["Baik."]


async def test_an_endless_markdown_block_is_bounded(listener: Listener) -> None:
    speech = listener.speech()
    speech.push("```\n")
    with pytest.raises(TooMuchText):
        for _ in range(2 * MAX_UNFINISHED_CHARACTERS // 1000):
            speech.push("kod = 1\n" * 125)
    await speech.close()


@pytest.mark.parametrize("text", ["😀🎉👍🏽", "...", "👍\n\n🎉"])
async def test_text_without_words_gives_a_moment_of_silence(listener: Listener, text: str) -> None:
    speech = listener.speech()
    speech.push(text)
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 20)
    [sentence] = listener.of(SentenceStarts)
    assert text.startswith(sentence.text)
    assert b"".join(event.data for event in listener.of(Audio)) == bytes(2 * 24_000 // 5)
    assert (speech.audio_ms, speech.characters) == (200, len(sentence.text))


@pytest.mark.parametrize("text", ["", "  "])
async def test_without_text_there_is_no_audio(listener: Listener, text: str) -> None:
    speech = listener.speech()
    speech.push(text)
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 20)
    assert not listener.of(Audio)


async def test_cancelled_text_without_words_gives_no_audio(listener: Listener) -> None:
    speech = listener.speech()
    speech.push("👍")
    speech.flush()
    await listener.until(Flushed)
    await speech.cancel()
    speech.end()
    await asyncio.wait_for(listener.ended.wait(), 20)
    assert not listener.of(Audio)


async def test_text_is_limited_and_nothing_follows_the_end(listener: Listener) -> None:
    speech = listener.speech(speed=1.0)
    with pytest.raises(TooMuchText):
        for _ in range(200):
            speech.push("Ayat yang sama diulang-ulang sahaja tanpa henti. " * 20)
    speech.end()
    with pytest.raises(ValueError, match="is not allowed now"):
        speech.push("lagi")
    await speech.close()
