"""Undetermined branches, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.campaign.records import CaseRecord, KinkRecord, as_float
from reports import graph, plots
from reports.branches import asked, kink_index, took
from reports.elements import KINDS, exact_text, flat_index, number_of, quantity_name
from reports.verdict_view import NOT_RECORDED, Badge, badge
from reports.wording import MISSING, index_text, short


@dataclass(frozen=True)
class SideView:
    """What one implementation has at a kink."""

    implementation: str
    value: str
    branch: str
    style: int


@dataclass(frozen=True)
class KinkView:
    """An undetermined branch."""

    node: str
    op: str
    where: str
    step: str
    asked: str
    comparison: str
    gap: str
    bound: str
    on_kink: bool
    sides: tuple[SideView, ...]
    landed: str
    line: plots.NumberLine | None


@dataclass(frozen=True)
class Consequence:
    """A quantity that depends on the branch taken, at the element where it shows most."""

    label: str
    exact: str
    values: tuple[tuple[str, Badge], ...]


def kink_view(kink: KinkRecord, implementations: Sequence[str]) -> KinkView:
    """One kink, and where everybody landed."""
    sides = tuple(
        SideView(side.implementation, side.value, took(kink, side), _style(side.implementation, implementations))
        for side in kink.sides
    )
    below = next((took(kink, s) for s in kink.sides if number_of(s.value) < 0), "below the kink")
    above = next((took(kink, s) for s in kink.sides if number_of(s.value) > 0), "above the kink")
    line = plots.number_line(
        number_of(kink.gap),
        as_float(kink.bound),
        [(side.implementation, number_of(side.value), side.style) for side in sides],
        below=graph.cut(below, 40),
        above=graph.cut(above, 40),
    )
    return KinkView(
        node=kink.node,
        op=kink.op,
        where=kink_index(kink),
        step=str(kink.step),
        asked=asked(kink),
        comparison=kink.comparison,
        gap=exact_text(kink.gap),
        bound=short(as_float(kink.bound)),
        on_kink=number_of(kink.gap) == 0,
        sides=sides,
        landed=_landed(kink),
        line=line,
    )


def _landed(kink: KinkRecord) -> str:
    if len({side.branch for side in kink.sides}) > 1:
        return "a correct program can land on either side, and these did."
    if len(kink.sides) == 1:
        return f"a correct program could land on either side. Only {kink.sides[0].implementation} comes so near here."
    return "a correct program could land on either side; these landed on the same one."


def _style(implementation: str, implementations: Sequence[str]) -> int:
    return implementations.index(implementation) % 6 if implementation in implementations else 5


def consequences(case: CaseRecord, implementations: Sequence[str]) -> tuple[Consequence, ...]:
    """The quantities in which the branches show, each at the element where they differ most."""
    made: list[Consequence] = []
    for quantity in case.quantities:
        if len(made) == 8:
            break
        cells = {cell.implementation: cell for cell in quantity.cells}
        if not any(cell.verdict == "undetermined branch" for cell in quantity.cells):
            continue
        spreads = []
        for position in range(len(quantity.exact)):
            numbers = [number_of(cell.values[position]) for cell in quantity.cells if position < len(cell.values)]
            known = [number for number in numbers if math.isfinite(number)]
            spreads.append(max(known) - min(known) if len(known) > 1 else 0.0)
        if not spreads or max(spreads) <= 0:
            continue
        position = spreads.index(max(spreads))
        values = []
        for name in implementations:
            cell = cells.get(name)
            if cell and position < len(cell.values):
                values.append((cell.values[position], badge(cell.verdict)))
            else:
                values.append((MISSING, NOT_RECORDED))
        index = index_text(flat_index(quantity, position), quantity.shape)
        label = f"{KINDS[quantity.kind]} {quantity_name(quantity)}{index} at step {quantity.step}"
        made.append(Consequence(label, exact_text(quantity.exact[position]), tuple(values)))
    return tuple(made)
