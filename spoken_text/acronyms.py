"""Rules for acronyms. Some are spelled letter by letter ("SPM"), others are said as a word ("UMNO")."""

from __future__ import annotations

import re

from spoken_text.rules import LETTER_MARK, Rule, rule

MALAY_LETTERS = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "e bi si di i ef ji hec ai je ke el em en o pi kiu ar es ti yu vi dabliu eks wai zet".split(),
        strict=True,
    )
)

# Acronyms that are said as words, although by their length or letters ``is_spelled`` would call them spelled.
_WORDS = frozenset(
    """
    UMNO PETRONAS FELDA MARA ASEAN UNICEF UNESCO JAKIM FELCRA RISDA MITI MIDA MARDI SIRIM MIMOS PERODUA PROTON BERNAMA
    SOCSO PERKESO PERHILITAN SUHAKAM ADUN DUN JAIS JAWI JASA MAS RON NATO NASA OPEC FIFA UEFA FAMA FIDE COVID SARS AIDS
    MAGGI LASER RADAR TADIKA TABIKA TASKA PERMATA PAS AMANAH BERSATU MUDA PEJUANG PASTI MAIS SEDA TERAJU KADA
    MADA KEMAS GIATMARA PERKIM YADIM ABIM IKIM ISTAC NADMA RAPID PRASARANA EKUINAS BERSIH TEKUN INTAN
    BRIM PENJANA PRIHATIN KESUMA PUSPAKOM JPEG GIF ROM RAM PIN SIM LAN WAN APEC UNIX YOLO FOMO ASAP
    SUKMA SUKIPT KOSPEN RELA MERCY WAJA SAGA AXIA BEZZA ATIVA MYVI ALZA WIRA
    JSON WIFI SQLITE NUMPY MYKAD MYSEJAHTERA UNIMAS UNIMAP UNISEL UNITEN UNIKL TOEFL MUET DELIMA
    """.split()
)
# Acronyms that are spelled letter by letter, although they could be said as words.
_SPELLED = frozenset(
    """
    KLIA UITM USIM UTEM UTHM UNISZA USAS IKBN IPTA IPTS IIUM UIAM AKPK EPF IPO API URL UAE USA EU UN UK AI IT IC
    ID OKU IKS PKS ICU IQ EQ TV PC CEO CFO COO CTO HR PR GPA CGPA IPG ILP IKM AADK APM ATM ETS IJN IOI IMF WHO GST SST
    UPSR UPU USB LED LCD EV SUV OTP FAQ DIY BRT LRT MRT ERL NGO ASB ASNB OCBC UOB PTPTN EPU EIA ESG HIV ISO AES
    IELTS IOS OS IOT OKR ROI UI UX PDF GIS IPK IPD OCPD BSN CIMB EMCO MCO ABC RAV EEG ECG ADHD
    """.split()
)
# Ordinary words that people write in capitals for emphasis.
_SHOUTED = frozenset(
    """
    DAN ATAU DI KE ITU INI ADA TAK TIDAK SAYA AKU KAMI KITA DIA BUKAN JANGAN SILA AWAS NOTA PENTING YA DARI PADA APA
    BOLEH SUDAH SEMUA THE AND NOT OR IS TO OF IN ON FOR YOU ALL NO YES STOP FREE NEW NOW GO DO IF BUT ARE WE HOW WHY
    NEVER ALWAYS MUST BARU LAMA PERCUMA TIPS OKAY KATA BUAT CARA JIKA MESTI SATU DUA TIGA WAJIB
    """.split()
)
_EXPANDED = {
    "ms": {
        "SWT": "Subhanahu wa Taala",
        "SAW": "sallallahu alaihi wasallam",
        "YAB": "Yang Amat Berhormat",
        "YB": "Yang Berhormat",
        "TYT": "Tuan Yang Terutama",
        "DYMM": "Duli Yang Maha Mulia",
        "OK": "okey",
        "ASAP": "secepat mungkin",
    },
    "en": {
        "SWT": "Subhanahu wa Taala",
        "SAW": "sallallahu alaihi wasallam",
        "YAB": "Yang Amat Berhormat",
        "YB": "Yang Berhormat",
        "OK": "okay",
        "ASAP": "as soon as possible",
    },
}
_MIXED = {
    "UiTM": "UITM",
    "UniSZA": "Uni SZA",
    "UniMAP": "Unimap",
    "UniKL": "Uni KL",
    "UTeM": "UTEM",
    "PhD": "PHD",
    "MSc": "MSC",
    "BSc": "BSC",
    "IoT": "IOT",
    "eKYC": "E KYC",
    "KPDNHEP": "KPDNHEP",
    "WiFi": "waifai",
    "Wi-Fi": "waifai",
    "wifi": "waifai",
    "iOS": "IOS",
    "MySQL": "My SQL",
    "PostgreSQL": "Postgres QL",
    "LinkedIn": "Linked In",
    "ChatGPT": "Chat GPT",
    "DuitNow": "Duit Now",
    "macOS": "mac OS",
    "iPadOS": "iPad OS",
    "GoPro": "Go Pro",
    "eWallet": "e-wallet",
}
_MAX_SPELLED = 5  # letters; a longer word in capitals that has vowels is said as a word
_VOWELS = frozenset("AEIOU")
_UNSAYABLE = re.compile(
    r"[^AEIOU]{3,}|[AEIOU]{3}|[^AEIOUNKMTSRLH]$"
    r"|[^AEIOU](?<!N)(?<!R)(?<!L)(?<!S)(?<!K)[^AEIOU]$"
    r"|^(?!BR|PR|TR|KR|GR|DR|FR|PL|KL|BL|GL|FL|SL|ST|SP|SK|SY|NY|NG|KH|SW|SM|SN|CH|SH|TH)[^AEIOU]{2}"
)


def spell(letters: str, language: str) -> str:
    """Return the names of letters, each after a LETTER_MARK. For "SPM": "es pi em" in Malay, "S P M" in English."""
    names = (MALAY_LETTERS.get(char.lower(), char) if language == "ms" else char.upper() for char in letters)
    return " ".join(LETTER_MARK + name for name in names if not name.isspace())


def is_spelled(word: str) -> bool:
    """Return True if an acronym is spelled letter by letter. ``word`` is in capitals."""
    if word in _WORDS or word in _SHOUTED:
        return False
    if word in _SPELLED or not _VOWELS & set(word):
        return True
    if len(word) <= 3:
        return True
    return len(word) <= _MAX_SPELLED and bool(_UNSAYABLE.search(word))


def _acronym(match: re.Match[str], language: str) -> str:
    word = match[1]
    plural = match[2] or ""
    expanded = _EXPANDED[language].get(word)
    if expanded and not plural:
        return expanded
    if not is_spelled(word):
        return (word.lower() if word in _SHOUTED else word.capitalize()) + plural.lower()
    return spell(word, language) + (f" {plural}" if plural and language == "ms" else plural)


def _mixed(match: re.Match[str], language: str) -> str:
    written = _MIXED[match[0]]
    if written == "waifai" and language == "en":
        return "Wi-Fi"
    return written


def _letter(match: re.Match[str], language: str) -> str:
    """Spell a single capital (an initial, a grade, "Vitamin C"), except the English article "A"."""
    article = language == "en" and match[1] == "A" and re.match(r" [a-z]", match.string[match.end() :])
    return match[1] if article else spell(match[1], language)


def unshout(text: str) -> str:
    """Convert a text that is mostly in capitals to lower case, so that its words are not taken for acronyms.

    Real acronyms keep their capitals. A text that is a list of acronyms is returned unchanged.
    """
    found = re.findall(r"[^\W\d_]{2,}", text)
    shouted = [word for word in found if word.isupper()]
    if len(found) < 3 or len(shouted) < len(found) * 0.8:
        return text
    if sum(is_spelled(word) for word in shouted) > len(shouted) / 2 and all(len(word) <= 5 for word in shouted):
        return text  # a list of acronyms
    return re.sub(r"[^\W\d_]{2,}", lambda m: m[0].lower() if not _kept(m[0]) else m[0], text)


def _kept(word: str) -> bool:
    return word in _SPELLED or word in _WORDS or not _VOWELS & set(word)


ACRONYMS: list[Rule] = [
    rule(r"(?<![\w])(?:" + "|".join(sorted(map(re.escape, _MIXED), key=len, reverse=True)) + r")(?!\w)", _mixed),
    rule(r"(?<!\w)([A-Z][a-z]{1,15})([A-Z]{2,6})(?!\w)", lambda m, lang: f"{m[1]} {m[2]}"),
    rule(r"(?<![\w])((?:[A-Z]\.){2,6}[A-Z]?)(?!\w)", lambda m, lang: spell(m[1].replace(".", ""), lang) + _stop(m)),
    rule(r"(?<!\w)([A-Z]{2,20})(s|nya|lah|kah)?(?!\w)", _acronym),
    rule(rf"(?<![\w'’{LETTER_MARK}])(?!I\b)([A-Z])(?:\.(?= ?[A-Z]))?(?![\w'’])", _letter),
    # After two marks, "e" is the letter E. After one mark it would be the Malay name of the letter A.
    rule(rf"(?<![\w'’\-{LETTER_MARK}])([eE])(?=-[a-z]{{3}})", lambda m, lang: LETTER_MARK * 2 + m[1]),
]


def _stop(match: re.Match[str]) -> str:
    """Return "." if an acronym such as "U.S." is at the end of the text, else "".

    At the end of the text, the last full stop of the acronym also ends the sentence.
    """
    return "." if match[1].endswith(".") and not match.string[match.end() :].strip() else ""
