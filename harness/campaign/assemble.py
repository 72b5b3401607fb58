"""Putting a judged case into a record: the tables, curves and checks that a report shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal

import numpy as np

from harness.arrays import BallArray, Known
from harness.campaign.records import (
    Branching,
    Cell,
    Curve,
    FlowRecord,
    GradientCheckRecord,
    GraphNode,
    KinkRecord,
    PrintedRecord,
    QuantityRecord,
    Side,
    as_number,
)
from harness.case import Case
from harness.judge.compare import compare
from harness.judge.differences import (
    EXACT_EPSILON_EXPONENT,
    FLOAT_EPSILON,
    exact_differences,
    float_differences,
    is_cut,
    relative_difference,
)
from harness.judge.findings import computed_before
from harness.judge.judge import Judgement
from harness.judge.oracle import Exact
from harness.registry import Cards
from harness.spec import Array, Shape
from harness.trace import Quantity, Trace
from harness.worked_example import Printed

SHOWN_IN_FULL = 128
"""Arrays up to this size are kept whole; of larger ones, the first and the worst elements."""
KEPT_OF_LARGE = 32
CURVE_POINTS = 400
MOST_KINKS = 64

Trajectory = Mapping[int, tuple[Exact, Mapping[str, Mapping[str, BallArray]]]]


def graph_of(case: Case, cards: Cards, shapes: Mapping[str, Shape]) -> list[GraphNode]:
    """The network as it is drawn: what is given first, then the operations in order."""
    kinds = (("input", case.network.inputs), ("constant", case.network.constants), ("parameter", case.network.params))
    drawn = [
        GraphNode(name=name, kind=kind, shape=list(shapes[name]))  # type: ignore[arg-type]
        for kind, group in kinds
        for name in group
    ]
    for _, node in case.network.operations():
        drawn.append(
            GraphNode(
                name=node.name,
                kind=cards.operation(node.op).kind,
                op=node.op,
                inputs=node.inputs,
                params=node.params,
                hypers=cards.hypers(node),
                shape=list(shapes[node.name]),
            )
        )
    return drawn


def exact_of(trajectory: Trajectory, quantity: Quantity) -> Known | None:
    """The exact array of a quantity in the whole run, where its step was kept."""
    if quantity.step not in trajectory:
        return None
    exact, state = trajectory[quantity.step]
    if quantity.kind == "grad":
        return exact.grads.get(quantity.name)
    if quantity.kind == "state":
        return state.get(quantity.name, {}).get(quantity.slot)
    return exact.values.get(quantity.name)


def quantities_of(
    case: Case, trajectory: Trajectory, traces: Mapping[str, Trace], judged: Mapping[str, Judgement]
) -> list[QuantityRecord]:
    """Every judged quantity in the order of computation, all implementations side by side."""
    everything = {quantity for one in judged.values() for quantity in one.comparisons}
    records = []
    for quantity in sorted(everything, key=lambda quantity: (quantity.step, computed_before(case, quantity))):
        exact = exact_of(trajectory, quantity)
        if exact is None:
            continue
        holders = [name for name, one in judged.items() if quantity in one.comparisons]
        shown = _shown(exact, [judged[name].comparisons[quantity].ratios for name in holders])
        cells = [_cell(name, quantity, exact, shown, traces[name], judged[name]) for name in holders]
        bound = judged[holders[0]].bounds[quantity].ravel()
        records.append(
            QuantityRecord(
                step=quantity.step,
                kind=quantity.kind,
                name=quantity.name,
                slot=quantity.slot,
                shape=list(exact.shape),
                shown=[] if len(shown) == exact.size else [int(i) for i in shown],
                exact=[str(digits) for digits in exact.reshape(-1)[shown].digits(20)],
                bounds=[as_number(float(bound[i])) for i in shown],
                cells=cells,
            )
        )
    return records


def _shown(exact: Known, ratios: list[Array]) -> Array:
    size = exact.size
    if size <= SHOWN_IN_FULL:
        return np.arange(size)
    worst = np.max(np.nan_to_num([ratio.ravel() for ratio in ratios], nan=np.inf), axis=0)
    chosen = np.concatenate([np.arange(KEPT_OF_LARGE), np.argsort(worst)[-KEPT_OF_LARGE:]])
    return np.unique(chosen)


def _cell(name: str, quantity: Quantity, exact: Known, shown: Array, trace: Trace, judged: Judgement) -> Cell:
    value = np.asarray(trace.quantities[quantity])
    own = judged.comparisons[quantity]
    whole = compare(value, exact, np.full(value.shape, np.inf))
    ulps = whole.ulps.ravel()
    worst = own.worst
    finite = np.abs(ulps[np.isfinite(ulps)])
    return Cell(
        implementation=name,
        verdict=own.verdict,
        values=[shortest(value.ravel()[i]) for i in shown],
        errors_ulps=[as_number(float(ulps[i])) for i in shown],
        ratios=[as_number(float(own.ratios.ravel()[i])) for i in shown],
        worst_index=worst,
        worst_ulps=as_number(float(finite.max())) if finite.size else 0.0,
        worst_ratio=as_number(own.worst_ratio),
        sharpness=as_number(_median(judged.sharpness[quantity])),
        vacuous=int(judged.vacuous(quantity).sum()),
    )


def _median(array: Array) -> float:
    known = array[~np.isnan(array)]
    return float(np.median(known)) if known.size else 0.0


def shortest(value: np.generic) -> str:
    """The shortest digits that read back as the same float of the same dtype.

    >>> import numpy as np
    >>> shortest(np.float32(0.1)), shortest(np.float64(-0.0))
    ('0.1', '-0.0')
    """
    return str(value)


def kinks_of(case: Case, judged: Mapping[str, Judgement]) -> list[KinkRecord]:
    """The undetermined branches at step 0 and later, each with the side every implementation took."""
    ops = {node.name: node.op for _, node in case.network.operations()}
    records: dict[tuple[int, str, tuple[int, ...]], KinkRecord] = {}
    for name, one in judged.items():
        for kink in one.kinks:
            key = (kink.step, kink.node, tuple(map(int, kink.index)))
            if key not in records and len(records) < MOST_KINKS:
                records[key] = KinkRecord(
                    step=kink.step,
                    node=kink.node,
                    op=ops[kink.node],
                    index=[int(i) for i in kink.index],
                    comparison=kink.comparison,
                    gap=str(kink.gap.digits(20)[()]),
                    bound=as_number(kink.bound),
                )
            if key in records:
                taken = {True: "above", False: "at or below", None: "not recorded"}[kink.taken]
                own = "not recorded" if kink.own_gap is None else shortest(np.dtype(case.dtype).type(kink.own_gap))
                records[key].sides.append(Side(implementation=name, value=own, branch=taken))
    return list(records.values())


def branching_of(
    case: Case, trajectory: Trajectory, judged: Mapping[str, Judgement]
) -> list[Branching]:
    """By card, the comparisons that the exact run makes, its ties, and the places that rounding leaves open."""
    ops = {node.name: node.op for _, node in case.network.operations()}
    rule = case.optimizer.name if case.optimizer else ""
    compared: Counter[str] = Counter()
    ties: Counter[str] = Counter()
    for exact, _ in trajectory.values():
        for name, made in exact.comparisons.items():
            compared[ops[name]] += sum(one.taken.size for one in made)
            ties[ops[name]] += sum(int(np.sum(one.tie)) for one in made)
    places = {(kink.step, kink.node, kink.index) for one in judged.values() for kink in one.kinks}
    undetermined = Counter(ops.get(node, rule) for _, node, _ in places)
    return [
        Branching(card=card, comparisons=compared[card], ties=ties[card], undetermined=undetermined[card])
        for card in dict.fromkeys((*ops.values(), *undetermined))
        if compared[card] or undetermined[card]
    ]


def printed_of(
    printed: tuple[Printed, ...], traces: Mapping[str, Trace], judged: Mapping[str, Judgement]
) -> list[PrintedRecord]:
    """A source's printed numbers, and which implementations reproduce their digits."""
    records = []
    for one in printed:
        reproduced, values = {}, {}
        for name, trace in traces.items():
            array = trace.quantities.get(one.quantity)
            if array is None:
                continue
            value = np.asarray(array)[one.index]
            bound = judged[name].bounds.get(one.quantity) if name in judged else None
            values[name] = shortest(value)
            reproduced[name] = reproduces(value, one.digits, 0.0 if bound is None else float(bound[one.index]))
        records.append(
            PrintedRecord(
                step=one.quantity.step,
                kind=one.quantity.kind,
                name=one.quantity.name,
                slot=one.quantity.slot,
                index=list(one.index),
                digits=one.digits,
                where=one.where,
                reproduced=reproduced,
                values=values,
            )
        )
    return records


def reproduces(value: np.generic, digits: str, bound: float) -> bool:
    """Whether some number within `bound` of `value` rounds to the printed digits.

    >>> import numpy as np
    >>> reproduces(np.float64(0.355553064), "0.35555306", 0.0), reproduces(np.float64(0.355553066), "0.35555306", 0.0)
    (True, False)
    """
    if not np.isfinite(value):
        return False
    stated = Decimal(digits)
    exponent = stated.as_tuple().exponent
    assert isinstance(exponent, int)
    return abs(Decimal(float(value)) - stated) <= Decimal(10) ** exponent / 2 + Decimal(bound)


def curves_of(case: Case, trajectory: Trajectory, traces: Mapping[str, Trace]) -> list[Curve]:
    """Loss over steps, and drift from the exact run at the recorded steps, for every implementation."""
    if not case.steps:
        return []
    curves = []
    for name, trace in traces.items():
        if trace.losses is not None:
            points = np.unique(np.linspace(0, case.steps, CURVE_POINTS).astype(int))
            curves.append(
                Curve(
                    kind="loss",
                    implementation=name,
                    steps=[int(step) for step in points],
                    values=[as_number(float(trace.losses[step])) for step in points],
                )
            )
        drift = dict(_drift(case, trajectory, trace))
        if len(drift) > 1:
            curves.append(Curve(kind="drift", implementation=name, steps=list(drift), values=list(drift.values())))
    return curves


def _drift(case: Case, trajectory: Trajectory, trace: Trace) -> Iterator[tuple[int, float | str]]:
    for step in sorted(trajectory):
        exact, _ = trajectory[step]
        off = []
        for name in case.network.params:
            value = trace.quantities.get(Quantity(step, "param", name))
            if value is not None and value.size:
                off.append(float(np.abs(exact.values[name].off(value)[0]).max()))
        if len(off) == len(case.network.params):
            yield step, as_number(max(off, default=0.0))


def flow_of(case: Case, traces: Mapping[str, Trace]) -> list[FlowRecord]:
    """Mean and largest |gradient| at step 0, parameters first, then nodes in order."""
    names = [(name, "parameter") for name in case.network.params] + [(node.name, "node") for node in case.network.nodes]
    return [
        FlowRecord(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            implementation=implementation,
            mean=as_number(float(np.abs(grad).astype(np.float64).mean())),
            largest=as_number(float(np.abs(grad).max())),
            zeros=int((grad == 0).sum()),
            size=int(grad.size),
        )
        for name, kind in names
        for implementation, trace in traces.items()
        if (grad := trace.quantities.get(Quantity(0, "grad", name))) is not None and grad.size
    ]


def gradient_checks_of(case: Case, cards: Cards, traces: Mapping[str, Trace]) -> list[GradientCheckRecord]:
    """Central differences against every implementation's gradient, on every element of every parameter."""
    records: list[GradientCheckRecord] = []
    if is_cut(case, cards):
        return records
    for name in case.network.params:
        floats, exact = float_differences(case, cards, name), exact_differences(case, cards, name)
        for implementation, trace in traces.items():
            grad = np.asarray(trace.quantities[Quantity(0, "grad", name)])
            off = np.abs((BallArray.exact(grad) - exact).mid())
            records.append(
                GradientCheckRecord(
                    name=name,
                    implementation=implementation,
                    elements=int(grad.size),
                    epsilon=FLOAT_EPSILON,
                    float_difference=as_number(relative_difference(grad, floats)),
                    exact_error=as_number(float(off.max())) if off.size else 0.0,
                    exact_epsilon=f"2^{EXACT_EPSILON_EXPONENT}",
                )
            )
    return records
