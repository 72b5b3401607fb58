"""Where a framework's function computes something else than the formula that its name stands for.

Each is the framework's own rule, as a card. A finding on that framework is explained when its own numbers, operation
by operation, are what this card makes of them: so the rule has to hold everywhere, not only near the places at which
it differs, and a mistake beside it is not explained. What the framework refuses instead is a condition on the numbers
of the same inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from harness import Case, Implementation, Network, Node, TensorSpec, installed_cards
from harness.arrays import ErrorModel
from harness.judge.calibration import load_budgets
from harness.judge.judge import FAULTS, judge, own_numbers, own_parameters
from harness.judge.local import local_step
from harness.spec import Operation
from reference_impls.losses._reduction import divisor
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
LEAST_LOG = -100.0
LEAST_VARIANCE = float(np.float32(1e-12))
"""Torch's constant is a float32, in float64 too."""


@dataclass(frozen=True)
class Divergence:
    """A framework's own rule for an operation, and the smallest case in which it shows.

    `refuses` is what the framework says when an input, by its position, is no number from 0 to 1.
    """

    why: str
    who: str
    card: Operation
    smallest: Case
    refuses: tuple[str, ...] = ()


def limited_log(x):
    """The logarithm, but at least -100, of 0 too."""
    above = x > np.exp(LEAST_LOG)
    return np.where(above, np.log(np.where(above, x, 1.0)), LEAST_LOG)


def torch_bce_forward(p, q, t, *, reduction, samples_axis, clip):
    """The loss with limited logarithms."""
    inside = True
    if clip > 0:
        inside = (q >= clip) & (q <= 1 - clip)
        q = np.where(inside, q, np.clip(q, clip, 1 - clip))
    losses = t * limited_log(q) + (1 - t) * limited_log(1 - q)
    return -np.sum(losses) / divisor(q.shape, reduction, samples_axis), (q, t, inside)


def torch_bce_backward(p, saved, dL, *, reduction, samples_axis, clip):
    """The gradient with a limited denominator, which is not that of the loss; the logarithms here have no limit."""
    q, t, inside = saved
    n = divisor(q.shape, reduction, samples_axis)
    dq = np.where(inside, dL * (q - t) / np.maximum(q * (1 - q), LEAST_VARIANCE) / n, 0)
    return (dq, dL * (np.log(1 - q) - np.log(q)) / n), {}


TORCH_BCE = replace(
    CARDS.operation("binary_cross_entropy"),
    numpy_forward=torch_bce_forward,
    numpy_backward=torch_bce_backward,
    variants=(),
)
DIVERGENCES = {
    "torch at the edges of probability": Divergence(
        "torch.nn.functional.binary_cross_entropy limits logarithms to -100, the gradient's denominator to 1e-12, and "
        "refuses what is not in [0, 1], NaN included",
        "torch",
        TORCH_BCE,
        Case(
            Network(
                inputs={"q": TensorSpec([1, 1])},
                constants={"t": TensorSpec([1, 1])},
                loss=[Node("L", "binary_cross_entropy", ["q", "t"])],
            ),
            {"q": [[1e-13]], "t": [[1.0]]},
        ),
        ("all elements of input should be between 0 and 1", "all elements of target should be between 0 and 1"),
    ),
}


def explanation(case: Case, one: Implementation) -> str | None:
    """The divergence that explains everything in which an implementation deviates from the cards, if one does."""
    used = {node.op for _, node in case.network.operations()}
    for name, divergence in DIVERGENCES.items():
        if divergence.who == one.name and divergence.card.name in used and _explains(divergence, case, one):
            return name
    return None


def _explains(divergence: Divergence, case: Case, one: Implementation) -> bool:
    try:
        trace = one.run(case)
    except RuntimeError as error:
        return _is_refused(case, divergence, str(error))
    model, cards = ErrorModel.of(case.dtype, load_budgets()), CARDS.replacing(divergence.card)
    for step in case.recorded:
        own = own_numbers(trace, step, {**case.values, **(own_parameters(case, trace, step) or {})})
        if any(found.comparison.verdict in FAULTS for found in local_step(case.network, cards, own, model).values()):
            return False
    by_cards = judge(case, CARDS, trace).comparisons
    return not any(q.kind in ("param", "state") and found.verdict in FAULTS for q, found in by_cards.items())


def _is_refused(case: Case, divergence: Divergence, says: str) -> bool:
    """Whether NumPy, too, comes to a number there that is refused."""
    if says not in divergence.refuses:
        return False
    trace = NumpyImplementation().run(case)
    role = divergence.refuses.index(says)
    refused = []
    for node in (node for _, node in case.network.operations() if node.op == divergence.card.name):
        name = node.inputs[role]
        if name in case.network.inputs or name in case.network.constants:
            refused.append(case.values[name])
        refused += [array for q, array in trace.quantities.items() if (q.kind, q.name) == ("value", name)]
    return any(not ((array >= 0) & (array <= 1)).all() for array in refused)
