"""Whisper on a CPU with AVX-512 VNNI.

``libnative.so`` (from ``audio_encoder.c`` and ``text_decoder.c``) has the computations. The modules here decide what is
computed:

- ``build`` compiles the library, and ``library`` finds it.
- ``weights`` reads a checkpoint in CTranslate2's format, and ``layers`` arranges its weights.
- ``audio_encoder`` and ``text_decoder`` call the library.
- ``search`` finds the likeliest text of a unit (speech segment), and ``alignment`` the times of its tokens.
- ``session`` decodes many units together.
- ``model`` puts all of this together.
"""
