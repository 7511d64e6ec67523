"""Change tempo without changing pitch, and resample, in one pass through FFmpeg's filters."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

Audio = npt.NDArray[np.float32]

_ATEMPO_MIN = 0.5  # lowest factor of one ``atempo`` filter; for slower speech several are chained
_ATEMPO_MAX = 2.0  # with a higher factor, ``atempo`` skips samples instead of blending them
_NEGLIGIBLE = 0.02  # smaller changes of tempo are inaudible and are not made


def retime(audio: Audio, sample_rate: int, *, tempo: float, to_rate: int) -> Audio:
    """Change the tempo of audio and resample it. Return float32 mono at ``to_rate``, shape (m,).

    ``audio``: float32 mono, shape (n,).
    ``tempo``: factor; 2 halves the duration.
    ``to_rate``: sample rate of the result in Hz.
    """
    tempos = _steps(tempo)
    if not len(audio) or (not tempos and sample_rate == to_rate):
        return audio
    graph = Graph()
    time_base = Fraction(1, sample_rate)
    nodes = [graph.add_abuffer(format="flt", sample_rate=sample_rate, layout="mono", time_base=time_base)]
    nodes += [graph.add("atempo", f"{step:.6f}") for step in tempos]
    nodes += [graph.add("aresample", str(to_rate)), graph.add("abuffersink")]
    graph.link_nodes(*nodes).configure()

    frame = av.AudioFrame.from_ndarray(audio.astype(np.float32, copy=False).reshape(1, -1), format="flt", layout="mono")
    frame.sample_rate = sample_rate
    frame.time_base = time_base
    frame.pts = 0
    graph.push(frame)
    graph.push(None)
    return np.concatenate([np.zeros(0, np.float32), *_drain(graph)])


def _steps(tempo: float) -> list[float]:
    if abs(tempo - 1) < _NEGLIGIBLE:
        return []
    steps = []
    while tempo < _ATEMPO_MIN:
        steps.append(_ATEMPO_MIN)
        tempo /= _ATEMPO_MIN
    while tempo > _ATEMPO_MAX:
        steps.append(_ATEMPO_MAX)
        tempo /= _ATEMPO_MAX
    return [*steps, tempo]


def _drain(graph: Graph) -> list[Audio]:
    parts: list[Audio] = []
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return parts
        parts.append(frame.to_ndarray().reshape(-1).astype(np.float32, copy=False))
