"""Trying one card: generated cases that use it, in every implementation, and every mistake that it carries.

This is what somebody who adds a card runs (`gradparity check`), and what the mutation bench runs over all cards.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import find as shrunk
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness.campaign.records import Finding
from harness.case import Case, Dtype, OptimizerSpec
from harness.errors import GradparityError, NotSupportedError
from harness.generate.architectures import Architecture, architectures
from harness.generate.cases import DTYPES, GeneratedCase, cases_on, optimizers, sample
from harness.generate.values import MILD
from harness.judge.findings import failed, find
from harness.judge.judge import FAULTS, check_trace, judge
from harness.judge.oracle import Undecided, exact_step
from harness.mutants.mutant import Mutant, card_mutants, mutated_cards
from harness.protocol import Implementation
from harness.registry import Cards
from harness.trace import LOSS

DRAWS = 4
"""So many cases of each dtype on one network: compiled programs are used again. Half as many under one optimizer, whose
hyperparameters matter more than the numbers."""
ENOUGH = 200
"""A mistake that no earlier case shows is taken for one that nobody would find."""


SIZES: Sequence[Mapping[str, Any]] = (
    {"widths": (1,), "batches": (1,), "lengths": (1, 2)},
    {"widths": (1, 2), "batches": (1,), "lengths": (1, 2)},
    {"widths": (1, 2), "batches": (1, 2), "lengths": (1, 2)},
    {},
)
"""Where a smallest case is looked for, one after the other."""
SEARCH = settings(database=None, deadline=None)


@dataclass(frozen=True)
class Tried:
    """What came of the correct implementations: the verdicts of each, and every finding that says otherwise."""

    verdicts: Mapping[str, Counter[str]]
    faults: Sequence[tuple[Case, Finding]]


@dataclass(frozen=True)
class Found:
    """A planted mistake, and after how many cases it was found: never, if `after` is None."""

    mutant: Mutant
    after: int | None
    case: Case | None = None
    finding: Finding | None = None


@dataclass
class Cases:
    """Cases that use a card, drawn as they are asked for and kept, the same ones for the same seed."""

    cards: Cards
    card: str
    seed: int = 0
    dtypes: Sequence[Dtype] = DTYPES
    _drawn: list[GeneratedCase] = field(default_factory=list)

    def __iter__(self) -> Iterator[GeneratedCase]:
        number = 0
        while True:
            if number >= len(self._drawn):
                self._drawn.extend(self._more(len(self._drawn)))
            yield self._drawn[number]
            number += 1

    def first(self, count: int) -> Iterator[GeneratedCase]:
        """So many of them."""
        return (case for case, _ in zip(self, range(count), strict=False))

    @cached_property
    def _blocks(self) -> st.SearchStrategy[tuple[GeneratedCase, ...]]:
        """One strategy for all draws: it remembers which cards fit what."""
        return blocks(self.cards, self.card, self.dtypes)

    def _more(self, done: int) -> list[GeneratedCase]:
        return list(sample(self._blocks, 1, self.seed * 100_003 + done)[0])


Start = tuple[Architecture, OptimizerSpec | None, int]
"""A network, an optimizer, and its number of steps."""


def using(cards: Cards, card: str, **sizes: Any) -> st.SearchStrategy[Start]:
    """Small networks around a card; around an optimizer, with a few steps of it. Sizes as `architectures` has them."""
    if card in cards.operations:
        nets = architectures(cards, featuring=card, max_depth=2, max_penalties=1, **sizes)
        return st.tuples(nets, st.none(), st.just(0))
    alone, most = Cards(cards.operations, {card: cards.optimizer(card)}), cards.optimizer(card).steps
    learning = architectures(cards, min_depth=1, max_depth=2, **sizes).filter(lambda net: bool(net.network.params))
    return st.tuples(learning, optimizers(alone), st.integers(1, most))


def blocks(
    cards: Cards, card: str, dtypes: Sequence[Dtype] = DTYPES
) -> st.SearchStrategy[tuple[GeneratedCase, ...]]:
    """Several cases on one network around a card, of every dtype: a compiled program is used more than once."""
    draws = DRAWS if card in cards.operations else DRAWS // 2
    return using(cards, card).flatmap(
        lambda start: st.tuples(*(_on(start, cards, dtype) for dtype in dtypes for _ in range(draws)))
    )


def _on(start: Start, cards: Cards, dtype: Dtype) -> st.SearchStrategy[GeneratedCase]:
    net, optimizer, steps = start
    return cases_on(net, cards, dtypes=(dtype,), max_steps=steps, specials=MILD, optimizer=optimizer)


def finding_of(case: Case, cards: Cards, one: Implementation) -> Finding:
    """Run and judge one implementation on one case; whatever it raises is its verdict."""
    shapes = cards.check(case)
    try:
        trace = one.run(case)
        check_trace(case, shapes, trace)
    except NotSupportedError as error:
        return failed(one.name, "not implemented", error)
    except Exception as error:  # noqa: BLE001 - a card that is being written may raise anything
        return failed(one.name, "crash" if _has_value(case, cards) else "undecided", error)
    try:
        start = exact_step(case.network, cards, case.values)
        return find(case, one.name, judge(case, cards, trace, start))
    except Undecided as undecided:
        return failed(one.name, "undecided", undecided)


def _has_value(case: Case, cards: Cards) -> bool:
    """Whether there is a loss to compute: torch refuses what is no number where a probability belongs."""
    try:
        return not np.isnan(exact_step(case.network, cards, case.values).values[LOSS].mid()).any()
    except Undecided:
        return False


def try_card(cases: Iterator[Case], cards: Cards, implementations: Sequence[Implementation]) -> Tried:
    """Judge correct implementations on these cases."""
    verdicts: dict[str, Counter[str]] = {one.name: Counter() for one in implementations}
    faults = []
    for case in cases:
        for one in implementations:
            found = finding_of(case, cards, one)
            verdicts[one.name][found.verdict] += 1
            if found.verdict in (*FAULTS, "crash"):
                faults.append((case, found))
    return Tried(verdicts, faults)


def try_mistakes(cases: Cases, by_hand: Callable[[Cards], Implementation], most: int = ENOUGH) -> Iterator[Found]:
    """Plant every mistake that the card carries, one at a time, and look for it.

    `by_hand` makes the implementation that runs the NumPy source of the cards that it is given.
    """
    for mutant in card_mutants(cases.cards):
        if mutant.target == cases.card:
            yield try_mistake(mutant, by_hand(mutated_cards(mutant, cases.cards)), cases, most)


def try_mistake(mutant: Mutant, planted: Implementation, cases: Cases, most: int = ENOUGH) -> Found:
    """Look for one mistake in the implementation that has it; what crashes, by shapes that no longer fit, is found."""
    for number, case in enumerate(cases.first(most), start=1):
        finding = finding_of(case, cases.cards, planted)
        if finding.verdict in (*FAULTS, "crash"):
            return Found(mutant, number, case, finding)
    return Found(mutant, None)


def smallest(
    case: Case, finding: Finding, one: Implementation, cases: Cases, most: int = 10 * ENOUGH
) -> tuple[Case, Finding]:
    """The smallest case that Hypothesis finds with the same fault of an implementation, in networks around a card.

    The same fault is the same verdict in one of the same operations, and after a crash the same words: a difference
    does not turn into another one on the way. It is looked for among networks of one unit and one sample first, then
    among larger ones: a smaller matrix needs other numbers than a part of the larger one's, and shrinking alone does
    not come upon them. Where nothing smaller fails, the case itself is returned.
    """

    def fails(drawn: Case) -> bool:
        return _same_fault(finding_of(drawn, cases.cards, one), finding)

    for sizes in SIZES:
        drawn = using(cases.cards, cases.card, **sizes).flatmap(lambda start: _on(start, cases.cards, case.dtype))
        search = settings(SEARCH, max_examples=ENOUGH if sizes else most)
        try:
            least = shrunk(drawn, fails, settings=search, random=random.Random(cases.seed))  # noqa: S311 - no secret
        except (NoSuchExample, GradparityError):  # nothing so small fails, or there is nothing so small
            continue
        return (least, finding_of(least, cases.cards, one)) if extent(least) < extent(case) else (case, finding)
    return case, finding


def _same_fault(now: Finding, then: Finding) -> bool:
    if now.verdict != then.verdict:
        return False
    if now.verdict == "crash":
        return re.sub(r"\d+", "", now.sentence) == re.sub(r"\d+", "", then.sentence)
    return bool(set(now.op.split(" or ")) & set(then.op.split(" or ")))


def extent(case: Case) -> tuple[int, int]:
    """How large a case is: operations, and numbers that it is given."""
    return len(list(case.network.operations())), sum(array.size for array in case.values.values())


__all__ = [
    "ENOUGH",
    "Cases",
    "Found",
    "Tried",
    "blocks",
    "extent",
    "finding_of",
    "smallest",
    "try_card",
    "try_mistake",
    "try_mistakes",
    "using",
]
