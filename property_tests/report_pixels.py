"""What a screenshot shows: a page can be right in every element, and still be blank."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image


class Box(NamedTuple):
    """A rectangle in the window, in pixels."""

    left: float
    top: float
    width: float
    height: float


def ink(screenshot: bytes, box: Box) -> float:
    """The share of a rectangle's pixels that have not its most frequent colour: 0 where nothing is painted."""
    with Image.open(BytesIO(screenshot)) as picture:
        part = picture.convert("RGB").crop((box.left, box.top, box.left + box.width, box.top + box.height))
    pixels = part.width * part.height
    return 1 - max(number for number, _ in part.getcolors(pixels)) / pixels if pixels else 0.0
