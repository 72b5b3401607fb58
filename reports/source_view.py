"""What a case's source prints, and what is to be remarked on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.campaign.records import CaseRecord
from reports.elements import KINDS
from reports.verdict_view import NOT_RECORDED, Badge, Prose, prose
from reports.wording import counted, listing, quantity_label


@dataclass(frozen=True)
class RemarkView:
    """A remark on the source."""

    kind: str
    tone: str
    symbol: str
    text: Prose
    evidence: Prose
    quantity: str


@dataclass(frozen=True)
class PrintedCell:
    """One implementation's number beside a printed one."""

    value: str
    badge: Badge


@dataclass(frozen=True)
class PrintedView:
    """A number that a source prints."""

    label: str
    digits: str
    where: str
    cells: tuple[PrintedCell, ...]
    remarks: tuple[RemarkView, ...]


def remark_view(kind: str, text: str, evidence: str, quantity: str) -> RemarkView:
    """A remark, marked by its kind."""
    tone, symbol = {"error": ("bad", "✗"), "trap": ("kink", "△"), "note": ("note", "·")}.get(kind, ("mute", "·"))
    return RemarkView(kind, tone, symbol, prose(text), prose(evidence), quantity)


def printed_view(
    case: CaseRecord, implementations: Sequence[str], remarks: Sequence[RemarkView]
) -> tuple[PrintedView, ...]:
    """The numbers that the source prints, beside everybody's."""
    views = []
    for printed in case.printed:
        label = quantity_label(printed.kind, printed.name, printed.step, printed.slot)
        cells = []
        for name in implementations:
            if name not in printed.reproduced:
                cells.append(PrintedCell(printed.values.get(name, ""), NOT_RECORDED))
            elif printed.reproduced[name]:
                cells.append(PrintedCell(printed.values.get(name, ""), Badge("reproduced", "✓", "good")))
            else:
                cells.append(PrintedCell(printed.values.get(name, ""), Badge("not reproduced", "✗", "bad")))
        index = f"[{', '.join(str(number) for number in printed.index)}]" if printed.index else ""
        slot = f"{printed.slot} of " if printed.slot else ""
        views.append(
            PrintedView(
                label=f"{KINDS.get(printed.kind, printed.kind)} {slot}{printed.name}{index}, step {printed.step}",
                digits=printed.digits,
                where=printed.where,
                cells=tuple(cells),
                remarks=tuple(remark for remark in remarks if remark.quantity == label)
                if printed is _last_of(case, label)
                else (),
            )
        )
    return tuple(views)


def _last_of(case: CaseRecord, label: str) -> object:
    """The last printed number of a quantity: remarks on the quantity stand below it, once."""
    return next(p for p in reversed(case.printed) if quantity_label(p.kind, p.name, p.step, p.slot) == label)


def printed_count(case: CaseRecord, implementations: Sequence[str]) -> str:
    """How many of the printed numbers everybody reproduces."""
    if not case.printed:
        return ""
    total = len(case.printed)
    parts = [
        f"{name} {sum(1 for printed in case.printed if printed.reproduced.get(name)):,}" for name in implementations
    ]
    return f"Of {counted(total, 'number')} that the source prints, reproduced to its last digit: {listing(parts)}."
