"""Curves, gradient flow and gradient checks of a case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.campaign.records import CaseRecord, Curve, FlowRecord, as_float
from reports import plots
from reports.wording import short


@dataclass(frozen=True)
class FlowRowView:
    """The numbers behind one row of a flow plot."""

    name: str
    implementation: str
    mean: str
    largest: str
    zeros: str


@dataclass(frozen=True)
class FlowView:
    """How gradients flow through depth."""

    plot: plots.Flow | None
    rows: tuple[FlowRowView, ...]


@dataclass(frozen=True)
class CheckView:
    """One gradient check by central differences."""

    name: str
    implementation: str
    elements: str
    epsilon: str
    difference: str
    exact_epsilon: str
    exact_error: str


def curves(case: CaseRecord) -> tuple[tuple[plots.Plot, ...], tuple[str, ...]]:
    """The curves that can be drawn, and in words those that have a single step."""
    drawn, told = [], []
    for kind, title, what in (
        ("loss", "Loss", "loss"),
        ("drift", "Drift away from exact arithmetic", "largest |parameter − exact|"),
    ):
        records: list[Curve] = [curve for curve in case.curves if curve.kind == kind]
        series = [
            plots.Series(c.implementation, [float(s) for s in c.steps], [as_float(v) for v in c.values])
            for c in records
        ]
        values = [value for one in series for value in one.y if math.isfinite(value)]
        wide = bool(values) and min(values) > 0 and max(values) > 20 * min(values)
        plot = plots.line_plot(
            title, series, x_title="update step", y_title=what, log_x=kind == "drift", log_y=kind == "drift" or wide
        )
        if plot:
            drawn.append(plot)
        elif text := _told(title, what, records):
            told.append(text)
    return tuple(drawn), tuple(told)


def _told(title: str, what: str, records: Sequence[Curve]) -> str:
    """A curve of one step, which no line can show."""
    steps = {step for record in records for step in record.steps}
    if len(steps) != 1:
        return ""
    values = [f"{record.implementation} {short(as_float(record.values[0]), 3)}" for record in records if record.values]
    return f"{title}, after step {steps.pop():,} ({what}): {', '.join(values)}."


def flows(case: CaseRecord) -> tuple[FlowView, ...]:
    """How gradients flow, by parameters and by nodes."""
    views = []
    for kind, title in (("parameter", "parameter"), ("node", "node")):
        records: list[FlowRecord] = [record for record in case.flow if record.kind == kind]
        if not records:
            continue
        names = list(dict.fromkeys(record.name for record in records))[:60]
        who = list(dict.fromkeys(record.implementation for record in records))
        means = {(record.name, record.implementation): as_float(record.mean) for record in records}
        plot = plots.flow_plot(
            f"Mean |gradient| of each {title}, log scale",
            names,
            who,
            [[means.get((name, one), math.nan) for one in who] for name in names],
        )
        rows = tuple(
            FlowRowView(
                record.name,
                record.implementation,
                short(as_float(record.mean), 4),
                short(as_float(record.largest), 4),
                f"{record.zeros:,} of {record.size:,}",
            )
            for record in records
        )
        views.append(FlowView(plot, rows))
    return tuple(views)


def checks(case: CaseRecord) -> tuple[CheckView, ...]:
    """The gradient checks by central differences."""
    return tuple(
        CheckView(
            name=check.name,
            implementation=check.implementation,
            elements=f"{check.elements:,}",
            epsilon=short(check.epsilon),
            difference=short(as_float(check.float_difference), 3),
            exact_epsilon=check.exact_epsilon,
            exact_error=short(as_float(check.exact_error), 3),
        )
        for check in case.gradient_checks
    )
