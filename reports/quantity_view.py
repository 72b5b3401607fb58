"""The quantities of a case, step by step: which of their elements are printed, and how they are marked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.campaign.records import AGREEING, CaseRecord, Cell, QuantityRecord, Verdict, as_float, gravest
from reports.elements import KINDS, exact_text, flat_index, number_of, quantity_name
from reports.finding_view import finding_of
from reports.network_view import drawn_nodes
from reports.sharpness import VACUOUS_SIGN, cell_sharpness
from reports.source_view import RemarkView, remark_view
from reports.verdict_view import NOT_RECORDED, Badge, badge, percent
from reports.wording import (
    MISSING,
    SIGNS,
    counted,
    index_text,
    quantities_by_label,
    quantity_label,
    ratio_text,
    severity,
    shape_text,
    size_text,
    ulps_text,
)

ROWS_PER_CASE = 100
"""So many elements of a case are printed, those of grave quantities first."""


ROWS_PER_QUESTION = 600
"""The same for a case that is more than rounding."""


ROWS_PER_QUANTITY = 48


OPENED = 3
"""So many of the quantities that are more than rounding stand open, the first ones in the order of computation."""


@dataclass(frozen=True)
class ElementCell:
    """One implementation's number: its error in ulps, its error / bound, and how that is to be marked."""

    value: str
    ulps: str
    ratio: str
    style: str
    symbol: str


@dataclass(frozen=True)
class ElementRow:
    """One element of a quantity; a cell is None where nothing was recorded."""

    index: str
    exact: str
    cells: tuple[ElementCell | None, ...]


@dataclass(frozen=True)
class QuantityView:
    """One quantity. `node` is the number of the graph's node that it belongs to, empty for none."""

    node: str
    open: bool
    kind: str
    name: str
    shape: str
    badges: tuple[Badge, ...]
    worst: tuple[str, ...]
    sharpness: tuple[str, ...]
    vacuous: str
    rows: tuple[ElementRow, ...]
    left_out: str
    remarks: tuple[RemarkView, ...]


@dataclass(frozen=True)
class StepView:
    """The quantities of one step."""

    title: str
    badge: Badge
    count: str
    open: bool
    quantities: tuple[QuantityView, ...]


def kept_steps(case: CaseRecord) -> list[int]:
    """The first two recorded steps, the last, and those where something is first at fault."""
    steps = sorted({quantity.step for quantity in case.quantities})
    labels = quantities_by_label(case)
    faulty = {labels[finding.place].step for finding in case.findings if finding.place in labels}
    return [step for step in steps if step in faulty or step in (*steps[:2], steps[-1])]


def steps_view(
    case: CaseRecord, implementations: Sequence[str], kept: Sequence[int]
) -> tuple[tuple[StepView, ...], int]:
    """The quantities of the kept steps, and how many of their elements are left out."""
    shown = [(index, quantity) for index, quantity in enumerate(case.quantities) if quantity.step in kept]
    grave = {index: max((severity(cell.verdict) for cell in quantity.cells), default=0) for index, quantity in shown}
    grave_first = [index for index, _ in shown if grave[index] > severity("rounding")][:OPENED]
    turn: dict[int, int] = {}  # the steps take turns, so that none is left without numbers
    taken: dict[int, int] = {}
    for index, quantity in shown:
        turn[index] = taken[quantity.step] = taken.get(quantity.step, 0) + 1
    allowed: dict[int, int] = {}
    room = ROWS_PER_CASE if case.verdict in AGREEING else ROWS_PER_QUESTION
    for index, quantity in sorted(shown, key=lambda pair: (-max(grave[pair[0]], 1), turn[pair[0]], pair[0])):
        allowed[index] = min(len(quantity.exact), ROWS_PER_QUANTITY, room)
        room -= allowed[index]
    nodes: dict[str, int] = {}
    for place, node in enumerate(drawn_nodes(case)):
        nodes.setdefault(node.name, place)
        for name in node.params.values():
            nodes.setdefault(f"\0{name}", place)
    left_out = 0
    views = []
    for step in kept:
        members = []
        verdicts: list[Verdict] = []
        for index, quantity in shown:
            if quantity.step == step:
                left_out += len(quantity.exact) - allowed[index]
                owner = nodes.get(f"\0{quantity.name}", nodes.get(quantity.name))
                owned = "" if owner is None else str(owner)
                opened = index in grave_first
                members.append(_quantity(case, quantity, owned, implementations, allowed[index], opened=opened))
                verdicts += [cell.verdict for cell in quantity.cells]
        gravest_one: Verdict = gravest(verdicts)
        views.append(
            StepView(
                title="Step 0, at the parameters given" if step == 0 else f"Step {step:,}",
                badge=badge(gravest_one),
                count=counted(len(members), "quantity", "quantities"),
                open=step == kept[0] or severity(gravest_one) > severity("rounding"),
                quantities=tuple(members),
            )
        )
    return tuple(views), left_out


def _quantity(
    case: CaseRecord,
    quantity: QuantityRecord,
    node: str,
    implementations: Sequence[str],
    allowed: int,
    *,
    opened: bool,
) -> QuantityView:
    cells = {cell.implementation: cell for cell in quantity.cells}
    ordered = [cells.get(name) for name in implementations]
    positions = _positions(quantity, allowed)
    size = math.prod(quantity.shape)
    missing = size - len(positions)
    label = quantity_label(quantity.kind, quantity.name, quantity.step, quantity.slot)
    return QuantityView(
        node=node,
        open=opened,
        kind=KINDS[quantity.kind],
        name=quantity_name(quantity),
        shape=shape_text(quantity.shape),
        badges=tuple(_cell_badge(cell) if cell else NOT_RECORDED for cell in ordered),
        worst=tuple(_worst(cell, quantity) if cell else MISSING for cell in ordered),
        sharpness=tuple(
            cell_sharpness(cell, finding_of(case, cell.implementation), size) if cell else "" for cell in ordered
        ),
        vacuous=_vacuous(quantity, size),
        rows=tuple(_element(quantity, ordered, position) for position in positions),
        left_out=f"{missing:,} of {counted(size, 'element')} not shown." if missing > 0 and positions else "",
        remarks=tuple(
            remark_view(remark.kind, remark.text, remark.evidence, "")
            for remark in case.remarks
            if remark.quantity == label
        ),
    )


def _vacuous(quantity: QuantityRecord, size: int) -> str:
    """A mark on the folded line, so that vacuous passes are found without unfolding everything."""
    most = max((cell.vacuous for cell in quantity.cells), default=0)
    return f"{VACUOUS_SIGN} {most:,} of {size:,} vacuous" if most else ""


def _positions(quantity: QuantityRecord, allowed: int) -> list[int]:
    """Which elements to print: all, or the worst of each implementation and then from the first."""
    total = len(quantity.exact)
    if allowed >= total:
        return list(range(total))
    flat = {flat_index(quantity, position): position for position in range(total)}
    worst = [flat[cell.worst_index] for cell in quantity.cells if cell.worst_index in flat]
    return sorted(list(dict.fromkeys([*worst, *range(total)]))[:allowed])


def _cell_badge(cell: Cell) -> Badge:
    return badge(cell.verdict, "" if cell.verdict == "exact" else ratio_text(cell.worst_ratio))


def _worst(cell: Cell, quantity: QuantityRecord) -> str:
    if cell.worst_index < 0 or cell.verdict == "exact":
        return cell.verdict
    index = index_text(cell.worst_index, quantity.shape)
    known = not math.isnan(as_float(cell.worst_ulps))
    error = f"≤ {size_text(cell.worst_ulps)} ulp · " if known else ""
    where = f" at {index}" if index else ""
    return f"{error}{ratio_text(cell.worst_ratio)} × bound{where}"


def _element(quantity: QuantityRecord, cells: Iterable[Cell | None], position: int) -> ElementRow:
    exact = quantity.exact[position]
    made: list[ElementCell | None] = []
    for cell in cells:
        if cell is None or position >= len(cell.values):
            made.append(None)
            continue
        ulps = cell.errors_ulps[position] if position < len(cell.errors_ulps) else 0.0
        ratio = cell.ratios[position] if position < len(cell.ratios) else 0.0
        verdict = _element_verdict(quantity, cell, position, as_float(ratio))
        made.append(
            ElementCell(
                value=cell.values[position],
                ulps=ulps_text(ulps),
                ratio=ratio_text(ratio),
                style=f"b{math.ceil(percent(ratio) / 10)}".replace("b0", "")
                if verdict in AGREEING
                else SIGNS[verdict].tone,
                symbol="" if verdict in AGREEING else SIGNS[verdict].symbol,
            )
        )
    return ElementRow(index_text(flat_index(quantity, position), quantity.shape), exact_text(exact), tuple(made))


def _element_verdict(quantity: QuantityRecord, cell: Cell, position: int, ratio: float) -> Verdict:
    """What is to be marked at one element; a record holds verdicts for whole arrays only."""
    if cell.verdict in AGREEING:
        return cell.verdict
    if not ratio <= 1.0:
        return cell.verdict
    bound = as_float(quantity.bounds[position]) if position < len(quantity.bounds) else math.inf
    off = abs(number_of(cell.values[position]) - number_of(quantity.exact[position]))
    if cell.verdict == "undetermined branch" and off > bound:
        return cell.verdict
    return "rounding"
