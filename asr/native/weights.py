"""Read the weights of a Whisper model from CTranslate2's file ``model.bin``.

The file is little-endian. It contains a version number, the name and revision of the model's specification, the
variables, and the aliases. A variable has a name, a shape, a type and its data. An alias is a second name for a
variable.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

VERSION = 6
SPECIFICATION = "WhisperSpec"
#: The types of variables, by their numbers in the file.
_TYPES: tuple[type[np.generic], ...] = (np.float32, np.int8, np.int16, np.int32, np.float16)

Array = npt.NDArray[Any]


class UnreadableWeights(ValueError):
    """Raised when a file is not a Whisper model of the known version. The message says what is wrong."""


@dataclass(frozen=True)
class Weights:
    """The weights of a Whisper model.

    ``variables``: the variables by name, as views of the file.
    """

    variables: dict[str, Array]

    def __contains__(self, name: str) -> bool:
        return name in self.variables

    def count(self, name: str) -> int:
        """Return the value of a variable that holds one whole number."""
        return int(self.variables[name])

    def layers(self, part: str) -> int:
        """Return the number of layers of the ``encoder`` or the ``decoder``."""
        numbers = {name.split("/")[1] for name in self.variables if name.startswith(f"{part}/layer_")}
        return sum(1 for number in numbers if number.removeprefix("layer_").isdigit())

    def floats(self, name: str) -> Array:
        """Return a variable as float32. Values that are stored as integers are multiplied by their scales."""
        values = self.variables[name].astype(np.float32)
        if f"{name}_scale" in self.variables:  # CTranslate2 divides by its scales
            scales = self.variables[f"{name}_scale"].astype(np.float32)
            values /= scales.reshape(-1, *[1] * (values.ndim - 1))
        return values

    def quantised(self, name: str) -> tuple[Array, Array]:
        """Return a matrix as int8 (rows, columns), and the scale of each row, float32: a value is number * scale."""
        if self.variables[name].dtype == np.int8:
            return self.variables[name], 1 / self.variables[f"{name}_scale"].astype(np.float32)
        return quantised(self.floats(name))


def quantised(values: Array) -> tuple[Array, Array]:
    """Return a float32 matrix as int8, and the scale of each row, float32: a value is number * scale."""
    scales = np.maximum(np.abs(values).max(1), 1e-8) / 127
    return np.rint(values / scales[:, None]).astype(np.int8), scales


def read(path: Path) -> Weights:
    """Map the file into memory, and return its weights. Raise ``UnreadableWeights`` if it cannot be read."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return Weights(_variables(data))
    except (OSError, ValueError, IndexError, KeyError, struct.error) as error:
        raise UnreadableWeights(f"{path} is no Whisper model that can be read here: {error}") from error


def _variables(data: mmap.mmap) -> dict[str, Array]:
    place = 0

    def number(form: str) -> int:
        nonlocal place
        (value,) = struct.unpack_from(f"<{form}", data, place)
        place += struct.calcsize(f"<{form}")
        return int(value)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        if place > len(data):
            raise ValueError("it ends too early")
        return data[place - length : place].rstrip(b"\0").decode()

    version, name, _revision = number("I"), text(), number("I")
    if version != VERSION or name != SPECIFICATION:
        raise ValueError(f"it has version {version} of {name!r}, not version {VERSION} of {SPECIFICATION!r}")
    variables: dict[str, Array] = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = np.dtype(_TYPES[number("B")])
        length = number("I")
        variables[name] = np.frombuffer(data, kind, length // kind.itemsize, place).reshape(shape)
        place += length
    for _ in range(number("I")):
        alias, original = text(), text()
        for ending in ("", "_scale"):
            if original + ending in variables:
                variables[alias + ending] = variables[original + ending]
    return variables
