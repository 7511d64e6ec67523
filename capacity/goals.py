"""How soon the service has to answer: the one place where these numbers stand."""

from __future__ import annotations

# Seconds that 95 % of the answers have to be below.
ASR_P95_S = 2.0
TTS_P95_S = 3.0
