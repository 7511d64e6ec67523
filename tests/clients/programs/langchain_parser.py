"""Transcribe a file with LangChain's parser of audio files."""

from __future__ import annotations

import os

import imageio_ffmpeg
from langchain_community.document_loaders.parsers.audio import OpenAIWhisperParser
from langchain_core.documents.base import Blob
from pydub import AudioSegment

URL, KEY, CLIP, SENTENCE = (os.environ[f"CLIENT_{name}"] for name in ("URL", "KEY", "CLIP", "SENTENCE"))

AudioSegment.converter = imageio_ffmpeg.get_ffmpeg_exe()  # encodes the MP3 that the parser sends
parser = OpenAIWhisperParser(api_key=KEY, base_url=f"{URL}/v1", language="ms", response_format="json")
[document] = parser.lazy_parse(Blob.from_path(CLIP))
assert document.page_content == SENTENCE, document
