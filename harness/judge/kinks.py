"""Kinks: where a branch is undetermined, which side an implementation took, and what may be tried when it hides it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.arrays import BallArray, ErrorModel, WideArray
from harness.arrays import Comparison as Branching
from harness.case import Case
from harness.judge.bounds import own_branches, straddling
from harness.judge.walk import Choice, Choices
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace

MOST_UNSEEN_BRANCHES = 6
"""An implementation that hides its intermediates is tried on every side of up to this many kinks."""

THREE_SIDED = ("absolute", "sign")
"""Comparisons that have a side of their own where they are a tie."""

Comparisons = Mapping[str, list[Branching]]
"""By node, the comparisons that it makes."""


@dataclass(frozen=True)
class Kink:
    """A comparison nearer to its kink than rounding can tell, and the side one implementation took.

    `gap` is the exact distance, `bound` that distance's rounding bound, `own_gap` the number the implementation
    has there and `taken` its side; both None when it hides them.
    """

    step: int
    node: str
    comparison: str
    index: tuple[int, ...]
    gap: BallArray
    bound: float
    own_gap: float | None
    taken: bool | None


def undetermined_of(comparisons: Comparisons) -> Comparisons:
    """The nodes with a comparison that rounding may turn round."""
    return {name: made for name, made in comparisons.items() if any(straddling(one).any() for one in made)}


def read_branches(
    case: Case,
    cards: Cards,
    trace: Trace,
    step: int,
    given: Mapping[str, Array],
    undetermined: Comparisons,
    model: ErrorModel,
) -> Choices | None:
    """The sides that the implementation took, from its own recorded values; None when it hides them."""
    own = dict(given)
    for _, node in case.network.operations():
        value = trace.quantities.get(Quantity(step, "value", node.name))
        if value is not None:
            own[node.name] = value
    choices: dict[str, list[Choice]] = {}
    for _, node in case.network.operations():
        if node.name in undetermined:
            read = own_branches(cards, node, own, undetermined[node.name], model)
            if read is None:
                return None
            choices[node.name] = read
    return choices


def same_side(choices: Choices, made: Comparisons) -> bool:
    """Whether these choices are what was decided anyway; of three sides, the third is a tie."""

    def alike(choice: Choice, one: Branching) -> bool:
        if choice is None:
            return True
        mask, *sides = choice
        decided = (one.taken, one.tie) if one.name in THREE_SIDED else (one.taken,)
        return all(np.array_equal(side[mask], own[mask]) for side, own in zip(sides, decided, strict=False))

    return all(
        alike(choice, one)
        for name, chosen in choices.items()
        for choice, one in zip(chosen, made[name], strict=True)
    )


def all_sides(undetermined: Comparisons) -> Iterator[Choices]:
    """Every combination of sides at the first `MOST_UNSEEN_BRANCHES` undetermined places."""
    places = [
        (name, tuple(index))
        for name, made in undetermined.items()
        for index in np.argwhere(np.logical_or.reduce([straddling(one) for one in made]))
    ][:MOST_UNSEEN_BRANCHES]
    for sides in itertools.product((True, False), repeat=len(places)):
        side_of = dict(zip(places, sides, strict=True))
        choices: dict[str, list[Choice]] = {}
        for name, made in undetermined.items():
            for one in made:
                mask, taken = straddling(one), np.array(one.taken)
                for (place, index), side in side_of.items():
                    if place == name:
                        taken[index] = side
                choices.setdefault(name, []).append((mask, taken))
        yield choices


def kinks_met(
    case: Case, trace: Trace, step: int, undetermined: Comparisons, exact: Comparisons, choices: Choices | None
) -> Iterator[Kink]:
    """One kink for each undetermined place; a place that a node compares twice is one."""
    nodes = {node.name: node for _, node in case.network.operations()}
    for name, made in undetermined.items():
        seen: set[tuple[int, ...]] = set()
        source = trace.quantities.get(Quantity(step, "value", nodes[name].inputs[0])) if nodes[name].inputs else None
        for position, one in enumerate(made):
            for index in (tuple(map(int, place)) for place in np.argwhere(straddling(one))):
                if index in seen:
                    continue
                seen.add(index)
                choice = choices[name][position] if choices is not None else None
                decided = exact[name][position]
                yield Kink(
                    step=step,
                    node=name,
                    comparison=one.name,
                    index=index,
                    gap=_gap(decided, index),
                    bound=float(np.asarray(one.radius)[index]),
                    own_gap=None if source is None or source.shape != one.taken.shape else float(source[index]),
                    taken=None if choice is None else bool(choice[1][index]),
                )


def _gap(decided: Branching, index: tuple[int, ...]) -> BallArray:
    """The exact gap at one place, however it was had."""
    if decided.exact_gap is not None:
        return BallArray(np.asarray(decided.exact_gap[index], dtype=object))
    return WideArray(np.asarray(decided.gap)[index], np.asarray(decided.radius)[index]).ball()
