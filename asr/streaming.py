"""Recognise live speech: receive audio while it is spoken, and emit the text as events. Every live protocol uses this.

A session has these states:

    LISTENING --speech starts (or, without turn detection, any audio)--> SPEAKING
    SPEAKING --silence, commit--> LISTENING          the utterance's final result follows later
    SPEAKING --clear--> LISTENING                    the utterance is discarded
    any --finish--> FINISHED                         the outstanding final results follow
    any --abort--> FINISHED                          no events follow

An utterance is cut into segments in the same way as a recording (``asr.segmenting``). Each segment is recognised as
soon as it is complete, so most words are known when the speaker stops. The final result consists of these words, after
the same check as for a file (``asr.hallucinations``).

A partial result shows the words of the complete segments and those of the open segment, which is decoded greedily. Only
one partial result is recognised at a time, and at most one for every 400 ms of new audio (200 ms before the first
word). Final results and files have priority. If a partial result would have to wait, it is started only if the last one
was more than two seconds ago; while the engine is busy (``asr.batching.should_spare``), only if the last one was more
than eight seconds ago. Such a partial result has the priority of a final result.

Threads: everything runs on one event loop, except voice activity detection on many frames, which runs in the CPU pool.
A lock admits one call of ``append``, ``commit``, ``clear`` or ``finish`` at a time. ``emit`` is called on the event
loop and must not block.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections import deque
from collections.abc import Callable
from enum import StrEnum

import numpy as np

from asr.checkpoint import Checkpoint
from asr.endpointing import FRAME, FRAME_MS, MIN_SPEECH_MS, Endpointer, FrameVad, Turn, TurnDetection
from asr.language_choice import Evidence
from asr.recognition import Recogniser
from asr.segmenting import FRAMES_AFTER, SoundStarts
from asr.streaming_events import Committed, Event, Failed, Final, Partial, SpeechStarted, SpeechStopped
from asr.units import SAMPLE_RATE, Options, Samples
from asr.utterance import Utterance
from asr.voice_activity import SPEECH
from inference.pool import in_pool

FRAMES_AT_ONCE = 2  # voice activity detection examines multiples of this many frames
MAX_FRAMES_HERE = 24  # maximum to examine on the event loop, which takes 0.25 ms; more frames go to another thread
MAX_UTTERANCES_PENDING = 4  # while more final results are outstanding, ``append`` waits and slows down the client
MIN_COMMIT_MS = 100  # minimum length of an utterance to commit, as in OpenAI's API


class State(StrEnum):
    """The state of a streaming session; the module's docstring lists the transitions."""

    LISTENING = "listening"
    SPEAKING = "speaking"
    FINISHED = "finished"


class WrongState(Exception):
    """Raised when a method may not be called in the session's state. The message names the call and the state."""


class NothingToCommit(Exception):
    """Raised by ``commit`` if no utterance is open, or if the open one has less than ``MIN_COMMIT_MS`` of audio."""


class StreamingSession:
    """The live recognition of one audio stream.

    ``emit``: called with each event.
    ``options``: recognition options for the utterances that follow.
    ``detection``: settings of turn detection. If it is None, an utterance ends only at ``commit`` or ``finish``.
    ``partials``: whether to emit partial results.
    """

    def __init__(
        self,
        engine: Recogniser,
        checkpoint: Checkpoint,
        emit: Callable[[Event], None],
        *,
        options: Options,
        detection: TurnDetection | None,
        partials: bool = True,
    ) -> None:
        self.options = options
        self.partials = partials
        self.queued_ms = 0.0  # total time that the segments waited for their batches
        self.language = options.language or ""
        self.state = State.LISTENING
        self._number = 1 + secrets.randbelow(2**62)  # unique among the streams of all processes
        self._engine = engine
        self._checkpoint = checkpoint
        self._emit = emit
        self._turn = asyncio.Lock()
        self._vad = FrameVad()
        self._sound_starts = SoundStarts()
        self._waiting: list[Samples] = []  # audio that does not yet fill ``FRAMES_AT_ONCE``
        self._taken = 0  # number of samples received
        self._position = 0  # number of these samples that voice activity detection has examined
        self._utterance: Utterance | None = None
        self._concluding: deque[asyncio.Task[None]] = deque()
        self._count = 0
        self._languages: list[Evidence] = []  # evidence from the segments so far
        self._last_text = ""  # text of the last segment
        self._free_from = 0  # first sample that neither belongs to an earlier utterance nor was discarded
        self._sound_from = 0  # the sample at which sound last began after digital silence
        self._counted_to = 0  # end of the audio counted so far; the next utterance may begin earlier, with silence
        self.detect(detection)

    @property
    def audio_ms(self) -> float:
        """The milliseconds of audio received so far."""
        return 1000 * self._taken / SAMPLE_RATE

    @property
    def seconds_kept(self) -> float:
        """The seconds of audio that this session holds in memory, without the audio that the engine holds."""
        kept = len(self._before) * FRAME + sum(map(len, self._waiting))
        return kept / SAMPLE_RATE + (self._utterance.segmenter.seconds_kept if self._utterance else 0.0)

    @property
    def is_working(self) -> bool:
        """Whether final results are outstanding."""
        return bool(self._concluding)

    def detect(self, detection: TurnDetection | None) -> None:
        """Change the turn detection; None turns it off. An open utterance continues under the new settings."""
        self._endpointer = Endpointer(detection) if detection else None
        self._endpointer_from = self._position
        # Keep the latest frames. A start of speech is certain only after some time, and the utterance begins before it.
        certain_ms = MIN_SPEECH_MS + SPEECH.min_silence_duration_ms + 2 * FRAME_MS
        before_ms = detection.prefix_padding_ms + certain_ms if detection else 0
        self._before: deque[tuple[Samples, float]] = deque(maxlen=int(before_ms / FRAME_MS) + 1)

    async def append(self, samples: Samples) -> None:
        """Process the next audio. Wait while too many final results are outstanding.

        ``samples``: float32 (n,) at 16 kHz.

        Raise ``WrongState`` if the session is finished.
        """
        async with self._turn:
            self._expect("audio", State.LISTENING, State.SPEAKING)
            begin = 0
            for place in self._sound_starts.find(samples):
                self._waiting.append(samples[begin:place])
                self._taken += place - begin
                await self._examine_whole_frames()
                self._begin_afresh()
                begin = place
            self._waiting.append(samples[begin:])
            self._taken += len(samples) - begin
            ready = sum(map(len, self._waiting)) // (FRAMES_AT_ONCE * FRAME) * FRAMES_AT_ONCE
            if ready:
                await self._examine(ready)
            while len(self._concluding) > MAX_UTTERANCES_PENDING:
                await asyncio.shield(self._concluding[0])

    async def commit(self) -> None:
        """End the open utterance now.

        Raise ``NothingToCommit`` if no utterance is open or it is too short, and ``WrongState`` if the session is
        finished.
        """
        async with self._turn:
            self._expect("commit", State.LISTENING, State.SPEAKING)
            await self._examine_whole_frames()
            utterance = self._utterance
            if utterance is None or utterance.audio_ms + FRAME_MS < MIN_COMMIT_MS:
                raise NothingToCommit
            self._end_in_silence(utterance)
            self._conclude(utterance)
            self._free_from = self._taken

    async def clear(self) -> None:
        """Discard the open utterance and all audio before this call.

        Raise ``WrongState`` if the session is finished.
        """
        async with self._turn:
            self._expect("clear", State.LISTENING, State.SPEAKING)
            await self._examine_whole_frames()
            if self._utterance is not None:
                self._utterance.abandon()
                self._close_utterance()
            self._free_from = self._taken

    async def finish(self) -> None:
        """End the open utterance and the session, and wait for all final results."""
        async with self._turn:
            if self.state is not State.FINISHED:
                await self._examine_whole_frames()
                if self._utterance is not None or self._endpointer is not None:
                    await self._examine_end()
                if self._utterance is not None:
                    if self._endpointer is not None:
                        self._emit(SpeechStopped(self._utterance.number, self._ms(self._taken)))
                    self._conclude(self._utterance)
                self.state = State.FINISHED
            while self._concluding:
                await asyncio.shield(self._concluding[0])

    async def abort(self) -> None:
        """End the session at once, without further events, because the client has gone."""
        self.state = State.FINISHED
        if self._utterance is not None:
            self._utterance.abandon()
            self._utterance = None
        tasks = list(self._concluding)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._concluding.clear()

    def _expect(self, what: str, *states: State) -> None:
        if self.state not in states:
            raise WrongState(f"{what} makes no sense: the stream is {self.state}")

    # --- audio --------------------------------------------------------------------------------------------------------
    async def _examine(self, count: int, *, wants_partial: bool = True) -> None:
        """Run voice activity detection on the first ``count`` frames of the waiting audio, and process the results."""
        audio = np.concatenate(self._waiting)
        frames = audio[: count * FRAME].reshape(-1, FRAME)
        rest = audio[count * FRAME :]
        self._waiting = [rest] if len(rest) else []
        # Examining a few frames here takes less time than handing them to another thread.
        network = self._vad.probabilities
        probabilities = network(frames) if count <= MAX_FRAMES_HERE else await in_pool(network, frames)
        if self.state is State.FINISHED:  # the session was aborted meanwhile
            return
        for frame, probability in zip(frames, probabilities.tolist(), strict=True):
            self._take(frame, probability)
        if self._utterance is not None and self.partials and wants_partial:
            self._utterance.start_partial()

    async def _examine_whole_frames(self) -> None:
        """Run voice activity detection on all complete frames of the waiting audio.

        An incomplete frame is kept until more audio arrives, so that positions in the stream stay correct.
        """
        if count := sum(map(len, self._waiting)) // FRAME:
            await self._examine(count)

    def _begin_afresh(self) -> None:
        """Skip the incomplete frame of digital silence before sound begins, and restart voice activity detection."""
        self._waiting = []
        self._endpointer_from += self._taken - self._position
        self._position = self._taken
        self._vad = FrameVad()
        self._before.clear()
        self._sound_from = self._taken
        if self._utterance is not None:
            self._utterance.begin_afresh(self._taken)

    async def _examine_end(self) -> None:
        """Run voice activity detection on the incomplete frame at the end of the audio, and on silence after it."""
        rest = self._rest_and_silence()
        self._waiting = [rest]
        await self._examine(len(rest) // FRAME, wants_partial=False)

    def _end_in_silence(self, utterance: Utterance) -> None:
        """Feed the incomplete frame and some silence to the utterance, as at the end of a recording.

        The stream goes on after the utterance, so its position and the state of voice activity detection do not change.
        """
        frames = self._rest_and_silence().reshape(-1, FRAME)
        probabilities = copy.copy(self._vad).probabilities(frames)
        for frame, probability in zip(frames, probabilities.tolist(), strict=True):
            utterance.feed(frame, probability)

    def _rest_and_silence(self) -> Samples:
        """Return the incomplete frame, filled up with silence and followed by ``FRAMES_AFTER`` frames of silence."""
        missing = -sum(map(len, self._waiting)) % FRAME
        return np.concatenate([*self._waiting, np.zeros(missing + FRAMES_AFTER * FRAME, np.float32)])

    def _take(self, frame: Samples, probability: float) -> None:
        self._position += FRAME
        if self._utterance is None and self._endpointer is None:
            self._open_utterance(self._position - FRAME)
        self._before.append((frame, probability))
        if self._utterance is not None:
            self._utterance.feed(frame, probability)
        match self._endpointer.feed(probability) if self._endpointer else None:
            case Turn.STARTED if self._utterance is None:
                self._start()
            case Turn.STOPPED if self._utterance is not None:
                self._emit(SpeechStopped(self._utterance.number, self._ms(min(self._position, self._taken))))
                self._conclude(self._utterance)

    def _start(self) -> None:
        """Open an utterance for speech that began some frames ago, and feed these frames to it."""
        assert self._endpointer is not None
        began = self._endpointer_from + self._endpointer.started_at * FRAME
        padding = self._endpointer.detection.prefix_padding_ms * SAMPLE_RATE // 1000
        earliest = self._position - len(self._before) * FRAME
        start = max(began - padding, self._free_from)
        skipped = max(0, start - earliest) // FRAME
        utterance = self._open_utterance(earliest + skipped * FRAME)
        self._emit(SpeechStarted(utterance.number, self._ms(max(start, self._counted_to))))
        for frame, probability in list(self._before)[skipped:]:
            utterance.feed(frame, probability)

    # --- utterances ---------------------------------------------------------------------------------------------------
    def _open_utterance(self, start: int) -> Utterance:
        threshold = self._endpointer.detection.threshold if self._endpointer else 1.0
        self._utterance = Utterance(
            self._count,
            start,
            self._engine,
            self._checkpoint,
            self.options,
            self._emit_partial,
            threshold=threshold,
            stream=self._number,
            not_before=self._free_from,
        )
        if start == self._sound_from:  # the padding before the utterance is digital silence
            self._utterance.begin_afresh(start)
        self._count += 1
        self.state = State.SPEAKING
        return self._utterance

    def _close_utterance(self) -> None:
        self._utterance = None
        self.state = State.LISTENING
        if self._endpointer is not None:
            self._endpointer.reset()

    def _conclude(self, utterance: Utterance) -> None:
        self._close_utterance()
        self._free_from = utterance.complete()
        counted_from = max(utterance.start, self._counted_to)
        self._counted_to = min(self._taken, utterance.end)
        audio_ms = self._ms(self._counted_to) - self._ms(counted_from)
        self._emit(Committed(utterance.number))
        before = self._concluding[-1] if self._concluding else None
        self._concluding.append(asyncio.create_task(self._emit_final(utterance, before, self._taken, audio_ms)))

    async def _emit_final(
        self, utterance: Utterance, before: asyncio.Task[None] | None, length: int, audio_ms: int
    ) -> None:
        """Emit the utterance's final result, after the final results of all earlier utterances.

        ``before``: the task that emits the previous utterance's final result, or None.
        ``length``: length of the stream when the utterance ended, in samples.
        ``audio_ms``: length of the utterance's audio in milliseconds.
        """
        try:
            await utterance.recognised()
            if before is not None:
                await asyncio.wait([before])
            result = await utterance.result(self._languages, self._last_text, length)
            self._last_text = result.last_text
            event: Event = Final(
                utterance.number,
                result.text,
                result.words,
                self._ms(result.start),
                self._ms(result.end),
                audio_ms,
                result.language,
                result.tokens,
            )
            self.queued_ms += result.queued_ms
            self.language = self.language or result.language
        except Exception as error:  # noqa: BLE001 - reported; the other utterances go on
            event = Failed(utterance.number, error)
        finally:
            utterance.abandon()
        if before is not None:
            await asyncio.wait([before])
        self._emit(event)
        self._concluding.popleft()

    def _emit_partial(self, utterance: Utterance, text: str, stable: str) -> None:
        self._emit(Partial(utterance.number, text, stable))

    @staticmethod
    def _ms(samples: int) -> int:
        return round(1000 * samples / SAMPLE_RATE)
