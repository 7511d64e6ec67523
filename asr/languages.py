"""Convert between Whisper's language codes, the names that clients send, and the names that OpenAI's API returns."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _
from faster_whisper.tokenizer import _LANGUAGE_CODES

from asr.checkpoint import Checkpoint
from core.error_codes import ErrorCode
from core.errors import ApiError

#: Languages that the model detects by mistake in short or accented speech, each with the language actually spoken.
RELATIVES = {"id": "ms", "jw": "ms", "su": "ms", "tl": "ms", "yue": "zh", "ml": "ta", "te": "ta", "kn": "ta"}

# Whisper's languages: the code, the English name in lower case that OpenAI's API returns, and the ISO 639-2 and 639-3
# codes that clients may send. Malay has several codes, because Malaysian Malay and the macrolanguage have their own.
_TABLE = """
af afrikaans afr | am amharic amh | ar arabic ara arb | as assamese asm | az azerbaijani aze azj | ba bashkir bak
be belarusian bel | bg bulgarian bul | bn bengali ben | bo tibetan bod tib | br breton bre | bs bosnian bos
ca catalan cat | cs czech ces cze | cy welsh cym wel | da danish dan | de german deu ger | el greek ell gre
en english eng | es spanish spa | et estonian est ekk | eu basque eus baq | fa persian fas per pes | fi finnish fin
fo faroese fao | fr french fra fre | gl galician glg | gu gujarati guj | ha hausa hau | haw hawaiian haw
he hebrew heb | hi hindi hin | hr croatian hrv | ht haitian_creole hat | hu hungarian hun | hy armenian hye arm
id indonesian ind | is icelandic isl ice | it italian ita | ja japanese jpn | jw javanese jav jv | ka georgian kat geo
kk kazakh kaz | km khmer khm | kn kannada kan | ko korean kor | la latin lat | lb luxembourgish ltz | ln lingala lin
lo lao lao | lt lithuanian lit | lv latvian lav lvs | mg malagasy mlg plt | mi maori mri mao | mk macedonian mkd mac
ml malayalam mal | mn mongolian mon khk | mr marathi mar | ms malay msa may zlm zsm mly | mt maltese mlt
my myanmar mya bur burmese | ne nepali nep npi | nl dutch nld dut | nn nynorsk nno | no norwegian nor nob nb
oc occitan oci | pa punjabi pan | pl polish pol | ps pashto pus pbt | pt portuguese por | ro romanian ron rum
ru russian rus | sa sanskrit san | sd sindhi snd | si sinhala sin | sk slovak slk slo | sl slovenian slv
sn shona sna | so somali som | sq albanian sqi alb als | sr serbian srp | su sundanese sun | sv swedish swe
sw swahili swa swh | ta tamil tam | te telugu tel | tg tajik tgk | th thai tha | tk turkmen tuk
tl tagalog tgl fil filipino | tr turkish tur | tt tatar tat | uk ukrainian ukr | ur urdu urd | uz uzbek uzb uzn
vi vietnamese vie | yi yiddish yid ydd | yo yoruba yor | yue cantonese | zh chinese zho chi cmn mandarin
"""
_ROWS = [row.split() for line in _TABLE.strip().splitlines() for row in line.split("|")]
NAMES = {code: name.replace("_", " ") for code, name, *_ in _ROWS}
_CODES = {other.replace("_", " "): code for code, *others in _ROWS for other in others}
_CODES |= {"bahasa melayu": "ms", "melayu": "ms", "bahasa malaysia": "ms", "bahasa indonesia": "id"}


def name(code: str) -> str:
    """Return the name that OpenAI's API uses for a language, such as ``malay`` for ``ms``.

    Return the code itself if it is unknown.
    """
    return NAMES.get(code, code)


def parse(text: str, checkpoint: Checkpoint) -> str | None:
    """Return Whisper's code for the language that a client names; None for an empty text or ``auto``.

    For example, ``ms``, ``ms-MY`` and ``Malay`` all give ``ms``.

    Raise ``ApiError`` 400 if the language is unknown or the model does not understand it.
    """
    wanted = text.strip().lower()
    if wanted in ("", "auto"):
        return None
    code = _code(text, "language")
    if checkpoint.languages and code not in checkpoint.languages:
        raise _not_understood([code], checkpoint, "language")
    return code


def parse_candidates(texts: Sequence[str], checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return Whisper's codes for the languages that a client names as candidates for detection.

    Languages that the model does not understand are left out.

    Raise ``ApiError`` 400 if a language is unknown, or if the model understands none of them.
    """
    codes = list(dict.fromkeys(_code(text, "languages") for text in texts))
    understood = tuple(code for code in codes if not checkpoint.languages or code in checkpoint.languages)
    if codes and not understood:
        raise _not_understood(codes, checkpoint, "languages")
    return understood


def chosen(language: str, candidates: Sequence[str], checkpoint: Checkpoint) -> tuple[str | None, tuple[str, ...]]:
    """Return the language to recognise, and the languages among which to detect it.

    The first value is None if the language must be detected. The second value is empty if the language is known, or if
    the client does not restrict the detection.

    ``language``: the language that the client names, or "".
    ``candidates``: the languages to which the client restricts the detection; empty for no restriction.

    Raise ``ApiError`` 400 if a language is unknown or not understood, or if ``language`` is not among ``candidates``.
    """
    wanted = parse(language, checkpoint)
    allowed = parse_candidates(candidates, checkpoint)
    if wanted and allowed and wanted not in allowed:
        raise ApiError(
            ErrorCode.INVALID_VALUE,
            _("language {wanted!r} is none of languages.").format(wanted=wanted),
            param="languages",
        )
    if len(allowed) == 1:
        return allowed[0], ()
    return wanted, () if wanted else allowed


def _code(text: str, param: str) -> str:
    wanted = text.strip().lower()
    primary = wanted.replace("_", "-").split("-")[0]
    code = _CODES.get(wanted) or _CODES.get(primary, primary)
    if code not in _LANGUAGE_CODES:
        message = _("{text!r} is not a language code; use ISO 639-1, for example 'ms' or 'en'.").format(text=text)
        raise ApiError(ErrorCode.INVALID_VALUE, message, param=param)
    return code


def _not_understood(codes: Sequence[str], checkpoint: Checkpoint, param: str) -> ApiError:
    message = _(
        "The model {name!r} understands {known} only, not {wanted}. "
        "The operator can set VOICE_ASR_MODEL to a multilingual Whisper checkpoint."
    ).format(name=checkpoint.name, known=", ".join(checkpoint.languages), wanted=", ".join(codes))
    return ApiError(ErrorCode.INVALID_VALUE, message, param=param)
