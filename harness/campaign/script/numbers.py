"""Numbers and words of a case as Python text: exact, and unable to be anything but a number or a comment."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.spec import Array, Hyper

WIDTH = 110
PACKED_BEYOND = 600
"""Arrays with more elements are written as compressed bytes: a wall of digits helps nobody."""


def plain(text: str) -> str:
    """Text on one line: printable characters, and single spaces for all others.

    >>> plain("a\\n\\u2028b\\x00")
    'a b'
    """
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def comment(text: str, indent: str = "") -> str:
    """Text as comment lines: printable characters only, so none of it can end the line."""
    start = f"{indent}# "
    return "\n".join(textwrap.wrap(plain(text), WIDTH, initial_indent=start, subsequent_indent=start)) or "#"


def array_text(array: Array) -> str:
    """An expression for exactly this array.

    >>> array_text(np.array([0.1, -0.0], np.float32)), array_text(np.array(np.nan))
    ("np.array([0.1, -0.0], 'float32')", "np.array(np.nan, 'float64')")
    """
    array = np.asarray(array)
    dtype = repr(str(array.dtype))
    flat = array.ravel()
    if not array.size or (array.size > 8 and len({item.tobytes() for item in flat}) == 1):
        return f"np.full({array.shape}, {_number(flat[0]) if array.size else 0}, {dtype})"
    if array.size > PACKED_BEYOND:
        packed = base64.b85encode(zlib.compress(array.tobytes(), 9)).decode()
        parts = "\n".join(f"    {packed[i : i + WIDTH]!r}" for i in range(0, len(packed), WIDTH))
        unpacked = f"np.frombuffer(zlib.decompress(base64.b85decode(\n{parts}\n)), {dtype})"
        return f"{unpacked}.reshape({array.shape})"
    return f"np.array({_nested(array)}, {dtype})"


def _nested(array: Array) -> str:
    if not array.ndim:
        return _number(array.reshape(-1)[0])
    return f"[{', '.join(_nested(part) for part in array)}]"


def _number(number: Any) -> str:
    """Digits that read back as the same number, though they are read as float64 first."""
    if not np.isfinite(number):
        return f"np.{number}" if np.isnan(number) or number > 0 else "-np.inf"
    text = str(number)
    return text if number.dtype.kind in "iu" or number.dtype.type(float(text)) == number else repr(float(number))


def hyper_text(hypers: Mapping[str, Hyper]) -> str:
    """Hyperparameters as they stand in a call, with the comma in front."""
    written = {
        name: float_text(value) if isinstance(value, float) else repr(value)
        for name, value in hypers.items()
    }
    return "".join(f", {name}={value}" for name, value in written.items())


def assigned(target: str, array: Array, said: str = "") -> str:
    """An assignment of exactly this array, and a comment that says what it is."""
    text, note = f"{target} = {array_text(array)}", comment(said) if said else ""
    if "\n" not in text + note and len(text) + len(note) < WIDTH:
        return f"{text}  {note}" if note else text
    if "\n" not in text:
        text = textwrap.fill(text, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return f"{note}\n{text}" if note else text


def float_text(number: float) -> str:
    """An expression for exactly this float.

    >>> float_text(0.1), float_text(float("-inf"))
    ('0.1', "float('-inf')")
    """
    return repr(float(number)) if np.isfinite(number) else f"float({str(float(number))!r})"
