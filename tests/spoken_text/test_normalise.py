from __future__ import annotations

import pytest

from spoken_text.normalise import normalise


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Selamat Pagi, Encik!", "selamat pagi encik"),
        ("anak-anak", "anak anak"),
        ("Saya ada 21 ekor kucing.", "saya ada dua puluh satu ekor kucing"),
        ("Harganya RM5.", "harganya lima ringgit"),
        ("Qur’an", "qur'an"),
        ("OK, 'baik'", "okey baik"),
        ("你好，世界。", "你 好 世 界"),
        ("", ""),
    ],
)
def test_it_works(written: str, compared: str) -> None:
    assert normalise(written) == compared


def test_different_words_stay_different() -> None:
    assert normalise("tak") != normalise("tidak")
