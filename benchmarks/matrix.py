"""The matrix: every card, every implementation, every property, as measured; writes docs/cards.md.

    python -m benchmarks.matrix [--cases 16] [--only CARD]... [--output docs/cards.md]

The cards and implementations are those of the registries. A cell holds what was found: the gravest verdict over the
cases, `not implemented` where a library lacks the operation, and for Hessian-vector products the kinks that stand in
the way.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.page import table
from harness.campaign.card_check import Cases, finding_of
from harness.campaign.records import SEVERITY, Verdict
from harness.errors import NotSupportedError
from harness.judge.curvature import directions_for, judge_curvature, numpy_curvature, smooth
from harness.judge.judge import judge
from harness.judge.oracle import Undecided, exact_step
from harness.protocol import Implementation
from harness.registry import Cards, implementation, installed_cards, installed_implementations
from harness.spec import Operation
from harness.trace import Quantity

PACKAGES = ("gradparity", "numpy", "torch", "jax", "optax")
PROPERTIES = ("value", "gradient", "update", "Hessian")
AGREES = ("exact", "rounding")
MISSING = "not implemented"


@dataclass
class Cell:
    """What was found of one property of a card in one implementation: how often each verdict was the gravest."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, verdict: str) -> None:
        """One more case."""
        self.counts[verdict] = self.counts.get(verdict, 0) + 1

    def __str__(self) -> str:
        if not self.counts:
            return ""
        agree = sum(count for verdict, count in self.counts.items() if verdict in AGREES)
        rest = [f"{verdict} {count}" for verdict, count in self.counts.items() if verdict not in (*AGREES, MISSING)]
        missing = [MISSING] if MISSING in self.counts else []
        return ", ".join([*([f"agrees {agree}"] if agree else []), *rest, *missing])


Row = dict[tuple[str, str], Cell]
"""By property and implementation."""


def measure(name: str, cards: Cards, implementations: Sequence[Implementation], count: int) -> Row:
    """Judge a card's properties in so many cases."""
    row: Row = {(prop, one.name): Cell() for prop in PROPERTIES for one in implementations}
    card = cards.operations.get(name)
    for case in Cases(cards, name).first(count):
        for one in implementations:
            try:
                trace = one.run(case)
                start = exact_step(case.network, cards, case.values)
                judged = judge(case, cards, trace, start)
            except NotSupportedError:
                for prop in ("value", "gradient") if card else ("update",):
                    row[prop, one.name].add(MISSING)
                continue
            except Undecided:
                continue
            except Exception:  # noqa: BLE001 - torch refuses what is no number; whether there should be one is asked there
                for prop in ("value", "gradient") if card else ("update",):
                    row[prop, one.name].add(finding_of(case, cards, one).verdict)
                continue
            own = _concerned(case.network.operations(), name, card)
            for prop, kinds in (("value", ("value",)), ("gradient", ("grad",)), ("update", ("param", "state"))):
                found = [
                    judged.comparisons[quantity].verdict
                    for quantity in judged.comparisons
                    if quantity.kind in kinds and (quantity.step > 0 if prop == "update" else _is_own(quantity, own))
                ]
                if found and (prop == "update") != bool(card):
                    row[prop, one.name].add(max(found, key=SEVERITY.index))
    if card is not None and not card.kinks + card.bends:
        _curvature(row, name, cards, implementations, count)
    return row


def _concerned(operations: Iterator[tuple[str, object]], name: str, card: Operation | None) -> set[str]:
    """The nodes that are this card, and what they are applied to."""
    own: set[str] = set()
    for _, node in operations:
        if card is None or node.op == name:  # type: ignore[attr-defined]
            own |= {node.name, *node.inputs, *node.params.values()}  # type: ignore[attr-defined]
    return own


def _is_own(quantity: Quantity, own: set[str]) -> bool:
    return quantity.step == 0 and quantity.name in own


def _curvature(row: Row, name: str, cards: Cards, implementations: Sequence[Implementation], count: int) -> None:
    # In torch a large log-cosh has no second derivative (see the card), which says nothing of the card beside it.
    others = {key: card for key, card in cards.operations.items() if key == name or key != "log_cosh"}
    plain = Cards({key: card for key, card in others.items() if not card.kinks + card.bends}, {})
    for case in Cases(plain, name).first(max(1, count // 2)):
        if not smooth(case.network, cards):
            continue
        directions = directions_for(case)
        for one in implementations:
            run = getattr(one, "hessian_vector", None)
            if one.name == "numpy":
                run = lambda case, along: numpy_curvature(case, cards, along)  # noqa: E731 - one of three alike
            if run is None:
                row["Hessian", one.name].add(MISSING)
                continue
            try:
                judged = judge_curvature(case, cards, run, directions)
            except NotSupportedError:
                row["Hessian", one.name].add(MISSING)
                continue
            verdicts: list[Verdict] = [comparison.verdict for comparison in judged.values()]
            row["Hessian", one.name].add(max(verdicts, key=SEVERITY.index) if verdicts else "exact")


def page(command: str, cards: Cards, names: Sequence[str], rows: dict[str, Row], count: int) -> str:
    """The page."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    parts = [
        "# The cards",
        f"Generated by `{command}` on {datetime.datetime.now(datetime.UTC).date()}, with {versions}: {count} random "
        "cases per card, half in float32 and half in float64. `agrees` counts the cases in which every number is exact "
        f"or within its rounding bound; `{MISSING}` means that the library has no such operation, or not with all "
        "hyperparameters. A Hessian-vector product is taken of smooth cards only.",
    ]
    for kind, title in (("layer", "Layers"), ("loss", "Losses"), ("penalty", "Penalties")):
        chosen = [name for name in names if name in cards.operations and cards.operations[name].kind == kind]
        if chosen:
            parts += [f"## {title} ({len(chosen)})", _table(cards, chosen, rows, ("value", "gradient", "Hessian"))]
    chosen = [name for name in names if name in cards.optimizers]
    if chosen:
        parts += [f"## Optimizers ({len(chosen)})", _table(cards, chosen, rows, ("update",))]
    return "\n\n".join(parts) + "\n"


def _table(cards: Cards, names: Sequence[str], rows: dict[str, Row], properties: Sequence[str]) -> str:
    programs = list(dict.fromkeys(program for _, program in next(iter(rows.values()))))
    header = ["card", "what it is", *(f"{prop}: {program}" for prop in properties for program in programs)]
    cells = []
    for name in names:
        card = cards.operations.get(name) or cards.optimizers[name]
        kinks = (*getattr(card, "kinks", ()), *getattr(card, "bends", ()))
        found = [
            f"not smooth: {'; '.join(kinks)}" if prop == "Hessian" and kinks else str(rows[name][prop, program])
            for prop in properties
            for program in programs
        ]
        cells.append((f"`{name}`", card.summary, *found))
    return table(header, cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when anything disagrees."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.matrix", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--only", action="append", default=[], help="only this card; repeatable")
    parser.add_argument("--output", type=Path, default=Path("docs/cards.md"))
    given = parser.parse_args(arguments)
    cards = installed_cards()
    implementations = [implementation(name) for name in installed_implementations()]
    names = [name for name in (*cards.operations, *cards.optimizers) if not given.only or name in given.only]
    rows: dict[str, Row] = {}
    for name in sorted(names):
        rows[name] = measure(name, cards, implementations, given.cases)
        wrong = {key: str(cell) for key, cell in rows[name].items() if {"mismatch", "non-finite"} & set(cell.counts)}
        print(f"{name}: {wrong or 'agrees'}", file=sys.stderr, flush=True)
    command = " ".join(["python -m benchmarks.matrix", *(arguments if arguments is not None else sys.argv[1:])])
    given.output.write_text(page(command, cards, sorted(names), rows, given.cases), encoding="utf-8")
    bad = [cell for row in rows.values() for cell in row.values() if {"mismatch", "non-finite"} & set(cell.counts)]
    return 1 if bad else 0


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        sys.exit(main())
