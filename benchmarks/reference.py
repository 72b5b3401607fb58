"""Gradients in extended precision, for saying how wrong a mistake is without asking the judge.

The cards' own NumPy source over `numpy.longdouble`: 11 bits more than float64 on x86. Where long doubles are doubles
(ARM, Windows), a float64 program's rounding is measured against another float64 program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness import Case, installed_cards
from harness.spec import Array
from harness.trace import Quantity, Trace
from reference_impls.numpy_impl import backward, forward

TIMES = 16
"""A mistake is real when it moves a number by more than this many times the worst rounding error of a correct one."""

ULPS = 64
"""And by more than this many units in the last place."""


def parameter_gradients(trace: Trace, case: Case) -> list[Array]:
    """What a user of the network compares: the gradient of each parameter at step 0."""
    return [np.asarray(trace.quantities[Quantity(0, "grad", name)]) for name in case.network.params]


def extended_gradients(case: Case) -> list[Array]:
    """The same in extended precision."""
    cards = installed_cards()
    plan = [(node, cards.operation(node.op), cards.hypers(node)) for _, node in case.network.operations()]
    given: Mapping[str, Array] = {name: array.astype(np.longdouble) for name, array in case.values.items()}
    with np.errstate(all="ignore"):
        values, saved = forward(plan, case.network, dict(given))
        grads = backward(plan, case.network, saved, {**values, **given})
    return [grads[name] for name in case.network.params]


@dataclass(frozen=True)
class Rounding:
    """The exact gradients of a case, and the worst error of several correct programs, element by element."""

    exact: list[Array]
    worst: list[Array]

    @staticmethod
    def of(case: Case, correct: Iterable[Trace]) -> Rounding:
        """Measured on these traces."""
        exact = extended_gradients(case)
        with np.errstate(all="ignore"):
            errors = [
                [np.abs(a - b).astype(np.float64) for a, b in zip(parameter_gradients(one, case), exact, strict=True)]
                for one in correct
            ]
        return Rounding(exact, [np.maximum.reduce(list(per_trace)) for per_trace in zip(*errors, strict=True)])

    def moved(self, case: Case, trace: Trace, *, whole_array: bool) -> bool:
        """Whether some gradient is off by more than `TIMES` the worst rounding error and more than `ULPS`.

        The worst error of the same element, or of any element of its array. What is not finite although the exact
        gradient is counts as moved.
        """
        for ours, exact, worst in zip(parameter_gradients(trace, case), self.exact, self.worst, strict=True):
            noise = np.full_like(worst, worst.max(initial=0.0)) if whole_array else worst
            with np.errstate(all="ignore"):
                off = np.abs(ours - exact).astype(np.float64)
                ulp = np.spacing(np.abs(exact).astype(ours.dtype)).astype(np.float64)
                beyond = (off > TIMES * noise) & (off > ULPS * ulp)
            gone = ~np.isfinite(ours) & np.isfinite(exact) & np.isfinite(noise)
            if bool((beyond | gone).any()):
                return True
        return False
