"""Second derivatives: Hessian-vector products of the total loss, exact, by hand-written backward passes, and judged.

    H v = d/de grad L(w + e v)   at e = 0, over all inputs and parameters together

The exact product is the tangent of the tape's gradient, the tape being run over duals of balls. NumPy's is the card's
own hand-written backward pass over duals of floats: forward mode over reverse mode, as jax's ``jvp`` of ``grad``.
Torch differentiates its backward pass once more (``create_graph``). The bound is that of the card's source over
duals of bounded numbers, together with that of the tape's: two correct formulas for the same numbers.

Only smooth networks have a Hessian; where a card has kinks, nothing is claimed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from harness.arrays import BallArray, BoundedArray, ErrorModel, Tape, precision
from harness.arrays.bounded import envelope
from harness.arrays.dual import UsualDual
from harness.arrays.plain import PlainArray
from harness.campaign.records import SEVERITY
from harness.case import Case, Network
from harness.judge.calibration import load_budgets
from harness.judge.compare import Comparison, compare
from harness.judge.ladder import at_precision, rung
from harness.judge.oracle import FIRST_BITS
from harness.judge.walk import backward, forward, given_as
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS

Directions = Mapping[str, Array]
"""By input and parameter, the part of v that belongs to it."""


Run = Callable[[Case, Directions], Mapping[str, Array]]
"""What computes H v."""


@runtime_checkable
class Curved(Protocol):
    """An implementation that offers second derivatives."""

    name: str

    def hessian_vector(self, case: Case, directions: Directions) -> Mapping[str, Array]:
        """H v, by input and parameter."""


def leaves(network: Network) -> list[str]:
    """What a Hessian is taken with respect to: every input that is no whole number, and every parameter."""
    return [*(name for name, spec in network.inputs.items() if spec.dtype == "case"), *network.params]


def smooth(network: Network, cards: Cards) -> bool:
    """Whether no operation of a network has a kink, in its value or in its slope."""
    used = [cards.operation(node.op) for _, node in network.operations()]
    return not any(card.kinks or card.bends for card in used)


def directions_for(case: Case, seed: int = 0) -> dict[str, Array]:
    """Small whole numbers, which are exact in every dtype."""
    rng = np.random.default_rng(seed)
    return {name: rng.integers(-2, 3, case.values[name].shape).astype(case.dtype) for name in leaves(case.network)}


def exact_curvature(case: Case, cards: Cards, directions: Directions, bits: int = FIRST_BITS) -> dict[str, BallArray]:
    """H v in ball arithmetic, by a tape over duals: no hand-written backward pass takes part."""
    with precision(bits):
        return {name: grad.tangent for name, grad in _by_tape(case, cards, directions, BallArray.exact).items()}


def numpy_curvature(case: Case, cards: Cards, directions: Directions) -> dict[str, Array]:
    """H v in floating point, by duals through the cards' hand-written backward passes."""
    found = _by_hand(case, cards, directions, lambda array: PlainArray(np.asarray(array, case.dtype)))
    return {name: np.asarray(grad.tangent.data) for name, grad in found.items()}


def curvature_bounds(case: Case, cards: Cards, directions: Directions) -> dict[str, Array]:
    """How far a correct floating-point evaluation of H v may lie from the exact one, element by element."""
    model = ErrorModel.of(case.dtype, load_budgets())

    def kind(array: Any) -> BoundedArray:
        return BoundedArray.given(array, model)

    by_hand, by_tape = (rule(case, cards, directions, kind) for rule in (_by_hand, _by_tape))
    return {name: envelope(by_hand[name].tangent, by_tape[name].tangent) for name in by_hand}


def judge_curvature(case: Case, cards: Cards, run: Run, directions: Directions) -> dict[str, Comparison]:
    """Hold an implementation's H v against the exact one.

    Second derivatives are sums over many paths, and a framework may collect them in another order than either formula
    of the bound does. So what lies beyond the bound is wrong only if it does not shrink with the precision as rounding
    does (`harness.judge.ladder`); if it shrinks, it is `suspicious`.
    """
    found = run(case, directions)
    exact, bounds = exact_curvature(case, cards, directions), curvature_bounds(case, cards, directions)
    judged = {name: compare(np.asarray(found[name]), exact[name], bounds[name]) for name in exact}
    if any(one.verdict == "mismatch" for one in judged.values()):
        shrinking = _shrinking(case, cards, run, directions)
        judged = {name: _doubted(one) if name in shrinking else one for name, one in judged.items()}
    return judged


def _shrinking(case: Case, cards: Cards, run: Run, directions: Directions) -> set[str]:
    """The names whose error is proportional to the unit roundoff, from float32 to float64."""
    low, high = at_precision(case, "float32"), at_precision(case, "float64")
    run32, run64 = run(low, _as(low, directions)), run(high, _as(high, directions))
    exact, reach = exact_curvature(high, cards, directions), curvature_bounds(low, cards, directions)
    rungs = {name: rung(run32[name], run64[name], exact[name], reach[name]) for name in exact}
    return {name for name, one in rungs.items() if one.verdict == "shrinks"}


def _as(case: Case, directions: Directions) -> Directions:
    return {name: array.astype(case.dtype) for name, array in directions.items()}


def _doubted(one: Comparison) -> Comparison:
    """The same, with `suspicious` for what lies beyond the bound."""
    mismatch, suspicious = SEVERITY.index("mismatch"), SEVERITY.index("suspicious")
    return replace(one, verdicts=np.where(one.verdicts == mismatch, suspicious, one.verdicts))


def _duals(case: Case, directions: Directions, kind: Callable[[Any], Any]) -> dict[str, Any]:
    def dual(name: str, array: Array) -> Any:
        return UsualDual(kind(array), kind(directions.get(name, np.zeros(array.shape))))

    return {
        name: array if array.dtype.kind in "iu" else dual(name, array) for name, array in case.values.items()
    }


def _by_hand(case: Case, cards: Cards, directions: Directions, kind: Callable[[Any], Any]) -> dict[str, Any]:
    one = UsualDual(kind(np.ones(())), kind(np.zeros(())))
    with np.errstate(all="ignore"):
        walk = forward(case.network, cards, _duals(case, directions, kind))
        grads = backward(case.network, cards, walk, one)
    return {name: grads.get(name, np.zeros_like(walk.values[name])) for name in leaves(case.network)}


def _by_tape(case: Case, cards: Cards, directions: Directions, kind: Callable[[Any], Any]) -> dict[str, Any]:
    tape = Tape()
    duals = _duals(case, directions, kind)
    walk = forward(case.network, cards, given_as(tape.variable, duals))
    wanted = leaves(case.network)
    return dict(zip(wanted, tape.gradients(walk.values[LOSS], [walk.values[name] for name in wanted]), strict=True))


__all__ = [
    "Curved",
    "Directions",
    "curvature_bounds",
    "directions_for",
    "exact_curvature",
    "judge_curvature",
    "leaves",
    "numpy_curvature",
    "smooth",
]
