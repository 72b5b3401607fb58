"""Worked examples: cases with the numbers that somebody printed for them, and what is to be said of both."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.case import Case
from harness.trace import Quantity


@dataclass(frozen=True)
class Printed:
    """A number as a source prints it: which element of which quantity, and the digits as they stand there.

    It agrees with a value when the value, give or take its rounding bound, rounds to these digits.
    """

    quantity: Quantity
    index: tuple[int, ...]
    digits: str
    where: str = ""


@dataclass(frozen=True)
class Remark:
    """Something a reader should know about a source: what it says, and the evidence against or for it.

    `kind` is ``error`` (the source is wrong or does not run), ``trap`` (right, but easy to misread) or
    ``note``. A quantity, where there is one, puts the remark beside that number.
    """

    kind: str
    text: str
    evidence: str = ""
    quantity: Quantity | None = None


@dataclass(frozen=True)
class WorkedCase:
    """One case of an example."""

    key: str
    title: str
    case: Case
    explanation: str = ""
    printed: tuple[Printed, ...] = ()
    remarks: tuple[Remark, ...] = ()
    gradient_check: bool = False
    """Whether every gradient element is also compared with central differences."""
    draw_flow: bool = False
    """Whether the mean |gradient| per layer is the point of this case."""


@dataclass(frozen=True)
class WorkedExample:
    """A source's networks: a title, where it comes from, what it shows, and its cases."""

    key: str
    title: str
    source: str
    shows: str
    cases: tuple[WorkedCase, ...] = field(default=())
