"""``make messages``: update the translation catalogues, ``locale/*/LC_MESSAGES/django.po``.

New messages in the code and the templates are added with an empty translation, to be filled in. Messages that are no
longer used are removed. The compiled ``.mo`` files are committed, because neither the images nor a fresh clone have
gettext's programs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polib
from django.utils.translation.template import templatize

from core.error_codes import Fault
from tts.voices import NAME_PART, read_voices

ROOT = Path(__file__).resolve().parent.parent
CODE = ("asr", "capacity", "core", "dashboard", "gateway", "model_store", "rollout", "tts", "usage", "voiceproject")
TEMPLATES = ("playground.html", "dashboard")  # the admin's pages are in English only
# The index of the argument that is the message, by function. Messages of the last three are translated when shown.
MARKS = {"_": 0, "gettext": 0, "gettext_noop": 0, "invalid": 0, "UnusableAudio": 1, "MetricTargets": 1}
# Messages in modules that do not import Django, so they cannot be marked there.
ELSEWHERE = tuple(fault.value for fault in Fault)
# Files with voices' names, which are translated part by part. The number is how many leading parts are skipped because
# they are personal names.
VOICES = {"tts/espeak_voices.toml": 0, "tts/kokoro_voices.toml": 1}
# Messages of Django REST framework that API callers can see. The framework has no Malay translation.
BORROWED = (
    "This field is required.",
    "This field may not be null.",
    "This field may not be blank.",
    "Not a valid string.",
    "Must be a valid boolean.",
    "A valid integer is required.",
    "A valid number is required.",
    "No file was submitted.",
    "The submitted data was not a file. Check the encoding type on the form.",
    '"{input}" is not a valid choice.',
    "This value does not match the required pattern.",
    "Ensure this value is less than or equal to {max_value}.",
    "Ensure this value is greater than or equal to {min_value}.",
    "Ensure this field has no more than {max_length} characters.",
    "Ensure this field has no more than {max_length} elements.",
    'Expected a dictionary of items but got type "{input_type}".',
    'Expected a list of items but got type "{input_type}".',
    "Invalid data. Expected a dictionary, but got {datatype}.",
    "Value must be valid JSON.",
    'Method "{method}" not allowed.',
    'Unsupported media type "{media_type}" in request.',
    "Malformed request.",
)
_STRING = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_TEXT = re.compile(_STRING)
_CALL = re.compile(rf"\b(gettext|ngettext|pgettext|_)\(\s*({_STRING}(?:\s*,\s*{_STRING})*)")


@dataclass(frozen=True)
class Message:
    """A message to translate.

    ``text``: the message in English.
    ``context``: distinguishes messages with the same text (``pgettext``); None for no context.
    ``plural``: the plural form of the message; "" if there is none.
    """

    text: str
    context: str | None = None
    plural: str = ""

    @classmethod
    def of(cls, function: str, texts: Sequence[object]) -> Message | None:
        """Return the message in a function call; None if there is no message, or if it is not a literal.

        ``function``: the name of the function.
        ``texts``: the arguments of the call; None in place of each argument that is not a literal.
        """
        function = function.removesuffix("_lazy")
        if function == "pgettext":
            context, text = texts[:2]
            return cls(str(text), str(context))
        if function == "ngettext":
            return cls(str(texts[0]), plural=str(texts[1]))
        place = MARKS.get(function, len(texts))
        text = texts[place] if place < len(texts) else None
        return cls(text) if isinstance(text, str) else None


def said() -> set[Message]:
    """Return all messages in the code and the templates."""
    names = [(voice.name, skipped) for path, skipped in VOICES.items() for voice in read_voices(ROOT / path)]
    of_voices = {part for name, skipped in names for part in NAME_PART.findall(name)[skipped:]}
    found = {Message(text) for text in (*BORROWED, *ELSEWHERE, *of_voices)}
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found |= set(_in_code(ast.parse(path.read_text("utf-8"))))
    for name in TEMPLATES:
        place = ROOT / "templates" / name
        for path in sorted(place.rglob("*.html")) if place.is_dir() else [place]:
            found |= set(_in_template(path.read_text("utf-8"), str(path)))
    return found


def _in_code(tree: ast.AST) -> Iterator[Message]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            texts = [one.value if isinstance(one, ast.Constant) else None for one in call.args]
            if message := Message.of(call.func.id, texts):
                yield message


def _in_template(source: str, origin: str) -> Iterator[Message]:
    """Yield the messages of a template.

    Django's ``templatize`` turns the messages into gettext calls and blanks out everything else.
    """
    for function, arguments in _CALL.findall(templatize(source, origin=origin)):
        if message := Message.of(function, [ast.literal_eval(text) for text in _TEXT.findall(arguments)]):
            yield message


def catalogues() -> list[Path]:
    return sorted(ROOT.glob("locale/*/LC_MESSAGES/django.po"))


def problems() -> list[str]:
    """Return a line for each problem in the catalogues, and for each error message that is not marked in the code."""
    return [*unmarked(), *(problem for path in catalogues() for problem in _problems(path))]


def unmarked() -> Iterator[str]:
    """Yield a line for each error message in the code that is not marked for translation."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != "ApiError":
                    continue
                if len(call.args) > 1 and isinstance(call.args[1], ast.Constant | ast.JoinedStr):
                    yield f"{path.relative_to(ROOT)}:{call.lineno}: not marked for translation"


def _problems(path: Path) -> Iterator[str]:
    catalogue = polib.pofile(str(path))
    messages = said()
    known = {_message(entry): entry for entry in catalogue}
    place = path.relative_to(ROOT)
    yield from (f"{place}: missing: {message.text!r}" for message in messages - known.keys())
    yield from (f"{place}: not used: {message.text!r}" for message in known.keys() - messages)
    for message, entry in known.items():
        translations = list(entry.msgstr_plural.values()) or [entry.msgstr]
        if entry.fuzzy or not all(translations):
            yield f"{place}: not translated: {message.text!r}"
        elif any(_filled_in(text) != _filled_in(message.plural or message.text) for text in translations):
            yield f"{place}: other fields than {message.text!r}"
    if path.with_suffix(".mo").read_bytes() != catalogue.to_binary():
        yield f"{place}: not compiled since it was changed"


def _message(entry: polib.POEntry) -> Message:
    return Message(entry.msgid, entry.msgctxt, entry.msgid_plural)


def _filled_in(text: str) -> list[str]:
    return sorted(re.findall(r"%\(\w+\)[sd]|\{\w*[^}]*\}", text))


def update() -> None:
    """Bring all catalogues up to date with the messages in the code, and compile them."""
    for path in catalogues():
        catalogue = polib.pofile(str(path), wrapwidth=110)
        kept = {_message(entry): entry for entry in catalogue if not entry.obsolete}
        catalogue.clear()
        for message in sorted(said(), key=lambda message: (message.text.lower(), message.text, message.context or "")):
            catalogue.append(kept.get(message) or _untranslated(message))
        catalogue.save(str(path))
        catalogue.save_as_mofile(str(path.with_suffix(".mo")))


def _untranslated(message: Message) -> polib.POEntry:
    plural = {"msgid_plural": message.plural, "msgstr_plural": {0: ""}} if message.plural else {}
    return polib.POEntry(msgid=message.text, msgctxt=message.context, **plural)


if __name__ == "__main__":
    update()
    sys.exit("\n".join(problems()) or None)
