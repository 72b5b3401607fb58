"""Line plots, marks on a log scale, and number lines: geometry and labels, for the template to draw.

No plotting library: a report holds few and simple plots, has to open without a network and without scripts, and
follows the reader's light or dark theme by style classes alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.wording import listing, short

MOST_POINTS = 100
"""Of a longer series so many points are drawn, evenly spread, the first and the last among them."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 28, 14, 40
_HUGE, _TINY = 1e300, 1e-300


@dataclass(frozen=True)
class Series:
    """What is to be plotted: a name and its points, NaN and infinities among them."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Tick:
    """A tick: where, and what it says; a minor one says nothing."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """One series as drawn. `style` is its number: width, dash, marker and colour follow from it."""

    name: str
    style: int
    points: str
    marks: tuple[tuple[float, float], ...]
    legend: float


@dataclass(frozen=True)
class Plot:
    """A plot, ready to be drawn."""

    title: str
    description: str
    x_title: str
    y_title: str
    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    note: str


@dataclass(frozen=True)
class Mark:
    """One value on a row of a `Flow`."""

    x: float
    y: float
    style: int
    text: str


@dataclass(frozen=True)
class FlowRow:
    """One layer of a flow plot: its bar reaches the first implementation's value."""

    name: str
    full: str
    y: float
    bar: float
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Flow:
    """Bars on a log scale, one row per layer."""

    title: str
    description: str
    width: float
    height: float
    left: float
    right: float
    ticks: tuple[Tick, ...]
    rows: tuple[FlowRow, ...]
    legend: tuple[tuple[float, str, int], ...]
    note: str


@dataclass(frozen=True)
class Pin:
    """Where one implementation, or several, landed. `beyond` is -1 or 1 when that lies off that end."""

    names: str
    text: str
    x: float
    anchor: str
    y: float
    beads: tuple[tuple[float, int], ...]
    beyond: int


@dataclass(frozen=True)
class NumberLine:
    """A kink, its rounding band, the exact value and where each implementation landed."""

    description: str
    width: float
    height: float
    axis: float
    zero: float
    exact: float
    band_left: float
    band_right: float
    lowest: str
    highest: str
    pins: tuple[Pin, ...]
    below: str
    above: str


class _Scale:
    """From data to the page, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool) -> None:
        if log:
            low, high = math.log10(low), math.log10(high)
        if not high - low > 1e-12 * max(abs(low), abs(high)):
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def __call__(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, wanted: int, *, least: float = 0.0) -> tuple[Tick, ...]:
        """Round numbers; on a log scale powers of ten, or 1, 2, 5 when there are too few of them.

        On a linear scale no two are nearer than `least`: 1 where there is no half, as for steps.
        """
        if self.log:
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            stride = max(1, math.ceil((last - first + 1) / wanted))
            values = [10.0**power for power in range(first, last + 1, stride)]
            if len(values) < 3 and self.high - self.low < 4:
                values = [
                    lead * 10.0**power
                    for power in range(math.floor(self.low), math.ceil(self.high) + 1)
                    for lead in (1, 2, 5)
                    if self.low - 1e-9 <= math.log10(lead) + power <= self.high + 1e-9
                ] or [10.0**self.low, 10.0**self.high]
            return tuple(Tick(round(self(value), 1), short(value)) for value in values)
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / wanted))
        step *= next(lead for lead in (1, 2, 5, 10) if (self.high - self.low) / (step * lead) <= wanted)
        step = max(step, least)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(Tick(round(self(n * step), 1), _plain(n * step, step)) for n in range(first, last + 1))


def _plain(value: float, step: float) -> str:
    if value and not 1e-4 <= step < 1e6:
        return short(value, 3)
    return f"{value:,.{max(0, -math.floor(math.log10(step)))}f}".replace("-", "−")


def line_plot(
    title: str, series: Sequence[Series], *, x_title: str, y_title: str, log_x: bool = False, log_y: bool = False
) -> Plot | None:
    """A line per series; None without two steps to draw a line between. What cannot be drawn is counted in the note."""
    width, height = 560.0, 300.0
    kept: list[list[tuple[float, float]]] = []
    unseen: list[str] = []
    for one in series:
        pairs = list(zip(one.x, one.y, strict=False))
        good = [
            (x, y)
            for x, y in pairs
            if math.isfinite(x) and abs(y) < _HUGE and (x > 0 or not log_x) and (y > _TINY or not log_y)
        ]
        zeros = sum(1 for x, y in pairs if y == 0 and log_y and (x > 0 or not log_x))
        if zeros:
            unseen.append(f"{one.name}: {zeros:,} exactly zero")
        unknown = sum(1 for _, y in pairs if math.isnan(y))
        if unknown:
            unseen.append(f"{one.name}: {unknown:,} not a number")
        wild = sum(1 for _, y in pairs if abs(y) >= _HUGE)
        if wild:
            unseen.append(f"{one.name}: {wild:,} infinite, or as good as")
        kept.append(_thinned(good))
    points = [point for one in kept for point in one]
    if len({x for x, _ in points}) < 2:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    across = _Scale(min(xs), max(xs), _LEFT, width - _RIGHT, log=log_x)
    up = _Scale(min(ys), max(ys), height - _BOTTOM - 6, _TOP + 6, log=log_y)
    lines = []
    legend = _LEFT + 4.0
    for style, (one, good) in enumerate(zip(series, kept, strict=True)):
        placed = [(round(across(x), 1), round(up(y), 1)) for x, y in good]
        marks = tuple(placed) if len(placed) <= 24 else tuple(placed[:: math.ceil(len(placed) / 8)])
        lines.append(Line(one.name[:24], style % 6, " ".join(f"{x:g},{y:g}" for x, y in placed), marks, legend))
        legend += 40 + 7 * min(len(one.name), 24)
    ends = "; ".join(
        f"{one.name} from {short(good[0][1])} to {short(good[-1][1])}"
        for one, good in zip(series, kept, strict=True)
        if good
    )
    return Plot(
        title=title,
        description=f"{y_title} against {x_title}: {ends}.",
        x_title=x_title + (", log scale" if log_x else ""),
        y_title=y_title + (", log scale" if log_y else ""),
        width=width,
        height=height,
        left=_LEFT,
        right=width - _RIGHT,
        top=_TOP,
        bottom=height - _BOTTOM,
        x_ticks=across.ticks(6, least=1.0),
        y_ticks=up.ticks(6),
        lines=tuple(lines),
        note=f"Not drawn: {'; '.join(unseen)}." if unseen else "",
    )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    chosen = sorted({round(k * (len(points) - 1) / (MOST_POINTS - 1)) for k in range(MOST_POINTS)})
    return [points[index] for index in chosen]


def flow_plot(
    title: str, names: Sequence[str], implementations: Sequence[str], means: Sequence[Sequence[float]]
) -> Flow | None:
    """Bars per layer: `means[row][implementation]`, NaN where there is none."""
    known = [mean for row in means for mean in row if _TINY < mean < _HUGE]
    if not known:
        return None
    width, left, right, pitch = 720.0, 150.0, 24.0, 22.0
    low = 10.0 ** math.floor(math.log10(min(known)) - 0.2)
    scale = _Scale(low, max(known) * 1.3, left, width - right, log=True)
    rows, unseen = [], 0
    for number, (name, row) in enumerate(zip(names, means, strict=True)):
        y = 34 + pitch * number
        marks = []
        for style, (who, mean) in enumerate(zip(implementations, row, strict=True)):
            if _TINY < mean < _HUGE:
                height = y + 4.0 * (style - (len(implementations) - 1) / 2)
                marks.append(Mark(round(scale(mean), 1), height, style % 6, f"{who}: {short(mean, 3)}"))
            else:
                unseen += 1
        first = marks[0].x - left if marks else 0.0
        rows.append(FlowRow(name if len(name) <= 20 else name[:19] + "…", name, y, max(first, 0.0), tuple(marks)))
    legend, at = [], left
    for style, who in enumerate(implementations):
        legend.append((at, who[:24], style % 6))
        at += 40 + 7 * min(len(who), 24)
    return Flow(
        title=title,
        description="; ".join(f"{row.full}: {', '.join(mark.text for mark in row.marks)}" for row in rows[:40]),
        width=width,
        height=34 + pitch * len(rows) + 34,
        left=left,
        right=width - right,
        ticks=scale.ticks(7),
        rows=tuple(rows),
        legend=tuple(legend),
        note=f"{unseen:,} of the values are zero, or not finite, and have no place on a log scale." if unseen else "",
    )


def number_line(
    gap: float, bound: float, sides: Sequence[tuple[str, float, int]], *, below: str, above: str
) -> NumberLine | None:
    """A kink at 0 with the band of its rounding bound; `sides` are names, own values and style numbers.

    None when there is nothing to be placed.
    """
    landed: dict[float, list[tuple[str, int]]] = {}
    for name, value, style in sides:
        if math.isfinite(value):
            landed.setdefault(value, []).append((name, style))
    if not (_TINY < bound < _HUGE and math.isfinite(gap) and landed):
        return None
    width, row, bead = 920.0, 22.0, 13.0
    reach, half = bound * 1.6, width / 2 - 60

    def at(value: float) -> float:
        return round(width / 2 + max(-1.0, min(1.0, value / reach)) * half, 1)

    placed: list[tuple[float, int, str, str, list[tuple[str, int]], int]] = []
    levels: list[list[tuple[float, float]]] = []
    for value, who in sorted(landed.items()):
        names, text = listing([name[:24] for name, _ in who]), ("+" if value > 0 else "") + short(value)
        x, room = at(value), 8.0 * (len(names) + len(text)) + 20
        left, right = (x - room, x + 10) if x < width / 2 else (x - 10, x + room)
        level = 0
        while level < len(levels) and any(left < end and start < right for start, end in levels[level]):
            level += 1
        if level == len(levels):
            levels.append([])
        levels[level].append((left, right))
        beyond = 0 if abs(value) <= reach else (1 if value > 0 else -1)
        placed.append((x, level, names, text, who, beyond))
    beads = bead * (max(len(who) for *_, who, _ in placed) - 1)
    axis = 58 + row * (len(levels) - 1) + beads + 20
    pins = tuple(
        Pin(
            names,
            text,
            x,
            "end" if x < width / 2 else "start",
            axis - beads - 24 - row * level,
            tuple((axis - bead * number, style) for number, (_, style) in enumerate(who)),
            beyond,
        )
        for x, level, names, text, who, beyond in placed
    )
    where = "; ".join(f"{names} at {text}" for _, _, names, text, _, _ in placed)
    return NumberLine(
        description=f"The kink is at 0, the exact value at {short(gap)}, the rounding bound {short(bound)}: {where}.",
        width=width,
        height=axis + 54,
        axis=axis,
        zero=width / 2,
        exact=at(gap),
        band_left=at(gap - bound),
        band_right=at(gap + bound),
        lowest=short(gap - bound),
        highest=("+" if gap + bound > 0 else "") + short(gap + bound),
        pins=pins,
        below=below,
        above=above,
    )
