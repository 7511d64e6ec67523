"""The playground at ``/``, where visitors try speech recognition, speech synthesis and a spoken conversation."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.http import require_safe

from gateway.catalogue import ModelCard, Task, notices, offered
from model_store.catalogue import catalogue

_LANGUAGES = {
    "ms": gettext_noop("Malay"),
    "en": gettext_noop("English"),
    "zh": gettext_noop("Mandarin"),
    "ta": gettext_noop("Tamil"),
}
gettext_noop("the small bundled Whisper")  # marks a model's name in model_store/catalogue.toml for translation
# ``blob:`` allows the audio worklet for the microphone, whose code is a string in voice.js, and the playback of files
# that a visitor chooses.
_POLICY = (
    "default-src 'self'; script-src 'self' blob:; media-src 'self' blob:; base-uri 'none'; object-src 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


@require_safe
async def page(request: HttpRequest) -> HttpResponse:
    model = offered(Task.TRANSCRIPTION)[0]
    languages = [(code, _(_LANGUAGES[code]) if code in _LANGUAGES else code) for code in model.languages]
    if len(languages) != 1:
        languages.insert(0, ("", _("Detect it")))
    shown = {
        "notices": notices(),
        "languages": languages,
        "recogniser": _name(model),
        "voice": _name(offered(Task.SPEECH)[0]),
        "tongues": settings.LANGUAGES,
        "page_words": _script_words(),
    }
    response = render(request, "playground.html", shown)
    response["Content-Security-Policy"] = _POLICY
    response["Permissions-Policy"] = "microphone=(self)"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "no-cache"
    return response


def _name(card: ModelCard) -> str:
    """Return the translated display name of a model, or its id if the catalogue does not list the model."""
    known = catalogue().find(card.id)
    return _(known.name) if known is not None else card.id


def _script_words() -> dict[str, str]:
    """Return the translated texts that ``static/playground/page.js`` shows, by their key in the script."""
    return {
        "copied": _("Copied"),
        "press_ctrl_c": _("Press Ctrl+C"),
        "speak": _("Speak"),
        "stop": _("Stop"),
        "connecting": _("Connecting …"),
        "finishing": _("Finishing …"),
        "not_connected": _("Not connected"),
        "listening": _("Listening. Press again to stop."),
        "hearing": _("Hearing you …"),
        "recognising": _("Recognising …"),
        "trying_again": _("{problem} Trying again in {seconds} s …"),
        "latency_first_words": _("first words {time}"),
        "latency_final": _("final {time}"),
        "latency_sound": _("first sound {time}"),
        "latency_noticed": _("your voice noticed {time}"),
        "talk_start": _("Start talking"),
        "talk_stop": _("Stop talking"),
        "talk_connecting": _("Connecting …"),
        "talk_listening": _("Listening"),
        "talk_hearing": _("Hearing you …"),
        "talk_recognising": _("Recognising …"),
        "talk_speaking": _("Answering. Speak to interrupt."),
        "talk_interrupted": _("interrupted"),
        "reply_en": "You said: {question}. Here the answer of your language model is read aloud while it is written. "
        "Try to interrupt me. As soon as you speak, I fall silent and listen to you.",
        "reply_ms": "Anda kata: {question}. Di sini, jawapan model bahasa anda dibacakan sambil ia ditulis. "
        "Cuba mencelah. Sebaik sahaja anda bersuara, saya akan diam dan mendengar.",
        "file_recognising": _("Recognising {name} …"),
        "file_no_speech": _("No speech was found in this recording."),
        "file_facts": _("{words} words · {seconds} s · {language}. Press a word to hear it."),
        "file_word": _("{word}, at {seconds} s"),
        "download_making": _("Making the file …"),
        "said_nothing": _("(nothing)"),
    }
