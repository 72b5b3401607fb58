"""Trying one card: generated cases that use it, in every implementation, and every mistake that it carries.

This is what somebody who adds a card runs (`gradparity check`), and what the mutation bench runs over all cards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from harness.campaign.records import Finding
from harness.case import Case, Dtype
from harness.errors import NotSupportedError
from harness.generate.architectures import architectures
from harness.generate.cases import DTYPES, GeneratedCase, cases_on, optimizers, sample
from harness.generate.values import MILD
from harness.judge.findings import failed, find
from harness.judge.judge import FAULTS, check_trace, judge
from harness.judge.oracle import Undecided, exact_step
from harness.mutants.mutant import Mutant, card_mutants, mutated_cards
from harness.protocol import Implementation
from harness.registry import Cards

DRAWS = 4
"""So many cases of each dtype on one architecture: compiled programs are used again."""
ENOUGH = 200
"""A mistake that no earlier case shows is taken for one that nobody would find."""


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

    def _more(self, done: int) -> list[GeneratedCase]:
        drawn = sample(_using(self.cards, self.card, self.dtypes), 1, self.seed * 100_003 + done)
        return [case for together in drawn for case in together]


def _using(cards: Cards, card: str, dtypes: Sequence[Dtype]) -> st.SearchStrategy[tuple[GeneratedCase, ...]]:
    """A few cases on one network around the card: of an optimizer, with a few steps of it."""
    if card in cards.operations:
        nets = architectures(cards, featuring=card, max_depth=2, max_penalties=1)
        specs: st.SearchStrategy[None] = st.none()
        return st.tuples(nets, specs).flatmap(
            lambda drawn: st.tuples(
                *(
                    cases_on(drawn[0], cards, dtypes=(dtype,), max_steps=0, specials=MILD)
                    for dtype in dtypes
                    for _ in range(DRAWS)
                )
            )
        )
    alone = Cards(cards.operations, {card: cards.optimizer(card)})
    nets = architectures(cards, min_depth=1, max_depth=2)
    return st.tuples(nets, optimizers(alone), st.integers(1, 3)).flatmap(
        lambda drawn: st.tuples(
            *(
                cases_on(drawn[0], cards, dtypes=(dtype,), max_steps=drawn[2], specials=MILD, optimizer=drawn[1])
                for dtype in dtypes
                for _ in range(DRAWS)
            )
        )
    )


def finding_of(case: Case, cards: Cards, one: Implementation) -> Finding:
    """Run and judge one implementation on one case; whatever it raises is its verdict."""
    shapes = cards.check(case)
    try:
        trace = one.run(case)
        check_trace(case, shapes, trace)
    except NotSupportedError as error:
        return failed(one.name, "not implemented", error)
    except Exception as error:  # noqa: BLE001 - a card that is being written may raise anything
        return failed(one.name, "crash", error)
    try:
        start = exact_step(case.network, cards, case.values)
        return find(case, one.name, judge(case, cards, trace, start))
    except Undecided as undecided:
        return failed(one.name, "undecided", undecided)


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


def try_mistakes(
    cases: Cases, wrong: Callable[[Cards], Implementation], most: int = ENOUGH
) -> Iterator[Found]:
    """Plant every mistake that the card carries, one at a time, and look for it; `wrong` runs cards' NumPy source."""
    for mutant in card_mutants(cases.cards):
        if mutant.target == cases.card:
            yield try_mistake(mutant, cases, wrong, most)


def try_mistake(mutant: Mutant, cases: Cases, wrong: Callable[[Cards], Implementation], most: int = ENOUGH) -> Found:
    """Look for one planted mistake; what crashes, by shapes that no longer fit, is found."""
    planted = wrong(mutated_cards(mutant, cases.cards))
    for number, case in enumerate(cases.first(most), start=1):
        finding = finding_of(case, cases.cards, planted)
        if finding.verdict in (*FAULTS, "crash"):
            return Found(mutant, number, case, finding)
    return Found(mutant, None)


__all__ = ["ENOUGH", "Cases", "Found", "Tried", "finding_of", "try_card", "try_mistake", "try_mistakes"]
