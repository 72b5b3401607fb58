"""Nets steered onto the kink of a ReLU: nobody who is right may be called wrong, and wrong slopes there must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.alarms import DTYPES, Alarm
from benchmarks.planting import PLANTED, with_op
from benchmarks.population import Architecture, draw_values
from benchmarks.tally import FAULTS
from harness import Case, Implementation, installed_cards
from harness.case import Dtype
from harness.judge.findings import find
from harness.judge.judge import judge
from harness.registry import Cards, installed_examples
from harness.spec import Array
from harness.trace import Quantity, Trace
from reference_impls.numpy_impl import NumpyImplementation

EXAMPLE = "diagonal-flip"


@dataclass(frozen=True)
class Steered:
    """A case in which one number that a ReLU compares is at 0, or within rounding of it."""

    case: Case
    pre: str
    relu: str
    index: tuple[int, ...]
    origin: str


@dataclass(frozen=True)
class Wrong:
    """A wrong slope at the kink: a function of the number there; None where it would not be wrong."""

    name: str
    slope: Callable[[float], float | None]
    must_be_called: bool = True


WRONGS = (
    Wrong("the slope of the side it did not take", lambda x: None if x == 0 else float(x < 0)),
    Wrong("slope 2", lambda x: 2.0),
    Wrong("slope -1", lambda x: -1.0),
    Wrong("slope 1 at exactly 0 (another convention)", lambda x: 1.0 if x == 0 else None, must_be_called=False),
)


@dataclass(frozen=True)
class KinkCounts:
    """What came of the steered nets, for one dtype and origin."""

    nets: int = 0
    judged: int = 0
    faulty: int = 0
    branches: int = 0
    parted: int = 0
    planted: tuple[int, ...] = (0,) * len(WRONGS)
    called: tuple[int, ...] = (0,) * len(WRONGS)

    def __add__(self, other: KinkCounts) -> KinkCounts:
        return KinkCounts(
            self.nets + other.nets,
            self.judged + other.judged,
            self.faulty + other.faulty,
            self.branches + other.branches,
            self.parted + other.parted,
            tuple(map(sum, zip(self.planted, other.planted, strict=True))),
            tuple(map(sum, zip(self.called, other.called, strict=True))),
        )


def measure_kinks(
    count: int, programs: Sequence[Implementation], seed: int, *, out_of_time: Callable[[], bool]
) -> tuple[dict[tuple[Dtype, str], KinkCounts], list[Alarm]]:
    """So many steered nets in each dtype, after the worked example's."""
    counts: dict[tuple[Dtype, str], KinkCounts] = {}
    alarms: list[Alarm] = []
    for one in (*_worked(), *_steered(count, seed)):
        if out_of_time():
            break
        key = (one.case.dtype, one.origin)
        counts[key] = counts.get(key, KinkCounts()) + _judge_steered(one, programs, alarms)
    return counts, alarms


def _judge_steered(one: Steered, programs: Sequence[Implementation], alarms: list[Alarm]) -> KinkCounts:
    faulty = branches = 0
    sides = set()
    for program in programs:
        trace = program.run(one.case)
        finding = find(one.case, program.name, judge(one.case, installed_cards(), trace))
        if finding.verdict in FAULTS:
            faulty += 1
            alarms.append(Alarm(program.name, one.case, f"{finding.sentence} {finding.detail}"))
        branches += finding.verdict == "undetermined branch"
        sides.add(bool(np.asarray(trace.quantities[Quantity(0, "value", one.pre)])[one.index] > 0))
    planted, called = zip(*(_planted(one, wrong) for wrong in WRONGS), strict=True)
    return KinkCounts(1, len(programs), faulty, branches, int(len(sides) > 1), planted, called)


def _planted(one: Steered, wrong: Wrong) -> tuple[int, int]:
    """Whether this slope could be planted so that some number changes, and whether it was called a fault."""
    correct = NumpyImplementation().run(one.case)
    x = float(np.asarray(correct.quantities[Quantity(0, "value", one.pre)])[one.index])
    slope = wrong.slope(x)
    upstream = np.asarray(correct.quantities[Quantity(0, "grad", one.relu)])[one.index]
    if slope is None or not np.isfinite(upstream) or upstream == 0:
        return 0, 0
    trace = _with_slope(one, slope)
    verdict = find(one.case, "numpy", judge(one.case, installed_cards(), trace)).verdict
    return 1, int(verdict in FAULTS)


def _with_slope(one: Steered, slope: float) -> Trace:
    """NumPy's trace, with another derivative at the one place."""

    def forward(p: Any, x: Array) -> tuple[Array, Array]:
        return np.maximum(x, 0), x

    def backward(p: Any, x: Array, dy: Array) -> tuple[tuple[Array], dict[str, Array]]:
        slopes = (x > 0).astype(x.dtype)
        slopes[one.index] = slope
        return (dy * slopes,), {}

    real = installed_cards()
    card = replace(real.operation("relu"), numpy_forward=forward, numpy_backward=backward)
    name = PLANTED.format("relu")
    cards = Cards({**real.operations, name: card}, real.optimizers)
    return NumpyImplementation(cards=cards).run(with_op(one.case, one.relu, name))


def _worked() -> Iterator[Steered]:
    """The worked example with a hidden unit exactly on the kink, in every form that it has, without its updates."""
    for example in installed_examples():
        for worked in example.cases if example.key == EXAMPLE else ():
            case = replace(worked.case, steps=0, optimizer=None, record=())
            relu = next(node for node in case.network.nodes if node.op == "relu")
            yield Steered(case, relu.inputs[0], relu.name, (0, 0), "diagonal flip")


def _steered(count: int, seed: int) -> Iterator[Steered]:
    """Random ReLU nets with one bias moved, so that a unit of a random layer is at the kink for a random sample.

    Every second net has whole numbers, where the unit is at exactly 0 for everybody; in the others its bias is the
    exact value, or one unit in the last place beside it.
    """
    shapes = ((5, 7, 6, 3), (12, 16, 9, 4), (3, 4, 3), (24, 16, 16, 8, 2))
    for number in range(count):
        widths = shapes[number % len(shapes)]
        loss, last = (("squared_error", "mean"), ("binary_cross_entropy_with_logits", "sum"))[number % 3 == 2]
        activations = (*("relu" for _ in widths[2:]), "identity")
        architecture = Architecture("chain", widths, activations, loss, last, 6)
        network = architecture.network()
        for dtype in DTYPES:
            rng = np.random.default_rng([seed, number])
            exact = number % 2 == 1
            values = dict(draw_values(rng, architecture, network, "integers" if exact else "he"))
            layer = int(rng.integers(1, len(widths) - 1))
            index = (int(rng.integers(6)), int(rng.integers(widths[layer])))
            nudge = 0 if exact else int(rng.integers(-1, 2))
            case = _onto_the_kink(Case(network=network, values=values, dtype=dtype), layer, index, nudge)
            yield Steered(case, f"z{layer}", f"a{layer}", index, "exactly 0" if exact else "within rounding of 0")


def _onto_the_kink(case: Case, layer: int, index: tuple[int, int], nudge: int) -> Case:
    """With the bias that takes this unit to 0, as far as the dtype can say it, or `nudge` units beside."""
    values = NumpyImplementation().run(case).quantities
    below = case.values["x"] if layer == 1 else values[Quantity(0, "value", f"a{layer - 1}")]
    sample, unit = index
    products = np.asarray(below)[sample].astype(np.longdouble) * case.values[f"W{layer}"][:, unit]
    bias = np.array(case.values[f"b{layer}"])
    bias[unit] = -np.sum(products)
    if nudge:
        bias[unit] = np.nextafter(bias[unit], bias.dtype.type(nudge * np.inf))
    return replace(case, values={**case.values, f"b{layer}": bias}, title=f"ReLU at the kink, {case.dtype}")
