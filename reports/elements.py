"""One element of a quantity in words and digits, out of the strings of a record."""

from __future__ import annotations

import math
import struct

from harness.campaign.records import QuantityRecord

NOT_KNOWN = "not known"
KINDS = {"value": "value", "grad": "gradient", "param": "parameter", "state": "state"}

_FORMATS = {"float16": "<e", "float32": "<f", "float64": "<d"}


def number_of(text: str) -> float:
    """The number that a text stands for; NaN for a text that is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def tidy(digits: str) -> str:
    """An exact number without the zeros that say nothing.

    >>> tidy("-0.09750000000000000000"), tidy("1.5000e-7"), tidy("0.1000000000000000055")
    ('-0.0975', '1.5e-7', '0.1000000000000000055')
    """
    mantissa, mark, exponent = digits.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def exact_text(digits: str) -> str:
    """An exact value as it is shown. One that is not a number is not known, and never looks like a number.

    >>> exact_text("0.5000"), exact_text("nan"), exact_text("-NaN")
    ('0.5', 'not known', 'not known')
    """
    return NOT_KNOWN if digits.strip().lower().lstrip("+-") == "nan" else tidy(digits)


def hex_text(text: str, dtype: str) -> str:
    """The float of a dtype that is nearest to a decimal, in hexadecimal; empty when there is none.

    >>> hex_text("0.1", "float64"), hex_text("0.1", "float32"), hex_text("1", "float16"), hex_text("0", "float64")
    ('0x1.999999999999ap-4', '0x1.99999ap-4', '0x1p+0', '0x0p+0')
    >>> hex_text("nan", "float64"), hex_text("1e300", "float32"), hex_text("1", "bfloat16")
    ('', '', '')
    """
    value = number_of(text)
    if not math.isfinite(value) or dtype not in _FORMATS:
        return ""
    try:
        (value,) = struct.unpack(_FORMATS[dtype], struct.pack(_FORMATS[dtype], value))
    except OverflowError:
        return ""
    mantissa, _, exponent = value.hex().partition("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


def flat_index(quantity: QuantityRecord, position: int) -> int:
    """The flat index of the element at a position among those shown."""
    return quantity.shown[position] if position < len(quantity.shown) else position


def quantity_name(quantity: QuantityRecord) -> str:
    """A quantity's name without its kind; a state's with its slot."""
    return f"{quantity.slot} of {quantity.name}" if quantity.kind == "state" else quantity.name
