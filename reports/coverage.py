"""What a run has tested, and what not: by card and implementation, and by every other thing that cases differ in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.campaign.records import (
    AGREEING,
    SEVERITY,
    CaseRecord,
    Catalogue,
    Finding,
    RunRecord,
    Tested,
    Verdict,
    as_float,
    tally,
)
from reports.finding_view import finding_of
from reports.verdict_view import Badge, badge
from reports.wording import FAULTS, UNJUDGED, counted, listing

KINDS = {
    "layers": "Layers",
    "losses": "Losses",
    "penalties": "Penalties",
    "optimizers": "Optimizers",
    "schedules": "Learning rate schedules",
    "clippings": "Gradient clipping",
}
"""The kinds of cards, by the catalogue's name for them."""
NAMED = 12
"""So many names stand in a sentence; of more, it says how many."""
DEPTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 17)
STEPS = (0, 1, 2, 3, 4, 10, 100, 1000)
"""Where bins begin; the last one has no end."""


_SAFE = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass
class _Judged:
    """The verdicts on the cases of one card in one implementation.

    `numbers` says how many cases have a verdict, and whether it is blamed on another card; `worst` is the largest
    error / bound of those that are not, and are about rounding; below 0 where there is none.
    """

    numbers: dict[tuple[Verdict, bool], int] = field(default_factory=dict)
    worst: float = -1.0

    def add(self, finding: Finding, *, elsewhere: bool) -> None:
        """One more case."""
        key = (finding.verdict, elsewhere)
        self.numbers[key] = self.numbers.get(key, 0) + 1
        if not elsewhere and finding.verdict in (*AGREEING, *FAULTS):
            self.worst = max(self.worst, as_float(finding.worst_ratio))


@dataclass(frozen=True)
class Part:
    """How many of a card's cases have one verdict. `elsewhere`: it is blamed on another card."""

    badge: Badge
    number: str
    elsewhere: bool = False

    @property
    def meaning(self) -> str:
        """The part in words."""
        return f"{self.number} {self.badge.word}" + (", placed in another card" if self.elsewhere else "")


@dataclass(frozen=True)
class Cell:
    """What came of one card in one implementation. `judged` counts the cases with a verdict on the numbers.

    `worst` is the largest error / bound in them, but for faults that are placed in another card.
    """

    judged: str
    never: bool
    parts: tuple[Part, ...]
    worst: float


@dataclass(frozen=True)
class Row:
    """One card: in how many cases it stood, and what came of them. `anchor` is its place in the catalogue, if any."""

    anchor: str
    name: str
    number: str
    share: int
    never: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Kind:
    """The cards of one kind, by the catalogue's name for it."""

    key: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Bin:
    """How many cases have one property; `share` is how full its bar is, in percent."""

    name: str
    number: str
    share: int
    never: bool


@dataclass(frozen=True)
class Table:
    """How often each of several things came up. `note` says what is counted.

    `ordered`: the bins are in the order of size. `wanted`: a 0 is a gap.
    """

    title: str
    note: str
    bins: tuple[Bin, ...]
    ordered: bool = False
    wanted: bool = True


@dataclass(frozen=True)
class KinkRow:
    """How often a card was at a kink."""

    name: str
    cases: str
    near: str
    comparisons: str
    ties: str
    undetermined: str
    never: bool


@dataclass(frozen=True)
class Lack:
    """Why an implementation did not run some cases, in its own words."""

    implementation: str
    number: str
    reason: str


@dataclass(frozen=True)
class Coverage:
    """Everything that is said of what was tested. `gaps` are sentences on what a pass of this run does not mean."""

    total: str
    gaps: tuple[str, ...]
    told: tuple[str, ...]
    implementations: tuple[str, ...]
    verdicts: tuple[str, ...]
    kinds: tuple[Kind, ...]
    tables: tuple[Table, ...]
    kinks: tuple[KinkRow, ...]
    lacks: tuple[Lack, ...]


def coverage(run: RunRecord, cases: Sequence[CaseRecord], implementations: Sequence[str]) -> Coverage | None:
    """What was tested; None where the records do not tell."""
    known = [(case, case.tested) for case in cases if case.tested is not None]
    if run.catalogue is None:
        return None
    counts = tally((tested for _, tested in known), run.catalogue)
    found = _judged(known, implementations)
    anchors = card_anchors(run.catalogue)
    made = {kind: _rows(kind, counts[kind], found, implementations, anchors) for kind in KINDS}
    kinds = tuple(Kind(kind, KINDS[kind], rows) for kind, rows in made.items() if rows)
    cells = [cell for kind in kinds for row in kind.rows for cell in row.cells]
    gaps = tuple(_gaps(cases, counts, kinds, implementations))
    return Coverage(
        total=f"{len(known):,}",
        gaps=gaps,
        told=gaps if run.generated else tuple(_failures(cases)),
        implementations=tuple(implementations),
        verdicts=tuple(dict.fromkeys(part.badge.word for cell in cells for part in cell.parts)),
        kinds=kinds,
        tables=tuple(_tables(counts, known, implementations)),
        kinks=_kinks(run.catalogue, known),
        lacks=lacks(cases),
    )


def cards_of(tested: Tested) -> dict[str, list[str]]:
    """The cards that a case uses besides its operations, by kind."""
    return {
        "optimizers": [tested.optimizer] if tested.optimizer else [],
        "schedules": [tested.schedule] if tested.schedule else [],
        "clippings": [tested.clip] if tested.clip else [],
    }


def card_anchors(catalogue: Catalogue) -> dict[tuple[str, str], str]:
    """Where each card stands in the catalogue, by kind and name."""
    return {
        (card.kind, card.name): f"card={card.kind}.{card.name if _SAFE.fullmatch(card.name) else f'~{number}'}"
        for number, card in enumerate(catalogue.cards)
        if card.kind in KINDS
    }


def _rows(
    kind: str,
    counts: Mapping[str, int],
    found: Mapping[tuple[str, str, str], _Judged],
    implementations: Sequence[str],
    anchors: Mapping[tuple[str, str], str],
) -> tuple[Row, ...]:
    names = [name for name in counts if name != "none"]
    most = max((counts[name] for name in names), default=0)
    rows = []
    for name in names:
        cells = tuple(_cell(found.get((_where(kind), name, who), _Judged()), counts[name]) for who in implementations)
        share, anchor = _share(counts[name], most), anchors.get((kind, name), "")
        rows.append(Row(anchor, name, f"{counts[name]:,}", share, not counts[name], cells))
    return tuple(rows)


def _where(kind: str) -> str:
    """What a kind of cards is found by in a case: layers, losses and penalties are all operations."""
    return kind if kind in ("optimizers", "schedules", "clippings") else "cards"


def _judged(
    known: Sequence[tuple[CaseRecord, Tested]], implementations: Sequence[str]
) -> dict[tuple[str, str, str], _Judged]:
    """The verdicts on the cases of each card, in each implementation, in one pass over the cases.

    A fault that is placed in another card is counted apart.
    """
    found: dict[tuple[str, str, str], _Judged] = {}
    for case, tested in known:
        used = [("cards", name) for name in dict.fromkeys(tested.cards)]
        used += [(kind, name) for kind, names in cards_of(tested).items() for name in names]
        for who in implementations:
            finding = finding_of(case, who)
            if finding is None:
                continue
            placed = finding.verdict in FAULTS and bool(finding.op)
            blamed = {part.rsplit(" ", 1)[0] for part in finding.op.split(" or ")} if placed else set()
            for kind, name in used:
                own = found.get((kind, name, who))
                if own is None:
                    own = found[kind, name, who] = _Judged()
                own.add(finding, elsewhere=placed and name not in blamed)
    return found


def _cell(own: _Judged, cases: int) -> Cell:
    """The verdicts on the cases of a card."""
    numbers = own.numbers
    judged = sum(number for (verdict, _), number in numbers.items() if verdict not in UNJUDGED)
    parts = [
        Part(badge(verdict), f"{numbers[verdict, elsewhere]:,}", elsewhere)
        for verdict in SEVERITY
        for elsewhere in (False, True)
        if (verdict, elsewhere) in numbers
    ]
    return Cell(f"{judged:,}", bool(cases) and not judged, tuple(parts), own.worst)


def _gaps(
    cases: Sequence[CaseRecord],
    counts: Mapping[str, Mapping[str, int]],
    kinds: Sequence[Kind],
    implementations: Sequence[str],
) -> Iterable[str]:
    """What a pass of this run does not mean, the worst first."""
    yield from _failures(cases)
    cards = [row for kind in kinds for row in kind.rows]
    never = [row.name for row in cards if row.never]
    if never:
        verb = "was" if len(never) == 1 else "were"
        yield f"{len(never):,} of {counted(len(cards), 'card')} {verb} never tested: {_names(never)}."
    tested = [row for row in cards if not row.never]
    nowhere = [row.name for row in tested if row.cells and all(cell.never for cell in row.cells)]
    yield from _unjudged(nowhere, "any implementation" if len(implementations) > 1 else listing(implementations))
    for position, who in enumerate(implementations if len(implementations) > 1 else ()):
        yield from _unjudged([row.name for row in tested if row.cells[position].never and row.name not in nowhere], who)
    missing = [name for name, number in counts["dtypes"].items() if not number]
    if missing and len(cases) > len(missing):
        used = [name for name, number in counts["dtypes"].items() if number]
        yield f"Every case is in {listing(used)}: {listing(missing)} was never tested."
    drawn = [case for case in cases if case.generated]
    empty = [case for case in drawn if case.findings and all(one.verdict in UNJUDGED for one in case.findings)]
    if empty:
        said = "says nothing: it has" if len(empty) == 1 else "say nothing: they have"
        yield f"{len(empty):,} of {counted(len(drawn), 'generated case')} {said} no exact value, or no finite bound."


def _unjudged(names: Sequence[str], where: str) -> Iterable[str]:
    if names:
        them = "card" if len(names) == 1 else f"{len(names):,} cards"
        yield f"No case with the {them} {_names(names)} was judged in {where}."


def _failures(cases: Sequence[CaseRecord]) -> Iterable[str]:
    failed = [case for case in cases if any(finding.internal for finding in case.findings)]
    if failed:
        yield f"Gradparity itself failed in {counted(len(failed), 'case')}, first in {failed[0].id}: please report it."


def _tables(
    counts: Mapping[str, Mapping[str, int]],
    known: Sequence[tuple[CaseRecord, Tested]],
    implementations: Sequence[str],
) -> Iterable[Table]:
    wild = {"among the given numbers": sum("given" in tested.non_finite for _, tested in known)}
    wild |= {f"in {who}": sum(who in tested.non_finite for _, tested in known) for who in implementations}
    yield _table("Dtype", "", counts["dtypes"])
    yield _table("Layers in the network", "", _binned(counts["depths"], DEPTHS), ordered=True)
    yield _table("Update steps", "", _binned(counts["steps"], STEPS), ordered=True)
    yield _table("Optimizer", "", counts["optimizers"])
    yield _table("Numbers", "Given, or drawn: how the bulk of them was.", counts["regimes"])
    yield _table("Special values", "Placed among the numbers of a generated case.", counts["specials"])
    yield replace(_table("NaN or infinity", "Cases in which there was one.", wild), wanted=False)


def _table(title: str, note: str, counts: Mapping[str, int], *, ordered: bool = False) -> Table:
    most = max(counts.values(), default=0)
    bins = tuple(Bin(name, f"{number:,}", _share(number, most), not number) for name, number in counts.items())
    return Table(title, note, bins, ordered)


def _binned(counts: Mapping[str, int], starts: Sequence[int]) -> dict[str, int]:
    """Counts of whole numbers, in bins.

    >>> _binned({"0": 2, "5": 1, "700": 1}, (0, 1, 4, 100))
    {'0': 2, '1 to 3': 0, '4 to 99': 1, '100 and more': 1}
    """
    binned = {}
    for start, after in zip(starts, [*starts[1:], 0], strict=True):
        name = f"{start:,} and more" if not after else str(start) if after == start + 1 else f"{start} to {after - 1:,}"
        inside = (number for value, number in counts.items() if int(value) >= start and not 0 < after <= int(value))
        binned[name] = sum(inside)
    return binned


def _kinks(catalogue: Catalogue, known: Sequence[tuple[CaseRecord, Tested]]) -> tuple[KinkRow, ...]:
    found: dict[str, list[int]] = {name: [0, 0, 0, 0, 0] for name in catalogue.branching}
    for _, tested in known:
        for one in tested.branching:
            at_one = int(one.ties + one.undetermined > 0)
            row = found.setdefault(one.card, [0, 0, 0, 0, 0])
            for position, number in enumerate((1, at_one, one.comparisons, one.ties, one.undetermined)):
                row[position] += number
    rows = []
    for name, numbers in sorted(found.items()):
        cases, near, comparisons, ties, undetermined = (f"{number:,}" for number in numbers)
        rows.append(KinkRow(name, cases, near, comparisons, ties, undetermined, not numbers[1]))
    return tuple(rows)


def lacks(cases: Iterable[CaseRecord]) -> tuple[Lack, ...]:
    """What implementations say that they lack, the most frequent first."""
    counts: dict[tuple[str, str], int] = {}
    for finding in (finding for case in cases for finding in case.findings if finding.verdict == "not implemented"):
        reason = finding.sentence.partition("does not implement this case: ")[2] or finding.sentence
        key = (finding.implementation, reason.removeprefix(f"{finding.implementation}: "))
        counts[key] = counts.get(key, 0) + 1
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return tuple(Lack(who, f"{number:,}", reason) for (who, reason), number in ordered)


def _share(number: int, most: int) -> int:
    """In percent, and visible as long as it is not 0."""
    return max(1, round(100 * number / most)) if number and most else 0


def _names(names: Sequence[str]) -> str:
    if len(names) <= NAMED:
        return listing(names)
    return f"{', '.join(names[:NAMED])} and {len(names) - NAMED:,} more"
