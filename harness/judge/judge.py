"""Judging one implementation's trace: a verdict for every quantity that it recorded.

Each recorded step is judged from the implementation's own parameters at that step, and each update from its own
gradients and state. So a step is never blamed for the ones before it, bounds do not grow with the number of
steps, and the first quantity at fault is where the fault is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.arrays import BallArray, ErrorModel
from harness.arrays import Comparison as Branching
from harness.case import Case
from harness.errors import ImplementationError
from harness.judge.bounds import Bounds, own_branches, step_bounds, straddling, update_bounds
from harness.judge.compare import Comparison, compare, on_own_branch
from harness.judge.oracle import Exact, exact_step, exact_update
from harness.judge.walk import Choice, Choices, differentiated
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS, Quantity, Trace

MOST_UNSEEN_BRANCHES = 6
"""An implementation that hides its intermediates is tried on every side of up to this many kinks."""


@dataclass(frozen=True)
class Kink:
    """A comparison nearer to its kink than rounding can tell, and the side one implementation took."""

    step: int
    node: str
    comparison: str
    index: tuple[int, ...]
    gap: BallArray
    bound: float
    own_gap: float | None
    taken: bool | None


@dataclass(frozen=True)
class Judgement:
    """What one trace comes to: comparisons and bounds by quantity, and the kinks met."""

    comparisons: dict[Quantity, Comparison] = field(default_factory=dict)
    bounds: dict[Quantity, Array] = field(default_factory=dict)
    kinks: list[Kink] = field(default_factory=list)


def check_trace(case: Case, shapes: Mapping[str, tuple[int, ...]], trace: Trace) -> None:
    """Raise `ImplementationError` unless a trace has the right names, shapes and dtypes, and what is required."""
    if not isinstance(trace, Trace):
        raise ImplementationError(f"run(case) needs to return a Trace, got {type(trace).__name__}")
    for quantity, array in trace.quantities.items():
        if not isinstance(quantity, Quantity):
            raise ImplementationError(f"a trace needs Quantity keys, got {quantity!r:.80}")
        needed = () if quantity.name == LOSS else shapes.get(quantity.name)
        if needed is None:
            raise ImplementationError(f"the trace has {quantity}, but the case has no {quantity.name!r}")
        if not isinstance(array, np.ndarray | np.generic) or array.dtype != case.dtype:
            got = getattr(array, "dtype", type(array).__name__)
            raise ImplementationError(f"{quantity}: needs a NumPy array of {case.dtype}, got {got}")
        if quantity.kind != "state" and array.shape != needed:
            raise ImplementationError(f"{quantity}: needs shape {needed}, got {array.shape}")
    required = [Quantity(0, "value", LOSS), *(Quantity(0, "grad", name) for name in case.network.params)]
    required += [Quantity(k + 1, "param", name) for k in case.recorded if k < case.steps for name in case.params]
    for quantity in required:
        if quantity not in trace.quantities:
            raise ImplementationError(f"the trace lacks {quantity}, which is required")


def judge(case: Case, cards: Cards, trace: Trace) -> Judgement:
    """Judge every quantity that can be judged from the trace's own numbers.

    Raises:
        Undecided: the exact value could not be had.
    """
    judged = Judgement()
    model = ErrorModel.of(case.dtype)
    for step in case.recorded:
        own = _own_parameters(case, trace, step)
        if own is None:
            continue
        if step == 0:
            for name, array in case.params.items():
                _keep(judged, trace, Quantity(0, "param", name), BallArray.exact(array), np.zeros(array.shape))
        _judge_step(case, cards, trace, step, {**case.values, **own}, model, judged)
        if step < case.steps:
            _judge_update(case, cards, trace, step, own, model, judged)
    return judged


def _own_parameters(case: Case, trace: Trace, step: int) -> dict[str, Array] | None:
    if step == 0:
        return case.params
    own = {name: trace.quantities.get(Quantity(step, "param", name)) for name in case.network.params}
    return None if any(array is None for array in own.values()) else own  # type: ignore[return-value]


def _judge_step(
    case: Case, cards: Cards, trace: Trace, step: int, given: dict[str, Array], model: ErrorModel, judged: Judgement
) -> None:
    network = case.network
    bounds = step_bounds(network, cards, given, model)
    exact = exact_step(network, cards, given)
    undetermined = {
        name: made for name, made in bounds.comparisons.items() if any(straddling(one).any() for one in made)
    }
    default = _compare_step(case, trace, step, exact, bounds)
    if not undetermined:
        own = default
    else:
        choices = _read_branches(case, cards, trace, step, given, undetermined, model)
        if choices is None:
            own = _best_side(case, cards, trace, step, given, undetermined, model, default)
        elif _same_side(choices, exact.comparisons):
            own = default
        else:
            own = _on_side(case, cards, trace, step, given, choices, model)
        _keep_kinks(judged, step, trace, undetermined, exact.comparisons, choices, cards, case)
    for quantity, comparison in default.items():
        judged.comparisons[quantity] = (
            comparison if own is default else on_own_branch(own[quantity], comparison)
        )
        table = bounds.values if quantity.kind == "value" else bounds.grads
        judged.bounds[quantity] = table[quantity.name]


def _compare_step(case: Case, trace: Trace, step: int, exact: Exact, bounds: Bounds) -> dict[Quantity, Comparison]:
    names = [LOSS, *(node.name for _, node in case.network.operations())]
    wanted = [(Quantity(step, "value", name), exact.values, bounds.values) for name in names]
    wanted += [(Quantity(step, "grad", name), exact.grads, bounds.grads) for name in differentiated(case.network)]
    return {
        quantity: compare(np.asarray(trace.quantities[quantity]), table[quantity.name], radii[quantity.name])
        for quantity, table, radii in wanted
        if quantity in trace.quantities
    }


def _on_side(
    case: Case, cards: Cards, trace: Trace, step: int, given: dict[str, Array], choices: Choices, model: ErrorModel
) -> dict[Quantity, Comparison]:
    exact = exact_step(case.network, cards, given, choices)
    bounds = step_bounds(case.network, cards, given, model, choices)
    return _compare_step(case, trace, step, exact, bounds)


def _read_branches(
    case: Case,
    cards: Cards,
    trace: Trace,
    step: int,
    given: Mapping[str, Array],
    undetermined: Mapping[str, list[Branching]],
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


def _same_side(choices: Choices, made: Mapping[str, list[Branching]]) -> bool:
    return all(
        choice is None or np.array_equal(choice[1][choice[0]], one.taken[choice[0]])
        for name, chosen in choices.items()
        for choice, one in zip(chosen, made[name], strict=True)
    )


def _best_side(
    case: Case,
    cards: Cards,
    trace: Trace,
    step: int,
    given: dict[str, Array],
    undetermined: Mapping[str, list[Branching]],
    model: ErrorModel,
    default: dict[Quantity, Comparison],
) -> dict[Quantity, Comparison]:
    """For an implementation that hides its branches: the first admissible combination that it is right on."""
    if all(comparison.verdict in ("exact", "rounding") for comparison in default.values()):
        return default
    for choices in _all_sides(undetermined):
        tried = _on_side(case, cards, trace, step, given, choices, model)
        if all(comparison.verdict in ("exact", "rounding") for comparison in tried.values()):
            return tried
    return default


def _all_sides(undetermined: Mapping[str, list[Branching]]) -> Iterator[Choices]:
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


def _keep_kinks(
    judged: Judgement,
    step: int,
    trace: Trace,
    undetermined: Mapping[str, list[Branching]],
    exact: Mapping[str, list[Branching]],
    choices: Choices | None,
    cards: Cards,
    case: Case,
) -> None:
    nodes = {node.name: node for _, node in case.network.operations()}
    for name, made in undetermined.items():
        seen: set[tuple[int, ...]] = set()
        source = trace.quantities.get(Quantity(step, "value", nodes[name].inputs[0])) if nodes[name].inputs else None
        for position, one in enumerate(made):
            for index in map(tuple, np.argwhere(straddling(one))):
                if index in seen:
                    continue
                seen.add(index)
                choice = choices[name][position] if choices is not None else None
                gaps = exact[name][position].exact_gap
                assert gaps is not None
                judged.kinks.append(
                    Kink(
                        step=step,
                        node=name,
                        comparison=one.name,
                        index=index,
                        gap=BallArray(np.asarray(gaps[index], dtype=object)),
                        bound=float(np.asarray(one.radius)[index]),
                        own_gap=None if source is None or source.shape != one.taken.shape else float(source[index]),
                        taken=None if choice is None else bool(choice[1][index]),
                    )
                )


def _judge_update(
    case: Case, cards: Cards, trace: Trace, step: int, own: Mapping[str, Array], model: ErrorModel, judged: Judgement
) -> None:
    assert case.optimizer is not None
    slots = cards.optimizer(case.optimizer.name).slots
    for name, w in own.items():
        g = trace.quantities.get(Quantity(step, "grad", name))
        state = {slot: trace.quantities.get(Quantity(step, "state", name, slot)) for slot in slots}
        if g is None or (step > 0 and any(array is None for array in state.values())):
            continue
        before = None if step == 0 else {slot: array for slot, array in state.items() if array is not None}
        exact_w, exact_state = exact_update(cards, case, name, step + 1, w, g, before)
        bound_w, bound_state = update_bounds(cards, case, step + 1, w, g, before, model)
        _keep(judged, trace, Quantity(step + 1, "param", name), exact_w, bound_w)
        for slot in slots:
            _keep(judged, trace, Quantity(step + 1, "state", name, slot), exact_state[slot], bound_state[slot])


def _keep(judged: Judgement, trace: Trace, quantity: Quantity, exact: BallArray, bound: Array) -> None:
    value = trace.quantities.get(quantity)
    if value is not None:
        judged.comparisons[quantity] = compare(np.asarray(value), exact, bound)
        judged.bounds[quantity] = bound
