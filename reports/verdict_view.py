"""A verdict, and a text, as they are shown on the page."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from harness.campaign.records import Number, Verdict, as_float
from reports.wording import MISSING, SIGNS, VERDICT_SHORT


@dataclass(frozen=True)
class Span:
    """A run of text, or of code where the record has it in backticks."""

    text: str
    code: bool


Prose = tuple[tuple[Span, ...], ...]
"""Paragraphs of spans."""


@dataclass(frozen=True)
class Badge:
    """A verdict as it is shown. `size` is the error / bound beside it, where there is one."""

    word: str
    symbol: str
    tone: str
    size: str = ""

    @property
    def short(self) -> str:
        """The word where there is little room."""
        return {str(verdict): word for verdict, word in VERDICT_SHORT.items()}.get(self.word, self.word)


@dataclass(frozen=True)
class Note:
    """A name and a text about it."""

    name: str
    text: str


def prose(text: str) -> Prose:
    """Paragraphs at blank lines, code in backticks.

    >>> prose("the value `h`")
    ((Span(text='the value ', code=False), Span(text='h', code=True)),)
    """
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        parts = paragraph.split("`")
        if len(parts) % 2 == 0:  # a lone backtick is one
            parts = [paragraph]
        spans = tuple(Span(part, index % 2 == 1) for index, part in enumerate(parts) if part)
        if spans:
            paragraphs.append(spans)
    return tuple(paragraphs)


def badge(verdict: Verdict, size: str = "") -> Badge:
    """A verdict as it is shown.

    >>> badge("mismatch", "812")
    Badge(word='mismatch', symbol='✗', tone='bad', size='812')
    """
    sign = SIGNS[verdict]
    return Badge(sign.verdict, sign.symbol, sign.tone, size)


NOT_RECORDED = Badge(MISSING, "–", "none")
"""How it is shown that an implementation has nothing here."""


def percent(number: Number) -> int:
    """How full a bar is for an error / bound."""
    value = abs(as_float(number))
    if math.isnan(value):
        return 0
    return round(100 * min(value, 1.0))
