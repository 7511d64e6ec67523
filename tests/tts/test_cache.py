from __future__ import annotations

import itertools

from tts.cache import FinishedSpeech, SpeechCache, cache_key


def speech(size: int = 10) -> FinishedSpeech:
    return FinishedSpeech(b"x" * size, audio_ms=1000)


def test_a_stored_speech_is_returned() -> None:
    cache = SpeechCache(1000)
    cache.put("a", speech())
    assert cache.get("a") == speech()
    assert cache.get("b") is None


def test_the_size_is_bounded_and_the_least_recently_used_is_evicted() -> None:
    cache = SpeechCache(160)
    for key in map(str, range(16)):
        cache.put(key, speech(10))
    cache.get("0")
    cache.put("new", speech(10))
    assert cache.size == 160
    assert cache.get("0") is not None
    assert cache.get("1") is None


def test_the_same_key_is_counted_once() -> None:
    cache = SpeechCache(1000)
    for size in (10, 30, 20):
        cache.put("a", speech(size))
    assert (cache.size, len(cache)) == (20, 1)


def test_one_large_speech_does_not_push_out_the_others() -> None:
    cache = SpeechCache(1600)
    cache.put("small", speech(10))
    cache.put("large", speech(101))
    assert (len(cache), cache.size) == (1, 10)


def test_zero_switches_it_off() -> None:
    cache = SpeechCache(0)
    cache.put("a", speech())
    cache.put("empty", speech(0))
    assert cache.get("a") is None


def test_everything_that_changes_the_sound_changes_the_key() -> None:
    keys = [
        cache_key("Selamat pagi", voice="ms", language="ms", speed=1.0, audio_format="mp3"),
        cache_key("Selamat petang", voice="ms", language="ms", speed=1.0, audio_format="mp3"),
        cache_key("Selamat pagi", voice="ta", language="ms", speed=1.0, audio_format="mp3"),
        cache_key("Selamat pagi", voice="ms", language="en", speed=1.0, audio_format="mp3"),
        cache_key("Selamat pagi", voice="ms", language="ms", speed=1.5, audio_format="mp3"),
        cache_key("Selamat pagi", voice="ms", language="ms", speed=1.0, audio_format="wav"),
    ]
    assert all(one != other for one, other in itertools.combinations(keys, 2))
