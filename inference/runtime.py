"""A registry of the engines of this process. They are created on first use, loaded at start-up and closed at shutdown.

Each app registers a factory for its engines in ``AppConfig.ready``. The factory is called when the engine is first
used, so slow imports happen only then. If ``VOICE_INFERENCE_URL`` is set, an API process loads no models. Its engines
then send their work to the inference tier, which is the group of servers that run the models (``inference.remote``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings

from inference import gpu
from inference.engine import Engine, EngineStats
from inference.gpu import GpuReading
from inference.wire import Codec

# Each engine has its own type of unit. The app that registers an engine knows the type, and casts to it.
AnyEngine = Engine[Any, Any]
AnyCodec = Codec[Any, Any]
BatchObserver = Callable[[str, int, float], None]

logger = logging.getLogger(__name__)

_factories: dict[str, Callable[[], AnyEngine]] = {}
_codecs: dict[str, AnyCodec] = {}
_warm_ups: dict[str, Callable[[], None]] = {}
_engines: dict[str, AnyEngine] = {}
_observers: list[BatchObserver] = []
_has_fallback: set[str] = set()
_replaced_by_fallback: set[str] = set()


def register(
    name: str,
    factory: Callable[[], AnyEngine],
    codec: AnyCodec,
    *,
    has_fallback: bool = False,
    warm_up: Callable[[], None] = lambda: None,
) -> None:
    """Register an engine under ``name``.

    ``factory``: function that creates the engine.
    ``codec``: packs and unpacks the engine's units and results for the inference tier.
    ``has_fallback``: whether another engine takes over if this engine fails to load.
    ``warm_up``: function that does slow preparations in this process, so that the first request need not wait for
    them. It runs in a thread while the engine is being loaded, even if the engine runs in the inference tier.
    """
    _factories[name] = factory
    _codecs[name] = codec
    _warm_ups[name] = warm_up
    (_has_fallback.add if has_fallback else _has_fallback.discard)(name)


def engine(name: str) -> AnyEngine:
    """Return the engine ``name``, which may not be loaded yet. Raise ``KeyError`` for an unknown name."""
    if name not in _engines:
        _engines[name] = _remote(name) if settings.VOICE_INFERENCE_URL else _factories[name]()
    return _engines[name]


def local(name: str) -> AnyEngine:
    """Return the engine ``name`` with its model in this process, even if ``VOICE_INFERENCE_URL`` is set.

    The servers of the inference tier use this function.
    """
    if name not in _engines:
        _engines[name] = _factories[name]()
    return _engines[name]


def codec(name: str) -> AnyCodec:
    return _codecs[name]


def _remote(name: str) -> AnyEngine:
    from inference.remote import RemoteEngine, shared_tier  # slow to import, because it loads an HTTP client

    return RemoteEngine(name, _codecs[name], shared_tier())


def growth(name: str) -> float:
    """Return the engine's maximum number of replicas in the inference tier, divided by the present number.

    Return 1 if there is no inference tier.
    """
    if not settings.VOICE_INFERENCE_URL:
        return 1.0
    from inference.remote import shared_tier

    return shared_tier().growth(name)


def gpus() -> list[GpuReading]:
    """Return the readings of this machine's GPUs and, if there is an inference tier, of the tier's GPUs."""
    if not settings.VOICE_INFERENCE_URL:
        return gpu.read()
    from inference.remote import shared_tier

    return [*gpu.read(), *shared_tier().gpus()]


def fall_back(name: str) -> bool:
    """Record that the engine ``name`` failed to load. Return True if another engine does its work until it loads."""
    if name in _has_fallback:
        _replaced_by_fallback.add(name)
    return name in _has_fallback


def uses_fallback(name: str) -> bool:
    """Return True if the engine ``name`` failed to load and another engine does its work."""
    return name in _replaced_by_fallback


def replaced() -> list[str]:
    """Return the names of the engines that failed to load and have been replaced by their fallback."""
    return sorted(_replaced_by_fallback)


def names() -> list[str]:
    return sorted(_factories)


async def load(name: str) -> None:
    """Load the engine ``name``, and run its warm-up function at the same time.

    Raise the engine's error if it cannot be loaded. If only the warm-up fails, log the error.
    """
    warm_up = asyncio.create_task(asyncio.to_thread(_warm_ups.get(name, lambda: None)))
    try:
        await engine(name).load()
        _replaced_by_fallback.discard(name)  # an earlier attempt may have failed, for example before the tier started
    finally:
        [failure] = await asyncio.gather(warm_up, return_exceptions=True)
    if failure is not None:  # only a warning, because the first request will fail in the same way
        logger.warning("cannot warm up for an engine", exc_info=failure, extra={"engine": name})


async def load_all(progress: Callable[[str], None] = lambda name: None) -> None:
    """Load all registered engines. Call ``progress`` with the name of each engine when it is ready."""

    async def one(name: str) -> None:
        await load(name)
        progress(name)

    await asyncio.gather(*(one(name) for name in names()))


async def close_all() -> None:
    """Close all engines of this process. The next use of an engine creates it again."""
    await asyncio.gather(*(running.close() for running in _engines.values()))
    _engines.clear()
    _replaced_by_fallback.clear()


def status() -> dict[str, EngineStats]:
    """Return the state of each engine that has been created, by name."""
    return {name: running.stats() for name, running in sorted(_engines.items())}


def observe_batches(observer: BatchObserver) -> None:
    """Register a function to be called after each batch with the engine's name, the batch's size and its seconds.

    It is called in the thread that has run the batch.
    """
    _observers.append(observer)


def batch_observer(name: str) -> Callable[[int, float], None]:
    """Return an ``on_batch`` callback for an engine's ``Batcher``. The callback calls all registered observers."""

    def tell(size: int, seconds: float) -> None:
        for observer in _observers:
            observer(name, size, seconds)

    return tell
