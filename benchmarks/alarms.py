"""Running the population: false alarms on correct programs, sharpness by depth, misses, and the same for peers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from benchmarks.bugs import BUGS, Bug
from benchmarks.peers import PEERS
from benchmarks.planting import caught, places, plant
from benchmarks.population import OPTIMIZERS, Net, optimizer_case
from benchmarks.reference import Rounding, parameter_gradients
from benchmarks.tally import FAULTS, Tally, of_judgement, sharpness_of
from harness import Case, Implementation, NotSupportedError, installed_cards
from harness.case import Dtype
from harness.judge.findings import find
from harness.judge.judge import Judgement, judge
from harness.judge.oracle import Undecided
from harness.trace import Quantity, Trace
from reference_impls.numpy_impl import NumpyImplementation

DTYPES: tuple[Dtype, ...] = ("float32", "float64")
SATURATED = "saturated probabilities"
"""In the place of a regime: cross-entropies of probabilities q with q (1 - q) < 2e-12. Torch differs there by design:
it limits logarithms to -100 and q (1 - q) to 1e-12, as the card says. Its verdicts there are no false alarms."""

UPDATES = "updates"
"""Stands in the place of a regime for optimizer updates from given gradients."""

JUDGE = "gradparity"
FACTORS = tuple(2.0**power for power in range(1, 11))


@dataclass(frozen=True)
class Alarm:
    """A correct program called wrong."""

    program: str
    case: Case
    sentence: str


@dataclass(frozen=True)
class Visible:
    """The smallest visible relative change of a first-layer gradient: median over its elements, by rule.

    `needed`: changes of 2, 4, 8, ... times the judge's own figure were planted in one element until one was called a
    fault; this is its factor. Infinite when none was; None when there is no number to change by so much.
    """

    depth: int
    regime: str
    dtype: Dtype
    by_rule: Mapping[str, float]
    needed: float | None


@dataclass(frozen=True)
class Planted:
    """One mistake in one node of one net: whether it is real, by two definitions, and who saw it."""

    bug: str
    dtype: Dtype
    real: bool
    real_for_array: bool
    seen: Mapping[str, bool]
    title: str
    op_named: bool = False
    node_named: bool | None = None


@dataclass(frozen=True)
class Measured:
    """What the population showed, so far."""

    tallies: dict[tuple[str, Dtype, str], Tally] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    visible: list[Visible] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    peers_compared: dict[Dtype, int] = field(default_factory=dict)
    peers_alarmed: dict[tuple[str, Dtype], int] = field(default_factory=dict)

    def count(self, program: str, dtype: Dtype, regime: str, tally: Tally) -> None:
        """Add to one row."""
        key = (program, dtype, regime)
        self.tallies[key] = self.tallies.get(key, Tally()) + tally


def measure(
    nets: Iterable[Net],
    programs: Sequence[Implementation],
    seed: int,
    *,
    mistakes: int,
    out_of_time: Callable[[], bool],
) -> Measured:
    """Run and judge every net in both dtypes, with so many planted mistakes each; ends early when time is out."""
    measured = Measured()
    for index, net in enumerate(nets):
        if out_of_time():
            break
        for dtype in DTYPES:
            rng = np.random.default_rng([seed, index, DTYPES.index(dtype)])
            _measure_net(net, net.case(dtype), programs, rng, mistakes, measured)
    return measured


def measure_updates(
    count: int,
    programs: Sequence[Implementation],
    seed: int,
    measured: Measured,
    *,
    out_of_time: Callable[[], bool],
) -> None:
    """The same for so many updates by each optimizer, from given gradients."""
    for index in range(count):
        if out_of_time():
            break
        rng = np.random.default_rng([seed, index])
        steps = 3 if index % 4 else 40
        for optimizer in OPTIMIZERS:
            for dtype in DTYPES:
                case = optimizer_case(rng, optimizer, dtype, steps)
                for program in programs:
                    _judge_program(program, case, UPDATES, measured)


def _measure_net(
    net: Net,
    case: Case,
    programs: Sequence[Implementation],
    rng: np.random.Generator,
    mistakes: int,
    measured: Measured,
) -> None:
    regime = SATURATED if saturated(case) else net.regime
    found = {one.name: _judge_program(one, case, regime, measured) for one in programs}
    traces = {name: trace for name, (trace, _) in found.items() if trace is not None}
    if "numpy" not in traces:
        return
    numpy_trace, judged = found["numpy"]
    if "torch" in traces:
        ours, theirs = (parameter_gradients(traces[name], case) for name in ("numpy", "torch"))
        if all(np.isfinite(array).all() for array in (*ours, *theirs)):
            measured.peers_compared[case.dtype] = measured.peers_compared.get(case.dtype, 0) + 1
            for peer in PEERS:
                key = (peer.name, case.dtype)
                alarmed = not peer.accepts(ours, theirs, case.dtype)
                measured.peers_alarmed[key] = measured.peers_alarmed.get(key, 0) + alarmed
    if numpy_trace is not None and judged is not None:
        _measure_visible(net, case, numpy_trace, judged, rng, measured)
        if "torch" in traces and mistakes:
            _measure_mistakes(case, traces, rng, mistakes, measured)


def saturated(case: Case) -> bool:
    """Whether a cross-entropy works on probabilities at which torch goes its own way."""
    losses = [node for node in case.network.loss if node.op == "binary_cross_entropy"]
    if not losses:
        return False
    values = NumpyImplementation().run(case).quantities
    q = np.concatenate([np.ravel(values[Quantity(0, "value", node.inputs[0])]) for node in losses])
    return bool((q * (1 - q) < 2e-12).any())


def _judge_program(
    program: Implementation, case: Case, regime: str, measured: Measured
) -> tuple[Trace | None, Judgement | None]:
    key = (program.name, case.dtype, regime)
    try:
        trace = program.run(case)
    except NotSupportedError:
        return None, None
    except Exception as error:  # noqa: BLE001 - a crash is a result
        measured.count(*key, Tally(nets=1, crashed=1, accused=1))
        measured.alarms.append(Alarm(program.name, case, f"crashed: {error!r}"))
        return None, None
    try:
        judged = judge(case, installed_cards(), trace)
    except Undecided:
        measured.count(*key, Tally(nets=1, undecided=1))
        return trace, None
    measured.count(*key, of_judgement(judged, trace.quantities))
    finding = find(case, program.name, judged)
    if finding.verdict in FAULTS and (program.name, regime) != ("torch", SATURATED):
        measured.alarms.append(Alarm(program.name, case, f"{finding.sentence} {finding.detail}"))
    return trace, judged


def _measure_visible(
    net: Net, case: Case, trace: Trace, judged: Judgement, rng: np.random.Generator, measured: Measured
) -> None:
    place = Quantity(0, "grad", "W1")
    value = np.asarray(trace.quantities[place])
    sharpness = sharpness_of(judged, place, value)
    usable = np.isfinite(value) & (value != 0) & ~np.isnan(sharpness)
    if not usable.any():
        return
    size = value[usable].astype(np.float64)
    by_rule = {JUDGE: float(np.median(sharpness[usable]))}
    by_rule |= {peer.name: float(np.median(peer.smallest_visible(size, case.dtype))) for peer in PEERS}
    index = tuple(rng.choice(np.argwhere(usable)))
    relative = float(sharpness[index])
    needed = _needed(case, trace, place, index, relative) if 0 < relative < np.inf else None
    measured.visible.append(Visible(net.architecture.depth, net.regime, case.dtype, by_rule, needed))


def _needed(case: Case, trace: Trace, place: Quantity, index: tuple[int, ...], relative: float) -> float | None:
    """Plant growing changes in one element, away from 0, until one is called a fault."""
    for factor in FACTORS:
        changed = np.array(trace.quantities[place])
        before = float(changed[index])
        with np.errstate(over="ignore"):
            changed[index] = before * (1 + factor * relative)
        moved = abs(float(changed[index]) - before) / abs(before)
        if not np.isfinite(changed[index]) or moved < 0.75 * factor * relative:
            return None
        planted = replace(trace, quantities={**trace.quantities, place: changed})
        if find(case, "numpy", judge(case, installed_cards(), planted)).verdict in FAULTS:
            return factor
    return np.inf


def _measure_mistakes(
    case: Case, traces: Mapping[str, Trace], rng: np.random.Generator, mistakes: int, measured: Measured
) -> None:
    rounding = Rounding.of(case, traces.values())
    theirs = parameter_gradients(traces["torch"], case)
    if not all(np.isfinite(array).all() for array in (*theirs, *rounding.exact)):
        return
    chosen = [bug for bug in BUGS if not (bug.in_optimizer or bug.convention) and places(bug, case)]
    for position in rng.permutation(len(chosen))[:mistakes]:
        bug: Bug = chosen[position]
        node = str(rng.choice(places(bug, case)))
        trace = plant(bug, case, node)
        if trace is None:
            continue
        real = rounding.moved(case, trace, whole_array=False)
        if not real:
            continue
        try:
            found = caught(bug, case, node, trace)
        except Undecided:
            continue
        ours = parameter_gradients(trace, case)
        seen = {peer.name: not peer.accepts(ours, theirs, case.dtype) for peer in PEERS}
        measured.planted.append(
            Planted(
                bug.name,
                case.dtype,
                real,
                rounding.moved(case, trace, whole_array=True),
                {JUDGE: found.seen, **seen},
                case.title,
                found.op_named,
                found.node_named,
            )
        )
