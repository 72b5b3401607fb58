"""Judging updates: each from the implementation's own parameter, gradients and state.

Where a rule jumps (the sign in Lion, the turns of Rprop, RAdam's threshold) and rounding may turn its comparison round,
each element is judged on every side that is open to it. Nobody records which side was taken, so an element is right if
there is one side on which its parameter and all of its state are; never one side for the one and another for the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.arrays import BallArray, BoundedArray, Choice, ErrorModel
from harness.campaign.records import SEVERITY
from harness.case import Case
from harness.judge.bounds import radius_of, update_bounds
from harness.judge.compare import Comparison, compare, on_own_branch
from harness.judge.oracle import exact_updates
from harness.judge.updates import After, Before
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace

MOST_SIDES = 256
"""So many combinations of sides are tried; beyond, an element has to be right on the side of the exact value."""
RIGHT = [SEVERITY.index(verdict) for verdict in ("exact", "rounding")]
ILL, UNDECIDED = SEVERITY.index("ill-conditioned"), SEVERITY.index("undecided")


@dataclass(frozen=True)
class Judged:
    """One quantity after an update: the comparison, and the bound that it was held to."""

    comparison: Comparison
    bound: Array


@dataclass(frozen=True)
class _Side:
    """One parameter's quantities on one combination of sides; `whole` are the sides that all elements share."""

    whole: tuple[int, ...]
    exact: Mapping[Quantity, BallArray]
    judged: Mapping[Quantity, Judged]

    def grade(self, shape: tuple[int, ...]) -> Array:
        """0 where everything is right at once, 1 where nothing is known to be wrong, 2 elsewhere."""
        grades = np.zeros(shape, dtype=int)
        for one in self.judged.values():
            verdicts = one.comparison.verdicts
            wrong = np.where(np.isin(verdicts, RIGHT), 0, np.where(np.isin(verdicts, [ILL, UNDECIDED]), 1, 2))
            grades = np.maximum(grades, wrong if wrong.shape in (shape, ()) else wrong.max(initial=0))
        return grades


def own_start(case: Case, cards: Cards, trace: Trace, step: int, own: Mapping[str, Array]) -> Before | None:
    """What the update after a step starts from in a trace; None where it did not record enough of it to judge any."""
    grads: dict[str, Array] = {}
    for name in own:
        watched = Quantity(step, "grad", name)
        g = trace.unwatched.get(watched, trace.quantities.get(watched))
        if g is not None:
            grads[name] = g
    if case.optimizer is not None and case.optimizer.clip is not None and len(grads) < len(own):
        return None
    kept = {name: w for name, w in own.items() if name in grads}
    if step == 0:
        return Before(1, kept, grads, dict.fromkeys(kept)) if kept else None
    states = {name: own_state(case, cards, trace, step, name, w) for name, w in kept.items()}
    known = {name: state for name, state in states.items() if state is not None}
    return Before(step + 1, {name: own[name] for name in known}, grads, known) if known else None


def own_state(case: Case, cards: Cards, trace: Trace, step: int, name: str, w: Array) -> dict[str, Array] | None:
    """A parameter's state at a step, as the trace has it; None where one of its slots was not recorded."""
    state = {slot: trace.quantities.get(Quantity(step, "state", name, slot)) for slot in slots_of(case, cards, w)}
    complete = {slot: array for slot, array in state.items() if array is not None}
    return complete if len(complete) == len(state) else None


def slots_of(case: Case, cards: Cards, w: Array) -> tuple[str, ...]:
    """The slots that the optimizer keeps of a parameter, with the case's hyperparameters."""
    assert case.optimizer is not None
    return tuple(cards.optimizer(case.optimizer.name).numpy_init(w, **cards.optimizer_hypers(case)))


def judge_updates(
    case: Case, cards: Cards, trace: Trace, before: Before, model: ErrorModel
) -> dict[Quantity, Judged]:
    """Every quantity that the update leads to and the trace has."""
    exact, free = exact_updates(cards, case, before), update_bounds(cards, case, before, model)
    judged: dict[Quantity, Judged] = {}
    for name in before.params:
        if any(mask is not None for mask in free[name].undecided):
            judged |= _on_own_side(case, cards, trace, before.only(name), model, exact[name], free[name])
        else:
            wanted = _results(before.t, name, exact[name])
            found = _compared(trace, wanted, _results(before.t, name, free[name]))
            if any(one.comparison.verdict == "mismatch" for one in found.values()):
                again = _computed_anew(case, cards, before, name, model)
                found = _compared(trace, wanted, _results(before.t, name, again))
            judged |= found
    return judged


def _computed_anew(case: Case, cards: Cards, before: Before, name: str, model: ErrorModel) -> After:
    """The update's bounds where the gradient carries one more rounding.

    XLA compiles the gradient's last operation into the update as well: of a penalty's 0.01 w and Adam's 0.1 g it makes
    0.001 w, and the gradient that it reports is another one.
    """
    with np.errstate(all="ignore"):
        wide = {key: np.asarray(g, np.float64) for key, g in before.grads.items()}
        loose = {key: BoundedArray(g, model.u * np.abs(g), model) for key, g in wide.items()}
    return update_bounds(cards, case, replace(before, grads=loose), model)[name]


def sides_taken(
    case: Case, cards: Cards, trace: Trace, step: int, name: str, model: ErrorModel
) -> dict[Quantity, BallArray]:
    """What one parameter's update leads to exactly, each element on the side that the trace took."""
    own = {other: trace.quantities.get(Quantity(step, "param", other), w) for other, w in case.params.items()}
    before = own_start(case, cards, trace, step, own)
    if before is None or name not in before.params:
        return {}
    alone = before.only(name)
    exact, free = exact_updates(cards, case, alone)[name], update_bounds(cards, case, alone, model)[name]
    found = list(_sides(case, cards, trace, alone, model, exact, free))
    chosen, first = _first_right(found, np.shape(alone.params[name]))
    taken = {}
    for quantity, default in found[0].exact.items():
        pick = first if default.shape == first.shape else np.zeros(default.shape, dtype=int)
        taken[quantity] = BallArray(_along([found[n].exact[quantity].data for n in chosen], pick))
    return taken


def _results(t: int, name: str, after: After) -> dict[Quantity, Any]:
    slots = {Quantity(t, "state", name, slot): number for slot, number in after.state.items()}
    return {Quantity(t, "param", name): after.w, **slots}


def _compared(
    trace: Trace, exact: Mapping[Quantity, BallArray], bounds: Mapping[Quantity, Any]
) -> dict[Quantity, Judged]:
    judged = {}
    for quantity, ball in exact.items():
        value = trace.quantities.get(quantity)
        if value is not None:
            radius = np.broadcast_to(radius_of(bounds[quantity]), ball.shape)
            judged[quantity] = Judged(compare(np.asarray(value), ball, radius), radius)
    return judged


def _on_own_side(
    case: Case, cards: Cards, trace: Trace, before: Before, model: ErrorModel, exact: After, free: After
) -> dict[Quantity, Judged]:
    """One parameter's quantities, each element on the first combination of sides on which all of it is right."""
    shape = np.shape(next(iter(before.params.values())))
    found: list[_Side] = []
    for side in _sides(case, cards, trace, before, model, exact, free):
        found.append(side)
        if len(found) == 1 and not side.grade(shape).any():
            return dict(side.judged)
    chosen, first = _first_right(found, shape)
    judged = {}
    for quantity, default in found[0].judged.items():
        those = [found[n].judged[quantity] for n in chosen]
        pick = first if default.bound.shape == shape else np.zeros(default.bound.shape, dtype=int)
        parts = ("errors", "ulps", "ratios", "verdicts")
        own = Comparison(*(_along([getattr(one.comparison, part) for one in those], pick) for part in parts))
        own = on_own_branch(own, default.comparison)
        # A side that real arithmetic has no value on, but rounding may reach: nothing can be said there.
        lost = (own.verdicts == UNDECIDED) & (default.comparison.verdicts != UNDECIDED)
        own = replace(own, verdicts=np.where(lost, ILL, own.verdicts))
        judged[quantity] = Judged(own, _along([one.bound for one in those], pick))
    return judged


def _sides(
    case: Case, cards: Cards, trace: Trace, before: Before, model: ErrorModel, exact: After, free: After
) -> Iterator[_Side]:
    """The judgements on every combination of sides, up to `MOST_SIDES`."""
    (name,) = before.params
    for whole, choices in itertools.islice(open_sides(exact, free), MOST_SIDES):
        forced = {name: choices}
        there = _results(before.t, name, exact_updates(cards, case, before, forced)[name])
        bounds = _results(before.t, name, update_bounds(cards, case, before, model, forced)[name])
        yield _Side(whole, there, _compared(trace, there, bounds))


def open_sides(exact: After, free: After) -> Iterator[tuple[tuple[int, ...], list[Choice]]]:
    """Every combination of sides, that of the exact value first; with it, which side the scalar comparisons take."""
    options: list[list[tuple[int, Choice]]] = []
    for made, mask in zip(exact.comparisons, free.undecided, strict=True):
        if mask is None:
            options.append([(-1, None)])
            continue
        yes, no = np.ones(made.taken.shape, dtype=bool), np.zeros(made.taken.shape, dtype=bool)
        sides: list[Choice] = [(mask, made.taken, made.tie), (mask, yes, no), (mask, no, no)]
        if made.name == "sign":
            sides.append((mask, no, yes))
        options.append(list(enumerate(sides)))
    for combination in itertools.product(*options):
        scalars = zip(combination, exact.comparisons, strict=True)
        yield (
            tuple(number for (number, _), made in scalars if made.taken.shape == ()),
            [choice for _, choice in combination],
        )


def _first_right(found: Sequence[_Side], shape: tuple[int, ...]) -> tuple[list[int], Array]:
    """Element by element the first side that is right, and the sides counted: those that share their scalar decisions.

    Where no side is right, but of one nothing is known, that one.
    """
    grades = [side.grade(shape) for side in found]
    groups = {side.whole: [n for n, other in enumerate(found) if other.whole == side.whole] for side in found}
    chosen = min(groups.values(), key=lambda group: int(np.min([grades[n] for n in group], axis=0).max(initial=0)))
    return chosen, np.argmin([grades[n] for n in chosen], axis=0)


def _along(arrays: Sequence[Array], pick: Array) -> Array:
    """Element by element, that of the array with the number."""
    made: Array = np.take_along_axis(np.stack(arrays), pick[None], axis=0)[0]
    return made


__all__ = ["Judged", "judge_updates", "open_sides", "own_start", "own_state", "sides_taken", "slots_of"]
