"""The catalogue: every card that a run knew, its maths and its lines, beside what the run says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.campaign.records import CardRecord, Catalogue
from reports.coverage import Cell, Coverage, Row
from reports.wording import counted, ratio_text


@dataclass(frozen=True)
class Outcome:
    """What came of a card in one implementation."""

    implementation: str
    cell: Cell
    worst: str


@dataclass(frozen=True)
class Entry:
    """One card. `lines` are those of torch and of JAX."""

    row: Row
    summary: str
    maths: str
    lines: tuple[tuple[str, str], ...]
    outcomes: tuple[Outcome, ...]
    worst: str


@dataclass(frozen=True)
class Shelf:
    """The cards of one kind."""

    key: str
    title: str
    number: str
    entries: tuple[Entry, ...]


def catalogue_view(catalogue: Catalogue, tested: Coverage) -> tuple[Shelf, ...]:
    """All cards of which the run has kept the texts; those that were never tested with their zero."""
    texts = {(card.kind, card.name): card for card in catalogue.cards}
    shelves = []
    for kind in tested.kinds:
        rows = [row for row in kind.rows if (kind.key, row.name) in texts]
        if rows:
            entries = tuple(_entry(row, kind.key, texts, tested.implementations) for row in rows)
            never = sum(row.never for row in rows)
            number = counted(len(rows), "card") + (f", {never:,} of them never tested" if never else "")
            shelves.append(Shelf(kind.key, kind.title, number, entries))
    return tuple(shelves)


def _entry(
    row: Row, kind: str, texts: Mapping[tuple[str, str], CardRecord], implementations: tuple[str, ...]
) -> Entry:
    card = texts[kind, row.name]
    outcomes = [Outcome(who, cell, _worst(cell.worst)) for who, cell in zip(implementations, row.cells, strict=True)]
    return Entry(
        row=row,
        summary=card.summary,
        maths=card.maths,
        lines=(("torch", card.torch), ("JAX", card.jax)),
        outcomes=tuple(outcomes),
        worst=_worst(max((cell.worst for cell in row.cells), default=-1.0)),
    )


def _worst(ratio: float) -> str:
    """The largest error / bound; a dash where nothing was judged."""
    return ratio_text(ratio) if ratio >= 0 else "–"
