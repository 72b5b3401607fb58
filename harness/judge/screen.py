"""Screening: many cases of one network judged locally in one pass, and only what is suspicious judged in full.

The price of a judgement is mostly that of Python calling NumPy, so it is paid once for a block (`benchmarks.judgement`
has the figures). The local judgement needs no ball arithmetic: its centres are of a wider type. What passes it passes;
what does not, and a sample of what does, is given to `harness.judge.judge.judge`, which has the exact values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.arrays import ErrorModel
from harness.case import Case
from harness.judge.calibration import load_budgets
from harness.judge.compare import Comparison
from harness.judge.judge import PASSING, own_numbers
from harness.judge.local import Own, local_step
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace


@dataclass(frozen=True)
class Screening:
    """What a block of traces of one network comes to at step 0; all arrays have the traces in front.

    `sharpness` is as in `harness.judge.judge.Judgement`.
    """

    comparisons: Mapping[Quantity, Comparison]
    sharpness: Mapping[Quantity, Array]

    def suspicious(self) -> list[int]:
        """The numbers of the traces in which something did not pass."""
        bad = [~np.isin(one.verdicts, PASSING) for one in self.comparisons.values()]
        return np.flatnonzero(np.logical_or.reduce([one.reshape(len(one), -1).any(axis=1) for one in bad])).tolist()

    def vacuous(self) -> int:
        """How many elements pass although their bound is as large as they are."""
        return sum(
            int(((self.sharpness[quantity] >= 1) & np.isin(one.verdicts, PASSING)).sum())
            for quantity, one in self.comparisons.items()
        )


def screen(cases: Sequence[Case], cards: Cards, traces: Sequence[Trace]) -> Screening:
    """Judge traces locally, together: the cases have one network and one dtype, and all record the same quantities.

    Raises:
        ValueError: the cases differ in what they give as whole numbers (indices, labels), which decides on the program.
    """
    first = cases[0]
    own = [own_numbers(trace, 0, case.values) for case, trace in zip(cases, traces, strict=True)]
    block = Own(
        {name: np.concatenate([one.values[name] for one in own]) for name in own[0].values},
        {name: np.concatenate([one.grads[name] for one in own]) for name in own[0].grads},
    )
    for name, array in block.values.items():
        if array.dtype.kind in "iu" and (array != array[0]).any():
            raise ValueError(f"needs cases with the same whole numbers in {name!r}, to judge them together")
    judged = local_step(first.network, cards, block, ErrorModel.of(first.dtype, load_budgets()))
    comparisons, sharpness = {}, {}
    for (kind, name), found in judged.items():
        quantity = Quantity(0, kind, name)
        comparisons[quantity] = found.comparison
        size = np.abs(np.asarray((block.values if kind == "value" else block.grads)[name], dtype=np.float64))
        with np.errstate(all="ignore"):
            sharpness[quantity] = np.where(found.radius == 0, 0.0, found.radius / size)
    return Screening(comparisons, sharpness)


__all__ = ["Screening", "screen"]
