"""What a page shows, as strings: everything is decided here, so that the templates only lay it out.

Every string comes out of a record as it is. The templates escape; nothing here is HTML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.campaign.records import (
    SEVERITY,
    CaseRecord,
    Cell,
    Curve,
    Finding,
    FlowRecord,
    KinkRecord,
    Number,
    QuantityRecord,
    RunRecord,
    Side,
    Verdict,
    as_float,
    gravest,
)
from reports import graph, plots
from reports.wording import (
    AGREEING,
    MISSING,
    SIGNS,
    WRONG,
    Sign,
    counted,
    headline,
    incomplete,
    index_text,
    largest,
    listing,
    place_name,
    quantities_by_label,
    quantity_label,
    ratio_text,
    severity,
    shape_text,
    short,
    size_text,
    ulps_text,
)

ROWS_PER_CASE = 120
"""So many elements of a case are printed, those of grave quantities first."""

ROWS_PER_QUESTION = 600
"""The same for a case that is more than rounding."""

ROWS_PER_QUANTITY = 48
KINKS_DRAWN = 6
OPENED = 3
"""So many of the quantities that are more than rounding stand open, the first ones in the order of computation."""

_SAFE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_ASKED = {
    "greater": "is it above the kink?",
    "greater_equal": "is it at or above the kink?",
    "less": "is it below the kink?",
    "less_equal": "is it at or below the kink?",
    "equal": "is it equal?",
    "maximum": "which is larger?",
    "minimum": "which is smaller?",
}
_TOOK = {
    ("relu", "above"): "above: alive, the gradient passes",
    ("relu", "at or below"): "at or below: dead, the gradient is 0",
}
"""What is more telling than a record's own word for a branch, by operation."""

_KINDS = {"value": "value", "grad": "gradient", "param": "parameter", "state": "state"}


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


@dataclass(frozen=True)
class Count:
    """How many cases have a verdict, and where their part of the bar lies, in percent."""

    badge: Badge
    number: str
    noun: str
    start: str
    share: str


@dataclass(frozen=True)
class CaseRow:
    """One case in the table of all."""

    anchor: str
    title: str
    badge: Badge
    implementations: tuple[Badge, ...]
    ulps: str
    ratio: str


@dataclass(frozen=True)
class Group:
    """An example and its cases."""

    title: str
    source: str
    shows: str
    rows: tuple[CaseRow, ...]


@dataclass(frozen=True)
class Look:
    """A case to look at first, and why."""

    anchor: str
    title: str
    badge: Badge
    sentence: Prose


@dataclass(frozen=True)
class FindingView:
    """The verdict on one implementation."""

    implementation: str
    badge: Badge
    place_label: str
    place: str
    op: str
    ratio: str
    ulps: str
    bar: int
    sentence: Prose
    detail: Prose


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
    split: bool
    line: plots.NumberLine | None


@dataclass(frozen=True)
class Consequence:
    """A quantity that depends on the branch taken, at the element where it shows most."""

    label: str
    exact: str
    values: tuple[tuple[str, Badge], ...]


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
class RemarkView:
    """A remark on the source."""

    kind: str
    tone: str
    symbol: str
    text: Prose
    evidence: Prose
    quantity: str


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


@dataclass(frozen=True)
class FlowRowView:
    """The numbers behind one row of a flow plot."""

    name: str
    implementation: str
    mean: str
    largest: str
    zeros: str


@dataclass(frozen=True)
class FlowView:
    """How gradients flow through depth."""

    plot: plots.Flow | None
    rows: tuple[FlowRowView, ...]


@dataclass(frozen=True)
class CheckView:
    """One gradient check by central differences."""

    name: str
    implementation: str
    elements: str
    epsilon: str
    difference: str
    exact_epsilon: str
    exact_error: str


@dataclass(frozen=True)
class Note:
    """A name and a text about it."""

    name: str
    text: str


@dataclass(frozen=True)
class CaseView:
    """One case's page."""

    anchor: str
    id: str
    title: str
    example: str
    badge: Badge
    headline: Prose
    explanation: Prose
    facts: tuple[Note, ...]
    implementations: tuple[str, ...]
    findings: tuple[FindingView, ...]
    kinks: tuple[KinkView, ...]
    more_kinks: tuple[KinkView, ...]
    consequences: tuple[Consequence, ...]
    graph: graph.Drawing | None
    graph_note: str
    steps: tuple[StepView, ...]
    steps_left_out: str
    rows_left_out: str
    printed: tuple[PrintedView, ...]
    printed_count: str
    remarks: tuple[RemarkView, ...]
    curves: tuple[plots.Plot, ...]
    flows: tuple[FlowView, ...]
    flow_open: bool
    checks: tuple[CheckView, ...]
    notes: tuple[Note, ...]
    previous: str
    next: str


@dataclass(frozen=True)
class Page:
    """The whole report."""

    incomplete: str
    headline: tuple[Prose, ...]
    wrong: bool
    started: str
    took: str
    total: str
    implementations: tuple[str, ...]
    counts: tuple[Count, ...]
    looks: tuple[Look, ...]
    looks_title: str
    groups: tuple[Group, ...]
    environment: tuple[Note, ...]
    signs: tuple[Sign, ...]
    cases: tuple[CaseView, ...]


def build(run: RunRecord, cases: Sequence[CaseRecord]) -> Page:
    """Decide everything that the page of a run says."""
    implementations = run.implementations or list(
        dict.fromkeys(finding.implementation for case in cases for finding in case.findings)
    )
    anchors = _anchors(cases)
    titles = {example.key: example.title for example in run.examples}
    views = tuple(
        _case(case, anchor, titles.get(case.example, ""), implementations, before, after)
        for case, anchor, before, after in zip(cases, anchors, ["", *anchors], [*anchors[1:], ""], strict=False)
    )
    looks, looks_title = _looks(cases, anchors)
    return Page(
        incomplete=incomplete(run, cases),
        headline=tuple(prose(sentence) for sentence in headline(run, cases)),
        wrong=any(case.verdict in WRONG for case in cases),
        started=_time(run.started),
        took=_took_time(run),
        total=counted(len(cases), "case"),
        implementations=tuple(implementations),
        counts=_counts(cases),
        looks=looks,
        looks_title=looks_title,
        groups=_groups(run, cases, anchors, implementations),
        environment=tuple(Note(name, text) for name, text in run.environment.items()),
        signs=tuple(SIGNS[verdict] for verdict in SEVERITY),
        cases=views,
    )


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


def _time(text: str) -> str:
    """A time as people write it; a text that is none as it is.

    >>> _time("2026-11-22T04:23:58+00:00"), _time("yesterday")
    ('2026-11-22 04:23:58 UTC', 'yesterday')
    """
    try:
        return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return text


def _took_time(run: RunRecord) -> str:
    try:
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.started)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


_NOT_RECORDED = Badge(MISSING, "–", "none")


def _anchors(cases: Sequence[CaseRecord]) -> list[str]:
    """One id per case: the case's own where it can be one, so that a link stays good from run to run."""
    anchors: list[str] = []
    taken: set[str] = set()
    for number, case in enumerate(cases):
        anchor = f"case={case.id}"
        if not _SAFE_ID.fullmatch(case.id) or anchor in taken:
            anchor = f"case=~{number}"
        taken.add(anchor)
        anchors.append(anchor)
    return anchors


def _counts(cases: Sequence[CaseRecord]) -> tuple[Count, ...]:
    shown = []
    start = 0.0
    for verdict in SEVERITY:
        number = sum(1 for case in cases if case.verdict == verdict)
        if number or verdict in ("rounding", "undetermined branch", "mismatch"):
            share = 100 * number / max(len(cases), 1)
            noun = "case" if number == 1 else "cases"
            shown.append(Count(badge(verdict), f"{number:,}", noun, f"{start:.3f}", f"{share:.3f}"))
            start += share
    return tuple(shown)


def _looks(cases: Sequence[CaseRecord], anchors: Sequence[str]) -> tuple[tuple[Look, ...], str]:
    def size(pair: tuple[CaseRecord, str]) -> tuple[int, float]:
        return severity(pair[0].verdict), largest(finding.worst_ratio for finding in pair[0].findings)

    chosen = [pair for pair in zip(cases, anchors, strict=True) if pair[0].verdict in WRONG]
    title = "Look here first"
    most = 8
    if not chosen:
        chosen = [pair for pair in zip(cases, anchors, strict=True) if pair[0].verdict not in AGREEING]
        title = "Worth a look"
        most = 4
    chosen = sorted(chosen, key=size, reverse=True)[:most]
    looks = tuple(Look(anchor, case.title, badge(case.verdict), prose(_reason(case))) for case, anchor in chosen)
    return looks, title


def _reason(case: CaseRecord) -> str:
    worst = max(case.findings, key=lambda finding: severity(finding.verdict), default=None)
    return case.headline or (worst.sentence if worst else "")


def _groups(
    run: RunRecord, cases: Sequence[CaseRecord], anchors: Sequence[str], implementations: Sequence[str]
) -> tuple[Group, ...]:
    known = {example.key: example for example in run.examples}
    rows: dict[str, list[CaseRow]] = {example.key: [] for example in run.examples}
    for case, anchor in zip(cases, anchors, strict=True):
        rows.setdefault(case.example, []).append(_row(case, anchor, implementations))
    groups = []
    for key, members in rows.items():
        if key in known:
            example = known[key]
            groups.append(Group(example.title, example.source, example.shows, tuple(members)))
        elif key:
            groups.append(Group(key, "", "", tuple(members)))
    if rows.get(""):
        title = "Generated cases" if groups else "Cases"
        groups.append(Group(title, "", "", tuple(rows[""])))
    return tuple(groups)


def _row(case: CaseRecord, anchor: str, implementations: Sequence[str]) -> CaseRow:
    badges = []
    for name in implementations:
        finding = _finding(case, name)
        badges.append(_finding_badge(finding) if finding else _NOT_RECORDED)
    return CaseRow(
        anchor=anchor,
        title=case.title or case.key or case.id,
        badge=badge(case.verdict),
        implementations=tuple(badges),
        ulps=size_text(largest(finding.worst_ulps for finding in case.findings)) if case.findings else "–",
        ratio=ratio_text(largest(finding.worst_ratio for finding in case.findings)) if case.findings else "–",
    )


def _finding(case: CaseRecord, implementation: str) -> Finding | None:
    own = [finding for finding in case.findings if finding.implementation == implementation]
    return max(own, key=lambda finding: severity(finding.verdict), default=None)


def _finding_badge(finding: Finding) -> Badge:
    numberless = finding.verdict in ("crash", "not implemented", "undecided", "exact")
    return badge(finding.verdict, "" if numberless else ratio_text(finding.worst_ratio))


def _case(
    case: CaseRecord, anchor: str, example: str, implementations: Sequence[str], previous: str, following: str
) -> CaseView:
    everyone = list(dict.fromkeys([*implementations, *(finding.implementation for finding in case.findings)]))
    kept = _kept_steps(case)
    views, left_out = _steps(case, everyone, kept)
    steps = sorted({quantity.step for quantity in case.quantities})
    dropped = len(steps) - len(kept)
    remarks = tuple(_remark(remark.kind, remark.text, remark.evidence, remark.quantity) for remark in case.remarks)
    kinks = [_kink(kink, everyone) for kink in case.kinks]
    drawing = _graph(case)
    curves = _curves(case)
    return CaseView(
        anchor=anchor,
        id=case.id,
        title=case.title or case.key or case.id,
        example=example or case.example,
        badge=badge(case.verdict),
        headline=prose(case.headline),
        explanation=prose(case.explanation),
        facts=_facts(case),
        implementations=tuple(everyone),
        findings=tuple(_finding_view(case, name) for name in everyone),
        kinks=tuple(kinks[:KINKS_DRAWN]),
        more_kinks=tuple(kinks[KINKS_DRAWN:]),
        consequences=_consequences(case, everyone),
        graph=drawing,
        graph_note=""
        if drawing or not case.graph
        else f"The network has {len(case.graph)} nodes, which is too many to be drawn.",
        steps=views,
        steps_left_out=f"In the store, not shown: {counted(dropped, 'more recorded step')}." if dropped else "",
        rows_left_out=f"In the store, not shown: {counted(left_out, 'more element')} of these quantities."
        if left_out
        else "",
        printed=_printed(case, everyone, remarks),
        printed_count=_printed_count(case, everyone),
        remarks=remarks,
        curves=curves,
        flows=_flows(case),
        flow_open=case.draw_flow,
        checks=tuple(
            CheckView(
                name=check.name,
                implementation=check.implementation,
                elements=f"{check.elements:,}",
                epsilon=short(check.epsilon),
                difference=short(as_float(check.float_difference), 3),
                exact_epsilon=check.exact_epsilon,
                exact_error=short(as_float(check.exact_error), 3),
            )
            for check in case.gradient_checks
        ),
        notes=_notes(case),
        previous=previous,
        next=following,
    )


def _facts(case: CaseRecord) -> tuple[Note, ...]:
    steps = counted(case.steps, "update step") if case.steps else "no update"
    facts = [
        Note("numbers", case.dtype),
        Note("training", f"{steps} with {case.optimizer}" if case.optimizer else steps),
    ]
    return (*facts, Note("case", case.id))


def _finding_view(case: CaseRecord, implementation: str) -> FindingView:
    finding = _finding(case, implementation)
    if finding is None:
        nothing = prose("This implementation left no finding for this case.")
        return FindingView(implementation, _NOT_RECORDED, "", "", "", "–", "–", 0, nothing, ())
    numberless = finding.verdict in ("crash", "not implemented", "undecided")
    return FindingView(
        implementation=implementation,
        badge=badge(finding.verdict),
        place_label=_place_label(finding.verdict),
        place=finding.place,
        op=finding.op,
        ratio="–" if numberless else ratio_text(finding.worst_ratio),
        ulps="–" if numberless else size_text(finding.worst_ulps),
        bar=0 if numberless else _percent(finding.worst_ratio),
        sentence=prose(finding.sentence),
        detail=prose(finding.detail),
    )


def _place_label(verdict: Verdict) -> str:
    if verdict in AGREEING:
        return "Largest at"
    return "First at fault" if verdict in WRONG else "First seen at"


def _percent(number: Number) -> int:
    value = abs(as_float(number))
    if math.isnan(value):
        return 0
    return round(100 * min(value, 1.0))


def _kink(kink: KinkRecord, implementations: Sequence[str]) -> KinkView:
    sides = tuple(
        SideView(side.implementation, side.value, _took(kink, side), _style(side.implementation, implementations))
        for side in kink.sides
    )
    below = next((_took(kink, s) for s in kink.sides if _number(s.value) < 0), "below the kink")
    above = next((_took(kink, s) for s in kink.sides if _number(s.value) > 0), "above the kink")
    line = plots.number_line(
        _number(kink.gap),
        as_float(kink.bound),
        [(side.implementation, _number(side.value), side.style) for side in sides],
        below=graph.cut(below, 40),
        above=graph.cut(above, 40),
    )
    index = f"[{', '.join(str(number) for number in kink.index)}]" if kink.index else ""
    return KinkView(
        node=kink.node,
        op=kink.op,
        where=index,
        step=str(kink.step),
        asked=_ASKED.get(kink.comparison, ""),
        comparison=kink.comparison,
        gap=kink.gap,
        bound=short(as_float(kink.bound)),
        on_kink=_number(kink.gap) == 0,
        sides=sides,
        split=len({side.branch for side in kink.sides}) > 1,
        line=line,
    )


def _took(kink: KinkRecord, side: Side) -> str:
    return _TOOK.get((kink.op, side.branch), side.branch)


def _style(implementation: str, implementations: Sequence[str]) -> int:
    return implementations.index(implementation) % 6 if implementation in implementations else 5


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _consequences(case: CaseRecord, implementations: Sequence[str]) -> tuple[Consequence, ...]:
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
            numbers = [_number(cell.values[position]) for cell in quantity.cells if position < len(cell.values)]
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
                values.append((MISSING, _NOT_RECORDED))
        index = index_text(_flat(quantity, position), quantity.shape)
        label = f"{_KINDS[quantity.kind]} {_name(quantity)}{index} at step {quantity.step}"
        made.append(Consequence(label, _tidy(quantity.exact[position]), tuple(values)))
    return tuple(made)


def _tidy(digits: str) -> str:
    """An exact number without the zeros that say nothing.

    >>> _tidy("-0.09750000000000000000"), _tidy("1.5000e-7"), _tidy("0.1000000000000000055")
    ('-0.0975', '1.5e-7', '0.1000000000000000055')
    """
    mantissa, mark, exponent = digits.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa + mark + exponent


def _flat(quantity: QuantityRecord, position: int) -> int:
    return quantity.shown[position] if position < len(quantity.shown) else position


def _name(quantity: QuantityRecord) -> str:
    return f"{quantity.slot} of {quantity.name}" if quantity.kind == "state" else quantity.name


def _kept_steps(case: CaseRecord) -> list[int]:
    """The first two recorded steps, the last, and those where something is first at fault."""
    steps = sorted({quantity.step for quantity in case.quantities})
    labels = quantities_by_label(case)
    faulty = {labels[finding.place].step for finding in case.findings if finding.place in labels}
    return [step for step in steps if step in faulty or step in (*steps[:2], steps[-1])]


def _steps(case: CaseRecord, implementations: Sequence[str], kept: Sequence[int]) -> tuple[tuple[StepView, ...], int]:
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
    for place, node in enumerate(case.graph):
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
        kind=_KINDS[quantity.kind],
        name=_name(quantity),
        shape=shape_text(quantity.shape),
        badges=tuple(_cell_badge(cell) if cell else _NOT_RECORDED for cell in ordered),
        worst=tuple(_worst(cell, quantity) if cell else MISSING for cell in ordered),
        rows=tuple(_element(quantity, ordered, position) for position in positions),
        left_out=f"{missing:,} of {counted(size, 'element')} not shown." if missing > 0 and positions else "",
        remarks=tuple(
            _remark(remark.kind, remark.text, remark.evidence, "")
            for remark in case.remarks
            if remark.quantity == label
        ),
    )


def _positions(quantity: QuantityRecord, allowed: int) -> list[int]:
    """Which elements to print: all, or the worst of each implementation and then from the first."""
    total = len(quantity.exact)
    if allowed >= total:
        return list(range(total))
    flat = {_flat(quantity, position): position for position in range(total)}
    worst = [flat[cell.worst_index] for cell in quantity.cells if cell.worst_index in flat]
    return sorted(list(dict.fromkeys([*worst, *range(total)]))[:allowed])


def _cell_badge(cell: Cell) -> Badge:
    return badge(cell.verdict, "" if cell.verdict == "exact" else ratio_text(cell.worst_ratio))


def _worst(cell: Cell, quantity: QuantityRecord) -> str:
    if cell.worst_index < 0 or cell.verdict == "exact":
        return cell.verdict
    index = index_text(cell.worst_index, quantity.shape)
    error = "" if math.isnan(as_float(cell.worst_ulps)) else f"{ulps_text(cell.worst_ulps)} ulp, "
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
                style=f"b{math.ceil(_percent(ratio) / 10)}".replace("b0", "")
                if verdict in AGREEING
                else SIGNS[verdict].tone,
                symbol="" if verdict in AGREEING else SIGNS[verdict].symbol,
            )
        )
    if math.isnan(_number(exact)) and any(cell and math.isfinite(_number(cell.value)) for cell in made):
        exact = "not known"  # a number was judged, so it had an exact one; the record does not hold it
    return ElementRow(index_text(_flat(quantity, position), quantity.shape), _tidy(exact), tuple(made))


def _element_verdict(quantity: QuantityRecord, cell: Cell, position: int, ratio: float) -> Verdict:
    """What is to be marked at one element; a record holds verdicts for whole arrays only."""
    if cell.verdict in AGREEING:
        return cell.verdict
    if not ratio <= 1.0:
        return cell.verdict
    bound = as_float(quantity.bounds[position]) if position < len(quantity.bounds) else math.inf
    off = abs(_number(cell.values[position]) - _number(quantity.exact[position]))
    if cell.verdict == "undetermined branch" and off > bound:
        return cell.verdict
    return "rounding"


def _remark(kind: str, text: str, evidence: str, quantity: str) -> RemarkView:
    tone, symbol = {"error": ("bad", "✗"), "trap": ("kink", "△"), "note": ("note", "·")}.get(kind, ("mute", "·"))
    return RemarkView(kind, tone, symbol, prose(text), prose(evidence), quantity)


def _printed(
    case: CaseRecord, implementations: Sequence[str], remarks: Sequence[RemarkView]
) -> tuple[PrintedView, ...]:
    views = []
    for printed in case.printed:
        label = quantity_label(printed.kind, printed.name, printed.step, printed.slot)
        cells = []
        for name in implementations:
            if name not in printed.reproduced:
                cells.append(PrintedCell(printed.values.get(name, ""), _NOT_RECORDED))
            elif printed.reproduced[name]:
                cells.append(PrintedCell(printed.values.get(name, ""), Badge("reproduced", "✓", "good")))
            else:
                cells.append(PrintedCell(printed.values.get(name, ""), Badge("not reproduced", "✗", "bad")))
        index = f"[{', '.join(str(number) for number in printed.index)}]" if printed.index else ""
        slot = f"{printed.slot} of " if printed.slot else ""
        views.append(
            PrintedView(
                label=f"{_KINDS.get(printed.kind, printed.kind)} {slot}{printed.name}{index}, step {printed.step}",
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


def _printed_count(case: CaseRecord, implementations: Sequence[str]) -> str:
    if not case.printed:
        return ""
    total = len(case.printed)
    parts = [
        f"{name} {sum(1 for printed in case.printed if printed.reproduced.get(name)):,}" for name in implementations
    ]
    return f"Of {counted(total, 'number')} that the source prints, reproduced to its last digit: {listing(parts)}."


def _graph(case: CaseRecord) -> graph.Drawing | None:
    lanes: dict[str, list[graph.Lane]] = {}
    parameters = {node.name for node in case.graph if node.kind == "parameter"}
    parameters |= {name for node in case.graph for name in node.params.values()}
    by: dict[tuple[str, str], list[Cell]] = {}
    for quantity in case.quantities:
        what = {"grad": "gradient", "value": "value"}.get(quantity.kind, "update")
        if quantity.kind == "param" and quantity.step == 0:
            continue
        by.setdefault((quantity.name, what), []).extend(quantity.cells)
    for node in case.graph:
        if node.kind == "constant":
            continue
        given = node.kind in ("input", "parameter")
        wanted = ["gradient", "update"] if node.name in parameters else ["gradient"] if given else ["value", "gradient"]
        if node.kind in ("loss", "penalty"):
            wanted = ["value"]
        lanes[node.name] = [
            _lane(what, by[node.name, what]) if (node.name, what) in by else graph.Lane(what, MISSING, "none")
            for what in wanted
            if (node.name, what) in by or (what != "update" and not given)
        ]
    labels = quantities_by_label(case)
    faults: dict[str, list[str]] = {}
    for finding in case.findings:
        if finding.place and finding.verdict in WRONG:
            name = labels[finding.place].name if finding.place in labels else place_name(finding.place)
            who = finding.implementation + (f", {name}" if name in parameters else "")
            faults.setdefault(name, []).append(who)
    return graph.draw(
        case.graph,
        lanes,
        frozenset(kink.node for kink in case.kinks),
        {name: listing(who) for name, who in faults.items()},
    )


def _lane(label: str, cells: Sequence[Cell]) -> graph.Lane:
    if not cells:
        return graph.Lane(label, MISSING, "none")
    verdict = gravest([cell.verdict for cell in cells])
    ratio = largest(cell.worst_ratio for cell in cells if severity(cell.verdict) == severity(verdict))
    sign = SIGNS[verdict]
    words = {"exact": "exact", "undetermined branch": "branch"}
    text = f"{sign.symbol} {words.get(verdict) or ratio_text(ratio)}"
    return graph.Lane(label, text, sign.tone, _percent(ratio) if verdict != "exact" else 0)


def _curves(case: CaseRecord) -> tuple[plots.Plot, ...]:
    drawn = []
    for kind, title, what in (
        ("loss", "Loss", "loss"),
        ("drift", "Drift away from exact arithmetic", "largest |parameter − exact|"),
    ):
        curves: list[Curve] = [curve for curve in case.curves if curve.kind == kind]
        series = [
            plots.Series(c.implementation, [float(s) for s in c.steps], [as_float(v) for v in c.values]) for c in curves
        ]
        values = [value for one in series for value in one.y if math.isfinite(value)]
        wide = bool(values) and min(values) > 0 and max(values) > 20 * min(values)
        plot = plots.line_plot(
            title, series, x_title="update step", y_title=what, log_x=kind == "drift", log_y=kind == "drift" or wide
        )
        if plot:
            drawn.append(plot)
    return tuple(drawn)


def _flows(case: CaseRecord) -> tuple[FlowView, ...]:
    views = []
    for kind, title in (("parameter", "parameter"), ("node", "node")):
        records: list[FlowRecord] = [record for record in case.flow if record.kind == kind]
        if not records:
            continue
        names = list(dict.fromkeys(record.name for record in records))[:60]
        who = list(dict.fromkeys(record.implementation for record in records))
        means = {(record.name, record.implementation): as_float(record.mean) for record in records}
        plot = plots.flow_plot(
            f"Mean |gradient| of each {title}, log scale",
            names,
            who,
            [[means.get((name, one), math.nan) for one in who] for name in names],
        )
        rows = tuple(
            FlowRowView(
                record.name,
                record.implementation,
                short(as_float(record.mean), 4),
                short(as_float(record.largest), 4),
                f"{record.zeros:,} of {record.size:,}",
            )
            for record in records
        )
        views.append(FlowView(plot, rows))
    return tuple(views)


def _notes(case: CaseRecord) -> tuple[Note, ...]:
    notes = []
    for name in dict.fromkeys([*case.notes, *case.seconds]):
        parts = [case.notes[name]] if name in case.notes else []
        if name in case.seconds:
            parts.append(f"{short(1000 * case.seconds[name])} ms")
        notes.append(Note(name, " · ".join(parts)))
    return tuple(notes)
