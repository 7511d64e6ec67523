"""Describe a Coqui model without loading it, load it, and speak batches of sentences with it.

- ``torch`` and Coqui are imported only when a model loads, because the base installation has neither.
- Threads: only one thread at a time uses a ``CoquiModel``, because its batcher has a single worker.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inference import processor
from inference.errors import EngineUnavailable
from tts.voices import DEFAULT_LANGUAGE, Voice, primary

if TYPE_CHECKING:
    from TTS.api import TTS
    from TTS.tts.models.base_tts import BaseTTS
    from TTS.tts.models.vits import Vits

logger = logging.getLogger(__name__)

Audio = npt.NDArray[np.float32]

UNKNOWN_LICENSE = "unknown, ask the author"
ABOUT_FILE = "voice.toml"  # optional, next to config.json; keys: name, language, license, commercial_use, gender


@dataclass(frozen=True)
class ModelSource:
    """What is known of a configured Coqui model before it is loaded.

    ``source``: the model's name in Coqui's list, or its folder, as written in the settings.
    ``commercial_use``: whether the licence allows commercial use; None if unknown.
    """

    id: str
    name: str
    source: str
    language: str
    license: str
    commercial_use: bool | None
    gender: str | None = None

    @property
    def folder(self) -> Path | None:
        return _folder(self.source)

    def voice(self, speaker: str | None = None, languages: Sequence[str] = ()) -> Voice:
        """Return the catalogue entry for one speaker of the model.

        ``speaker``: None means the model's only or first speaker.
        ``languages``: the languages of a multilingual model.
        """
        known = [one for one in languages if primary(one) == primary(self.language)]
        return Voice(
            id=f"{self.id}/{speaker}" if speaker else self.id,
            name=f"{self.name}, {speaker}" if speaker else self.name,
            language=self.language if known or not languages else primary(languages[0]),
            languages=tuple(languages),
            model=self.id,
            engine="coqui",
            license=self.license,
            commercial_use=self.commercial_use,
            gender=None if speaker else self.gender,
            parameters={"speaker": speaker} if speaker else {},
        )


def describe(source: str) -> ModelSource:
    """Return what is known of a model without loading it.

    ``source``: the model's name in Coqui's list, or a checkpoint folder (config.json and *.pth).
    """
    folder = _folder(source)
    if folder is not None:
        about = _about(folder)
        return ModelSource(
            id=f"coqui/{folder.name}",
            name=str(about.get("name", folder.name)),
            source=source,
            language=str(about.get("language", DEFAULT_LANGUAGE)),
            license=str(about.get("license", UNKNOWN_LICENSE)),
            commercial_use=about.get("commercial_use"),
            gender=about.get("gender"),
        )
    short = source.removeprefix("tts_models/")
    license_name = _published_license(source)
    return ModelSource(
        id=f"coqui/{short}",
        name=short,
        source=source,
        language=primary(short.split("/")[0]) if short.count("/") == 2 else DEFAULT_LANGUAGE,
        license=license_name or UNKNOWN_LICENSE,
        commercial_use=commercial_use(license_name),
    )


def commercial_use(license_name: str | None) -> bool | None:
    """Return whether a licence allows commercial use, or None if this is not known."""
    name = (license_name or "").lower().replace(" ", "-")
    if "cpml" in name or "-nc" in name:
        return False
    free = ("apache", "mit", "mpl", "bsd", "cc-by-4", "cc-by-sa", "cc0")
    return True if name.startswith(free) else None


class CoquiModel:
    """A loaded Coqui model.

    ``speakers``: names of the speakers; empty if the model has only one.
    ``languages``: language tags as the model spells them; empty if the model has only one language.
    ``sample_rate``: in Hz.
    ``cores``: number of CPU cores that a batch uses; 0 on a GPU.
    """

    def __init__(self, source: ModelSource, tts: TTS, *, cores: int) -> None:
        self.cores = cores
        self._source = source
        self._tts = tts
        self.speakers: list[str] = list(tts.speakers or [])
        self.languages: list[str] = list(tts.languages or [])
        self.sample_rate: int = tts.synthesizer.output_sample_rate

    def voices(self) -> list[Voice]:
        """Return the model's default voice, followed by a voice for every speaker if there are several."""
        first = self._source.voice(languages=self.languages)
        if not self.speakers:
            return [first]
        named = [self._source.voice(speaker, self.languages) for speaker in self.speakers]
        return [replace(first, parameters=named[0].parameters), *named]

    def speak(self, texts: Sequence[str], speaker: str | None, language: str) -> list[Audio | Exception]:
        """Speak a batch of sentences with one speaker.

        Return one item for each sentence: its audio (float32 mono at ``sample_rate``, shape (n,)), or the error. The
        audio is empty if none of the sentence's characters is in the model's alphabet.
        """
        tag = next((one for one in self.languages if primary(one) == primary(language)), None)
        if self.languages and tag is None:
            tag = self.languages[0]
        sayable = [text for text in texts if _can_say(self._tts.synthesizer.tts_model, text, tag)]
        spoken = iter(self._speak(sayable, speaker, tag))
        return [next(spoken) if text in sayable else np.zeros(0, np.float32) for text in texts]

    def _speak(self, texts: Sequence[str], speaker: str | None, language: str | None) -> list[Audio | Exception]:
        import torch
        from TTS.tts.models.vits import Vits

        model = self._tts.synthesizer.tts_model
        if isinstance(model, Vits) and len(texts) > 1:
            try:
                with torch.inference_mode():
                    return list(_speak_vits(model, texts, speaker, language))
            except Exception as error:  # noqa: BLE001  # one bad sentence must not fail the others
                logger.warning(
                    "batch of %d sentences failed (%s): speaking them singly", len(texts), type(error).__name__
                )
        return [self._speak_one(text, speaker, language) for text in texts]

    def _speak_one(self, text: str, speaker: str | None, language: str | None) -> Audio | Exception:
        try:
            spoken = self._tts.tts(text, speaker=speaker, language=language, split_sentences=False)
            return np.asarray(spoken, np.float32)
        except Exception as error:  # noqa: BLE001  # a model may fail in any way
            # The sentence itself is private, so it is not logged.
            logger.error("%s failed on a sentence: %s", self._source.id, type(error).__name__)
            return EngineUnavailable(f"{self._source.id} could not speak a sentence ({type(error).__name__}).")


def load(source: ModelSource, device: str = "auto", threads: int = 0) -> CoquiModel:
    """Load a model and return it.

    ``device``: "auto", "cpu" or "cuda".
    ``threads``: number of CPU threads; 0 means the number of cores minus one, but at least one.

    Raise ``EngineUnavailable`` if Coqui is not installed or the model does not load.
    """
    try:
        import torch
        from TTS.api import TTS
    except ImportError as error:
        raise EngineUnavailable(
            f"{source.id} needs Coqui, which does not start: pip install -r requirements-coqui.txt ({error})"
        ) from error
    logging.getLogger("TTS").setLevel(logging.ERROR)  # at lower levels, Coqui logs the text that it speaks
    # Torch's threads spin while they wait for each other. With one thread per core and a busy event loop, a sentence
    # took 25 times as long in a measurement.
    torch.set_num_threads(threads or max(1, processor.cores() - 1))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        tts = TTS(**_arguments(source), progress_bar=False).to(device)
    except Exception as error:
        raise EngineUnavailable(f"{source.id} does not load: {error}") from error
    return CoquiModel(source, tts, cores=torch.get_num_threads() if device == "cpu" else 0)


def _arguments(source: ModelSource) -> dict[str, str]:
    folder = source.folder
    if folder is None:
        return {"model_name": source.source}
    checkpoint = folder / "best_model.pth"
    if (folder / "vocab.json").exists():  # XTTS and similar models read the whole folder
        checkpoint = folder
    elif not checkpoint.exists():
        found = [path for path in folder.glob("*.pth") if not path.name.startswith("speakers")]
        if not found:
            raise FileNotFoundError(f"no *.pth in {folder}")
        checkpoint = max(found, key=lambda path: path.stat().st_mtime)
    arguments = {"model_path": str(checkpoint), "config_path": str(folder / "config.json")}
    speakers = next((str(path) for path in folder.glob("speakers.*") if path.suffix in {".pth", ".json"}), None)
    return {**arguments, "speakers_file_path": speakers} if speakers else arguments


def _speak_vits(model: Vits, texts: Sequence[str], speaker: str | None, language: str | None) -> list[Audio]:
    """Speak a batch of sentences with a VITS model in one forward pass. Coqui's public API has no function for this.

    All inputs are padded to the longest. Each output is cut to the length of its sentence.
    """
    import torch

    tokens = [torch.as_tensor(model.tokenizer.text_to_ids(text, language=_only(model, language))) for text in texts]
    lengths = torch.tensor([len(one) for one in tokens], device=model.device)
    padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True).long().to(model.device)

    speaker_id, d_vector = model._get_speaker_id_or_dvector(speaker)
    language_id = model._get_language_id(language)
    count = len(texts)
    outputs = model.inference(
        padded,
        aux_input={
            "x_lengths": lengths,
            "speaker_ids": None if speaker_id is None else speaker_id.expand(count),
            "d_vectors": None if d_vector is None else d_vector.expand(count, -1),
            "language_ids": None if language_id is None else torch.full((count,), language_id, device=model.device),
        },
    )
    waves = outputs["model_outputs"][:, 0].float().cpu().numpy()
    frames = outputs["y_mask"].sum(dim=(1, 2))
    hop = waves.shape[1] // outputs["y_mask"].shape[2]
    return [wave[: int(count) * hop] for wave, count in zip(waves, frames, strict=True)]


def _can_say(model: BaseTTS, text: str, language: str | None) -> bool:
    from TTS.tts.utils.text.tokenizer import TTSTokenizer

    tokenizer = model.tokenizer
    if not isinstance(tokenizer, TTSTokenizer):  # XTTS and similar models take any character
        return True
    characters = map(tokenizer.characters.id_to_char, tokenizer.text_to_ids(text, language=_only(model, language)))
    return any(len(character) == 1 and character.isalnum() for character in characters)


def _only(model: BaseTTS, language: str | None) -> str | None:
    """Return the language for the tokenizer: ``language``, else the model's first language, else None."""
    return language or next(iter(model.language_manager.language_names), None)


def _folder(source: str) -> Path | None:
    path = Path(source).expanduser()
    return path if path.is_dir() else None


def _about(folder: Path) -> Mapping[str, Any]:
    path = folder / ABOUT_FILE
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _published_license(name: str) -> str | None:
    """Return the published licence of a model in Coqui's list, without importing Coqui; None if it is not known."""
    if "/fairseq/" in name:  # Meta's MMS models
        return "CC-BY-NC-4.0"
    package = importlib.util.find_spec("TTS")
    places = list(package.submodule_search_locations or []) if package else []
    parts = name.split("/")
    if not places or len(parts) != 4:
        return None
    models = json.loads((Path(places[0]) / ".models.json").read_text(encoding="utf-8"))
    kind, language, dataset, model = parts
    found: str | None = models.get(kind, {}).get(language, {}).get(dataset, {}).get(model, {}).get("license")
    return found
