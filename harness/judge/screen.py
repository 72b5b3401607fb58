"""Screening: many cases of one network judged locally in one pass, and only what is suspicious judged in full.

The price of a judgement is mostly that of Python calling NumPy, so it is paid once for a block (`benchmarks.judgement`
has the figures). The local judgement needs no ball arithmetic: its centres are of a wider type. What passes it passes;
what does not, and a sample of what does, is given to `harness.judge.judge.judge`, which has the exact values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from harness.arrays import ErrorModel
from harness.case import Case
from harness.judge.calibration import load_budgets
from harness.judge.compare import Comparison
from harness.judge.expected import Local
from harness.judge.judge import PASSING, own_numbers
from harness.judge.local import Own, local_step
from harness.registry import Cards
from harness.spec import Array
from harness.trace import Quantity, Trace


@cache
def _keep_memory() -> None:
    """Free a large piece of memory that nobody touched: then glibc keeps what a judgement frees, up to twice as much.

    Else it gives the pages back to the system and takes them anew for the next block, which is half of the time at
    100,000 parameters.
    """
    np.empty(2**25 - 2**20, dtype=np.uint8)


@dataclass(frozen=True)
class Screening:
    """What a block of so many traces of one network comes to at step 0; all arrays have the traces in front."""

    traces: int
    judged: Mapping[Quantity, Local]

    def suspicious(self) -> list[int]:
        """The numbers of the traces in which something did not pass."""
        bad = np.zeros(self.traces, dtype=bool)
        for one in self.judged.values():
            if not one.holds:
                bad |= ~np.isin(one.comparison.verdicts, PASSING).reshape(self.traces, -1).all(axis=1)
        return np.flatnonzero(bad).tolist()

    @cached_property
    def comparisons(self) -> Mapping[Quantity, Comparison]:
        """The judgement of each quantity, element by element."""
        return {quantity: one.comparison for quantity, one in self.judged.items()}

    @cached_property
    def sharpness(self) -> Mapping[Quantity, Array]:
        """As in `harness.judge.judge.Judgement`."""
        with np.errstate(all="ignore"):
            return {
                quantity: np.where(one.radius == 0, 0.0, one.radius / np.abs(np.asarray(one.value, dtype=np.float64)))
                for quantity, one in self.judged.items()
            }

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
    _keep_memory()
    first = cases[0]
    given = {name: _stacked([case.values[name] for case in cases]) for name in first.values}
    for name, array in given.items():
        if array.dtype.kind in "iu" and (array != array[0]).any():
            raise ValueError(f"needs cases with the same whole numbers in {name!r}, to judge them together")
    own = [own_numbers(trace, 0, {}) for trace in traces]
    block = Own(
        given | {name: np.concatenate([one.values[name] for one in own]) for name in own[0].values},
        {name: np.concatenate([one.grads[name] for one in own]) for name in own[0].grads},
    )
    judged = local_step(first.network, cards, block, ErrorModel.of(first.dtype, load_budgets()))
    return Screening(len(traces), {Quantity(0, kind, name): found for (kind, name), found in judged.items()})


def _stacked(arrays: Sequence[Array]) -> Array:
    """With an axis for the traces in front; of length 1 where all were given the very same array."""
    alike = all(array is arrays[0] for array in arrays)
    return arrays[0][None] if alike else np.stack(arrays)


__all__ = ["Screening", "screen"]
