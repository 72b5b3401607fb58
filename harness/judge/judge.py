"""Judging one implementation's trace: a verdict for every quantity that it recorded.

Each recorded step is judged from the implementation's own parameters at that step, and each update from its own
gradients and state. So a step is never blamed for the ones before it, and bounds do not grow with the number of steps.

Within a step there are two judgements. The **global** one holds each quantity against the exact value of the step,
under the worst-case bound; it also finds the kinks. The **local** one (`harness.judge.local`) holds each operation
against what it makes of the implementation's own numbers; it is far sharper in deep networks, and it names the
operation at fault. A quantity has to pass both. What an implementation hides is judged globally alone; there the worst
case is far from what rounding does, so what lies beyond its likely size (`harness.judge.monte_carlo`) is suspicious.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from harness.arrays import BallArray, ErrorModel
from harness.campaign.records import SEVERITY, Verdict
from harness.case import Case
from harness.errors import ImplementationError
from harness.judge.bounds import Bounds, step_bounds
from harness.judge.calibration import load_budgets
from harness.judge.compare import Comparison, beyond, both, compare, decided_by, excused, on_own_branch
from harness.judge.expected import Local
from harness.judge.kinks import Comparisons, Kink, all_sides, kinks_met, read_branches, same_side, undetermined_of
from harness.judge.local import Own, local_step
from harness.judge.monte_carlo import monte_carlo_bounds
from harness.judge.oracle import Exact, exact_step
from harness.judge.update_judge import judge_updates, own_start
from harness.judge.walk import Choices, differentiated
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS, Quantity, QuantityKind, Trace

PASSES = ("exact", "rounding")
FAULTS = ("mismatch", "non-finite")
"""The verdicts that say: this is wrong."""
PASSING = [SEVERITY.index(verdict) for verdict in PASSES]


@dataclass(frozen=True)
class Judgement:
    """What one trace comes to, by quantity; and the kinks met.

    `bounds` are the worst-case bounds. `sharpness` is the smallest relative change of an element that would have
    been seen: the bound that it was held to, over its size. A pass whose sharpness is 1 or more is vacuous.
    `faults` are the quantities whose own operation is at fault, as opposed to those that inherit its error.
    """

    comparisons: dict[Quantity, Comparison] = field(default_factory=dict)
    bounds: dict[Quantity, Array] = field(default_factory=dict)
    sharpness: dict[Quantity, Array] = field(default_factory=dict)
    faults: set[Quantity] = field(default_factory=set)
    kinks: list[Kink] = field(default_factory=list)

    def vacuous(self, quantity: Quantity) -> Array:
        """The elements of a quantity that pass, but would have passed whatever their size."""
        empty: Array = self.sharpness[quantity] >= 1
        return empty & np.isin(self.comparisons[quantity].verdicts, PASSING)


@dataclass(frozen=True)
class _Step:
    """One recorded step of one trace, and what its judgement needs throughout."""

    case: Case
    cards: Cards
    trace: Trace
    step: int
    given: dict[str, Array]
    model: ErrorModel
    known: Exact | None


def check_trace(case: Case, shapes: Mapping[str, tuple[int, ...]], trace: Trace) -> None:
    """Raise `ImplementationError` unless a trace has the right names, shapes and dtypes, and what is required."""
    if not isinstance(trace, Trace):
        raise ImplementationError(f"run(case) needs to return a Trace, got {type(trace).__name__}")
    for quantity, array in (*trace.quantities.items(), *trace.unwatched.items()):
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
    first = case.recorded[0]
    required = [Quantity(first, "value", LOSS), *(Quantity(first, "grad", name) for name in case.network.params)]
    required += [Quantity(k + 1, "param", name) for k in case.recorded if k < case.steps for name in case.params]
    for quantity in required:
        if quantity not in trace.quantities:
            raise ImplementationError(f"the trace lacks {quantity}, which is required")


def judge(case: Case, cards: Cards, trace: Trace, start: Exact | None = None) -> Judgement:
    """Judge every quantity that can be judged from the trace's own numbers.

    `start` gives the exact values at step 0, where they are known already: they are the same for every trace.

    Raises:
        Undecided: the exact value could not be had.
    """
    judged = Judgement()
    model = ErrorModel.of(case.dtype, load_budgets())
    for step in case.recorded:
        own = own_parameters(case, trace, step)
        if own is None:
            continue
        at = _Step(case, cards, trace, step, {**case.values, **own}, model, start if step == 0 else None)
        if step == 0:
            for name, array in case.params.items():
                _judge_start(judged, trace, Quantity(0, "param", name), array)
        _judge_step(at, judged)
        if step < case.steps:
            _judge_update(at, own, judged)
    return judged


def own_parameters(case: Case, trace: Trace, step: int) -> dict[str, Array] | None:
    """The parameters that a step of this trace starts from; None when they were not recorded."""
    if step == 0:
        return case.params
    own = {name: trace.quantities.get(Quantity(step, "param", name)) for name in case.network.params}
    return None if any(array is None for array in own.values()) else own  # type: ignore[return-value]


def own_numbers(at_trace: Trace, step: int, given: Mapping[str, Array]) -> Own:
    """An implementation's own values and gradients at one step, as a block of one case."""
    values, grads = dict(given), {}
    for quantity, array in at_trace.quantities.items():
        if quantity.step == step and quantity.kind == "value":
            values[quantity.name] = array
        elif quantity.step == step and quantity.kind == "grad":
            grads[quantity.name] = array
    return Own(
        {name: np.asarray(array)[None] for name, array in values.items()},
        {name: np.asarray(array)[None] for name, array in grads.items()},
    )


def _judge_step(at: _Step, judged: Judgement) -> None:
    bounds = step_bounds(at.case.network, at.cards, at.given, at.model)
    exact = at.known or exact_step(at.case.network, at.cards, at.given)
    whole = _compare_step(at, at.trace.quantities, exact, bounds)
    hidden = _compare_step(at, at.trace.unwatched, exact, bounds)
    undetermined = undetermined_of(bounds.comparisons)
    choices: Choices | None = None
    if undetermined:
        choices = read_branches(at.case, at.cards, at.trace, at.step, at.given, undetermined, at.model)
        if choices is None:
            whole = _on_best_side(at, undetermined, at.trace.quantities, whole)
        elif not same_side(choices, exact.comparisons):
            whole = _on_side(at, choices, at.trace.quantities, whole)
        # The program that nobody watches is another program: it may land on another side.
        hidden = _on_best_side(at, undetermined, at.trace.unwatched, hidden)
        judged.kinks.extend(kinks_met(at.case, at.trace, at.step, undetermined, exact.comparisons, choices))
    locally = local_step(at.case.network, at.cards, own_numbers(at.trace, at.step, at.given), at.model)
    verdicts = {found.comparison.verdict for found in locally.values()}
    excuses: tuple[Verdict, ...] = () if verdicts & set(FAULTS) else ("convention", "undetermined branch")
    excuse: Verdict | None = next((one for one in excuses if one in verdicts), None)
    if any(np.isnan(one.gap).any() for made in exact.comparisons.values() for one in made):
        excuse = "undecided"  # On which side of a kink NaN lies nobody can say.
    if "undecided" in verdicts and not verdicts & set(FAULTS):
        excuse = "undecided"  # Nor whether it spreads.
    unseen = [quantity for quantity in whole if (quantity.kind, quantity.name) not in locally]
    if unseen:
        likely = monte_carlo_bounds(at.case.network, at.cards, at.given, at.model, choices)
        for quantity in unseen:
            table = likely.values if quantity.kind == "value" else likely.grads
            whole[quantity] = beyond(whole[quantity], table[quantity.name])
    for quantity, comparison in whole.items():
        table = bounds.values if quantity.kind == "value" else bounds.grads
        judged.bounds[quantity] = table[quantity.name]
        if quantity in hidden:
            comparison = both(comparison, hidden[quantity])
        if excuse is not None:
            # Every operation is right for the subgradient it took, so what the whole step differs by follows from that.
            comparison = excused(comparison, excuse)
        _settle(judged, quantity, comparison, locally, at)
    if not judged.faults:
        judged.faults.update(q for q in whole if judged.comparisons[q].verdict in FAULTS)


def _settle(
    judged: Judgement,
    quantity: Quantity,
    comparison: Comparison,
    locally: Mapping[tuple[QuantityKind, str], Local],
    at: _Step,
) -> None:
    """Put the two judgements of one quantity together, and say how sharp they were."""
    found = locally.get((quantity.kind, quantity.name))
    held_to = judged.bounds[quantity]
    if found is not None:
        held_to = found.radius[0]
        own = found.comparison.case(0)
        comparison = decided_by(own, comparison)
        if own.verdict in FAULTS:
            judged.faults.add(quantity)
        comparison = both(comparison, own)
    judged.comparisons[quantity] = comparison
    size = np.abs(np.asarray(at.trace.quantities[quantity], dtype=np.float64))
    with np.errstate(all="ignore"):
        judged.sharpness[quantity] = np.where(held_to == 0, 0.0, held_to / size)


def _compare_step(
    at: _Step, recorded: Mapping[Quantity, Array], exact: Exact, bounds: Bounds
) -> dict[Quantity, Comparison]:
    names = [LOSS, *(node.name for _, node in at.case.network.operations())]
    wanted = [(Quantity(at.step, "value", name), exact.values, bounds.values) for name in names]
    wanted += [(Quantity(at.step, "grad", name), exact.grads, bounds.grads) for name in differentiated(at.case.network)]
    return {
        quantity: compare(np.asarray(recorded[quantity]), table[quantity.name], radii[quantity.name])
        for quantity, table, radii in wanted
        if quantity in recorded
    }


def _on_side(
    at: _Step, choices: Choices, recorded: Mapping[Quantity, Array], default: Mapping[Quantity, Comparison]
) -> dict[Quantity, Comparison]:
    exact = exact_step(at.case.network, at.cards, at.given, choices)
    bounds = step_bounds(at.case.network, at.cards, at.given, at.model, choices)
    own = _compare_step(at, recorded, exact, bounds)
    return {quantity: on_own_branch(own[quantity], comparison) for quantity, comparison in default.items()}


def _on_best_side(
    at: _Step,
    undetermined: Comparisons,
    recorded: Mapping[Quantity, Array],
    default: dict[Quantity, Comparison],
) -> dict[Quantity, Comparison]:
    """For a program that hides its branches: the first admissible combination that it is right on."""
    if all(comparison.verdict in PASSES for comparison in default.values()):
        return default
    for choices in all_sides(undetermined):
        tried = _on_side(at, choices, recorded, default)
        if all(comparison.verdict in (*PASSES, "undetermined branch") for comparison in tried.values()):
            return tried
    return default


def _judge_start(judged: Judgement, trace: Trace, quantity: Quantity, given: Array) -> None:
    """The parameters that a run starts from, which are given."""
    if quantity in trace.quantities:
        none = np.zeros(given.shape)
        value = np.asarray(trace.quantities[quantity])
        _keep(judged, trace, quantity, compare(value, BallArray.exact(given), none), none)


def _judge_update(at: _Step, own: Mapping[str, Array], judged: Judgement) -> None:
    before = own_start(at.case, at.cards, at.trace, at.step, own)
    if before is None:
        return
    for quantity, found in judge_updates(at.case, at.cards, at.trace, before, at.model).items():
        _keep(judged, at.trace, quantity, found.comparison, found.bound)


def _keep(judged: Judgement, trace: Trace, quantity: Quantity, comparison: Comparison, bound: Array) -> None:
    judged.comparisons[quantity] = comparison
    judged.bounds[quantity] = bound
    if comparison.verdict in FAULTS:
        judged.faults.add(quantity)
    size = np.abs(np.asarray(trace.quantities[quantity], dtype=np.float64))
    with np.errstate(all="ignore"):
        judged.sharpness[quantity] = np.where(bound == 0, 0.0, bound / size)
