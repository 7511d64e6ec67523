"""Decode many units (speech segments) together. A unit can join or end between any two steps of the decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from asr.native.search import Query, Steps
from asr.native.text_decoder import Candidates, TextDecoder

U = TypeVar("U")
R = TypeVar("R")


@dataclass
class _Member(Generic[R]):
    key: int
    steps: Steps[R]
    query: Query


class DecodingSession(Generic[U, R]):
    """The units that one thread decodes. Implements ``inference.continuous.Session[U, R]``.

    ``decoder``: returns the decoder to use.
    ``begin``: starts a unit. It yields the tokens of the unit to decode, and returns its result.
    """

    def __init__(self, decoder: Callable[[], TextDecoder], begin: Callable[[U], Steps[R]]) -> None:
        self._decoder = decoder
        self._begin = begin
        self._members: list[_Member[R]] = []
        self._ended: list[tuple[int, R | BaseException]] = []

    def join(self, key: int, unit: U) -> None:
        try:
            steps = self._begin(unit)
        except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
            self._ended.append((key, error))
        else:
            self._go_on(key, steps, None)

    def leave(self, key: int) -> None:
        self._members = [member for member in self._members if member.key != key]
        self._ended = [(other, result) for other, result in self._ended if other != key]

    def step(self) -> list[tuple[int, R | BaseException]]:
        members, self._members = self._members, []
        if members:
            self._step(members)
        ended, self._ended = self._ended, []
        return ended

    def _step(self, members: list[_Member[R]]) -> None:
        rows = [row for member in members for row in member.query.rows]
        try:
            found = self._decoder().next(rows, max(member.query.k for member in members))
        except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
            self._ended += [(member.key, error) for member in members]
            return
        first = 0
        for member in members:
            last = first + sum(row.allowed is not None for row in member.query.rows)
            # Others may have wanted more candidates. A unit's words must not depend on them.
            k = member.query.k
            answer = [Candidates(each.ids[:k], each.scores[:k]) for each in found[first:last]]
            self._go_on(member.key, member.steps, answer)
            first = last

    def _go_on(self, key: int, steps: Steps[R], answer: Any) -> None:
        """Let a unit go on until it wants tokens decoded. ``answer``: what it asked for; None at its start."""
        try:
            query = steps.send(answer)
        except StopIteration as end:
            self._ended.append((key, end.value))
        except BaseException as error:  # noqa: BLE001 callers get whatever the model raises; the worker goes on
            self._ended.append((key, error))
        else:
            self._members.append(_Member(key, steps, query))


def run_together(session: DecodingSession[U, R], units: Sequence[U]) -> list[R]:
    """Run units from their beginning to their end. Raise the error of a unit that fails."""
    for number, unit in enumerate(units):
        session.join(number, unit)
    results: dict[int, R] = {}
    while len(results) < len(units):
        for number, result in session.step():
            if isinstance(result, BaseException):
                raise result
            results[number] = result
    return [results[number] for number in range(len(units))]
