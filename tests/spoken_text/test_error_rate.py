"""Differences in writing that the error rate ignores, and differences that it counts."""

from __future__ import annotations

import time

import pytest

from spoken_text.error_rate import compare, normalise

SAME_WORDS = [
    ("nombor telefon 03-88881234", "nombor telefon kosong tiga lapan lapan lapan lapan satu dua tiga empat"),
    ("1.200.000 orang", "1,200,000 orang"),
    ("naïve café", "naive cafe"),
    ("KWSP umum dividen 6%", "kwsp umum dividen enam peratus"),
    ("KWSP umum dividen 6%", "k w s p umum dividen enam peratus"),
    ("RM12.50", "dua belas ringgit lima puluh sen"),
    ("harga RM12.50", "harga 12.50 ringgit"),
    ("harga RM12", "harga dua belas ringgit"),
    ("RM0.50 sahaja", "lima puluh sen sahaja"),
    ("satu ratus orang", "seratus orang"),
    ("100 orang", "satu ratus orang"),
    ("suhu sifar darjah", "suhu kosong darjah"),
    ("suhu 0 darjah", "suhu sifar darjah"),
    ("suhu -5°C", "suhu negatif lima darjah Celsius"),
    ("suhu −5 °C", "suhu tolak lima darjah celsius"),
    ("Dr. Ali datang", "doktor ali datang"),
    ("Encik Ali", "En. Ali"),
    ("En Ali", "encik ali"),
    ("hantar e-mel", "hantar emel"),
    ("hantar e-mail", "hantar email"),
    ("kanak-kanak", "kanak kanak"),
    ("kanak2 main", "kanak-kanak main"),
    ("dia duduk di Jln. Ampang", "dia duduk di jalan ampang"),
    ("kelas 5A", "kelas lima a"),
    ("ke-5", "kelima"),
    ("kali ke-21", "kali kedua puluh satu"),
    ("abad ke 21", "abad kedua puluh satu"),
    ("2.5 juta", "dua perpuluhan lima juta"),
    ("RM2.5 juta", "dua perpuluhan lima juta ringgit"),
    ("5k orang", "lima ribu orang"),
    ("pukul 3.30 petang", "pukul tiga tiga puluh petang"),
    ("pukul 3:30 petang", "pukul 3.30 petang"),
    ("pukul 8.05 pagi", "pukul lapan kosong lima pagi"),
    ("jam 10:15", "jam sepuluh lima belas"),
    ("3pm", "3 p.m."),
    ("at 3 pm", "at three p m"),
    ("it's fine", "it is fine"),
    ("I don't know", "I do not know"),
    ("okay", "ok"),
    ("okey", "OK"),
    ("the colour of the centre", "the color of the center"),
    ("organise the programme", "organize the program"),
    ("travelled 10 km", "traveled ten kilometres"),
    ("berat 5kg", "berat lima kilogram"),
    ("tinggi 170 cm", "tinggi seratus tujuh puluh sentimeter"),
    ("012-345 6789", "kosong satu dua tiga empat lima enam tujuh lapan sembilan"),
    ("hubungi 03-2161 1234", "hubungi kosong tiga dua satu enam satu satu dua tiga empat"),
    ("12 Mac 2024", "dua belas mac dua ribu dua puluh empat"),
    ("12/3/2024", "12 Mac 2024"),
    ("pada 12hb Mac", "pada dua belas haribulan mac"),
    ("March 12th, 2024", "march twelfth twenty twenty four"),
    ("12 March 2024 is", "the twelfth of march twenty twenty-four is"),
    ("in 1957", "in nineteen fifty-seven"),
    ("tahun 1957", "tahun seribu sembilan ratus lima puluh tujuh"),
    ("tahun 1990-an", "tahun sembilan belas sembilan puluhan"),
    ("tahun 1990-an", "tahun seribu sembilan ratus sembilan puluhan"),
    ("the 1990s", "the nineteen nineties"),
    ("1,250 orang", "seribu dua ratus lima puluh orang"),
    ("5-10 orang", "lima hingga sepuluh orang"),
    ("3/4 cawan", "tiga suku cawan"),
    ("2/3 daripada", "dua pertiga daripada"),
    ("MH370", "m h tiga tujuh kosong"),
    ("poskod 50480", "poskod lima kosong empat lapan kosong"),
    ("lebuh raya", "lebuhraya"),
    ("di mana", "dimana"),
    ("WhatsApp saya", "whats app saya"),
    ("U.S. dollars", "US dollars"),
    ("$5.50", "five dollars fifty cents"),
    ("twenty-one people", "21 people"),
    ("two hundred and five", "205"),
    ("one million", "1,000,000"),
    ("a hundred dollars", "100 dollars"),
    ("SPM 2023", "s p m dua ribu dua puluh tiga"),
    ("ke dabliu es pi", "KWSP"),
    ("pi ti pi ti en", "PTPTN"),
    ("你好，世界。", "你好世界"),
    ("三十六个人", "36个人"),
    ("二零二四年", "2024年"),
    ("百分之六", "6%"),
    ("60% daripada", "enam puluh per sen daripada"),
    ("50 percent", "fifty per cent"),
    ("Sdn. Bhd.", "sendirian berhad"),
    ("yg dgn utk", "yang dengan untuk"),
    ("Bab IV", "bab empat"),
    ("No. 5, Jalan Tun", "nombor lima jalan tun"),
    ("can't stop", "cannot stop"),
    ("I'm gonna go", "I am going to go"),
    ("COVID-19", "covid sembilan belas"),
    ("Prof. Dr. Aminah", "profesor doktor aminah"),
    ("80 km/j", "lapan puluh kilometer sejam"),
    ("RM5/kg", "lima ringgit sekilogram"),
    ("10 minit", "sepuluh minit"),
    ("½ jam", "setengah jam"),
    ("3 - 1 = 2", "tiga tolak satu sama dengan dua"),
    ("sejuta", "1 juta"),
    ("IC saya 900101-14-5678", "ic saya sembilan kosong kosong satu kosong satu satu empat lima enam tujuh lapan"),
    ("anak-anaknya", "anak anaknya"),
    ("Datuk Seri Anwar", "datuk seri anwar"),
    ("wi-fi laju", "wifi laju"),
    ("1.5 liter", "satu perpuluhan lima liter"),
    ("Q3 2025", "q tiga dua ribu dua puluh lima"),
    ("RM1,250.50", "seribu dua ratus lima puluh ringgit lima puluh sen"),
    ("bilik 305", "bilik tiga kosong lima"),
    ("The 21st century", "the twenty first century"),
    ("she's here and they're late", "she is here and they are late"),
    ("jam 2 pagi hingga 5 petang", "jam dua pagi hingga lima petang"),
    ("markah 98.5%", "markah sembilan puluh lapan perpuluhan lima peratus"),
    ("saya nak 2 biji telur", "saya nak dua biji telur"),
    ("tingkat 3A", "tingkat tiga a"),
    ("10 hb 5", "sepuluh haribulan lima"),
    ("Pn. Siti & Tn. Lim", "puan siti dan tuan lim"),
    ("PM kata", "p m kata"),
    ("bantuan RM300 ribu", "bantuan tiga ratus ribu ringgit"),
    ("6.30 a.m.", "six thirty am"),
    ("I've paid $20", "I have paid twenty dollars"),
    ("my neighbour's favourite", "my neighbors favorite"),
    ("A4", "a empat"),
    ("no. 3", "number three"),
    ("20-an", "dua puluhan"),
    ("telefon 1-300-88-2525", "telefon satu tiga kosong kosong lapan lapan dua lima dua lima"),
    ("60 km/h", "sixty kilometres per hour"),
    ("the 3rd of May", "the third of may"),
    ("tahun 2000", "tahun dua ribu"),
    ("dua setengah jam", "2 1/2 jam"),
    ("seperempat", "1/4"),
    ("e-dagang", "e dagang"),
    ("assalamualaikum", "Assalamu'alaikum"),
    ("Al-Quran", "al quran"),
    ("Qur'an", "Quran"),
    ("tiga ribu lima ratus", "3,500"),
    ("3 500 orang", "tiga ribu lima ratus orang"),
    ("satu perempat", "1/4"),
    ("25 m²", "dua puluh lima meter persegi"),
    ("１２ 人", "12人"),
    ("5点30分", "五点三十分"),
    ("12.5元", "十二点五元"),
    ("ringgit Malaysia 5 juta", "ringgit malaysia lima juta"),
    ("sub-sektor", "subsektor"),
    ("Jul 2024", "julai 2024"),
    ("5°C", "lima darjah celsius"),
    ("1 kg gula", "satu kilogram gula"),
    ("bilangan: 0", "bilangan kosong"),
    ("1st place", "first place"),
    ("2:00 pm", "two pm"),
    ("2.00 petang", "dua petang"),
    ("1030 pagi", "sepuluh tiga puluh pagi"),
    ("15:00", "lima belas kosong kosong"),
    ("St. John", "st john"),
    ("7-Eleven", "seven eleven"),
    ("7-Eleven", "tujuh eleven"),
    ("4x4", "empat kali empat"),
    ("H1N1", "h satu n satu"),
    ("3D", "tiga d"),
    ("naik 2x ganda", "naik dua kali ganda"),
    ("2 x 3 = 6", "dua darab tiga sama dengan enam"),
    ("RM 1 juta", "sejuta ringgit"),
    ("RM1 juta", "satu juta ringgit"),
    ("Ke-2", "kedua"),
    ("dari KLCC ke LRT", "dari k l c c ke l r t"),
    ("Dan/atau kedua-duanya", "dan atau kedua-duanya"),
    ("either/or", "either or"),
    ("pukul 12 tengah hari", "pukul dua belas tengahari"),
    ("3万人", "三万人"),
    ("3千5百万", "三千五百万"),
    ("1.5万", "一点五万"),
    ("1.5万", "一万五千"),
    ("12.5亿元", "十二点五亿元"),
    ("三亿五千万", "3亿5000万"),
    ("一万亿", "1,000,000,000,000"),
]
OTHER_WORDS = [
    ("lima belas", "lima puluh"),
    ("RM15", "RM50"),
    ("enam peratus", "tujuh peratus"),
    ("dua puluh tiga", "dua tiga"),
    ("ke-5", "ke-6"),
    ("kelas 5A", "kelas 5B"),
    ("tak", "tidak"),
    ("3.30 petang", "3.30 pagi"),
    ("KWSP", "PERKESO"),
    ("2.5 juta", "2.5 ribu"),
    ("2.5 juta", "25 juta"),
    ("it's fine", "it was fine"),
    ("seratus", "seribu"),
    ("-5°C", "5°C"),
    ("5 km", "5 kg"),
    ("Encik Ali", "Puan Ali"),
    ("can", "can't"),
    ("RM12.50", "RM12.05"),
    ("anak", "anak-anak"),
    ("you", "your"),
    ("1957", "1975"),
    ("12 Mac", "12 Mei"),
    ("012-345 6789", "012-345 6798"),
    ("satu", "suatu"),
    ("makan", "makanan"),
    ("filled", "filed"),
    ("hour", "or"),
    ("tiga suku", "suku"),
    ("三十", "十三"),
    ("3万", "三千"),
    ("1.5万", "十五万"),
    ("dua perpuluhan lima juta", "dua juta lima ratus ribu"),
]


def test_it_works() -> None:
    errors = compare("KWSP umum dividen 6%", "kwsp umumkan dividen lima peratus ya")
    assert (errors.substitutions, errors.deletions, errors.insertions, errors.words) == (2, 0, 1, 5)
    assert errors.rate == 0.6


@pytest.mark.parametrize(("written", "otherwise"), SAME_WORDS)
def test_spelling_differences_are_no_errors(written: str, otherwise: str) -> None:
    assert compare(written, otherwise).count == 0
    assert compare(otherwise, written).count == 0


@pytest.mark.parametrize(("one", "other"), OTHER_WORDS)
def test_different_words_are_errors(one: str, other: str) -> None:
    assert compare(one, other).count > 0
    assert compare(other, one).count > 0


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Selamat Pagi, Encik!", "selamat pagi encik"),
        ("Saya ada dua puluh satu ekor kucing.", "saya ada 21 ekor kucing"),
        ("Harganya RM5.", "harganya 5 ringgit"),
        ("你好，世界。", "你 好 世 界"),
        ("", ""),
    ],
)
def test_texts_are_normalised_for_comparison(written: str, compared: str) -> None:
    assert normalise(written) == compared


@pytest.mark.parametrize(
    ("reference", "hypothesis", "rate", "words"),
    [
        ("saya suka nasi lemak", "saya suka nasi", 0.25, 4),
        ("ya", "ya betul sekali", 2.0, 1),
        ("ya betul", "", 1.0, 2),
        ("kanak-kanak don\u2019t", "kanak-kanak don't", 0.0, 4),
        ("你好吗", "你好", 1 / 3, 3),
        ("வணக்கம் நண்பா", "வணக்கம் நண்பா", 0.0, 2),
    ],
)
def test_the_rate_is_relative_to_the_words_of_the_reference(
    reference: str, hypothesis: str, rate: float, words: int
) -> None:
    errors = compare(reference, hypothesis)
    assert (errors.rate, errors.words) == (pytest.approx(rate), words)


def test_a_reference_without_words_has_no_error_rate() -> None:
    with pytest.raises(ValueError, match="no words"):
        compare("...", "ya")


@pytest.mark.parametrize(
    "text", ["1/2", "1-", "satu ", "k w s p ", "-", "一百", "3万5", "k ke ", "RM1,000.00 ", "1.", "it's ", "+60 12 "]
)
def test_time_grows_linearly_with_the_text(text: str) -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        normalise(text * (length // len(text)))
        return time.process_time() - started

    assert seconds(64_000) < 50 * max(seconds(4_000), 0.01)  # for 16 times the text; quadratic time would be 256 times
