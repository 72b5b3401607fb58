"""Where everything of a network's graph is drawn: data flows from left to right, errors are written on the nodes.

Layers by longest path, order within a layer by barycentres, heights by least squares under the distances that
the boxes need (isotonic regression), so the time grows linearly with the edges and what they cross. The result
is numbers and strings; the template draws them and escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.campaign.records import GraphNode
from reports.wording import shape_text

MOST_NODES = 150
"""A network with more nodes is listed, not drawn."""

_WIDTH, _GAP, _SPACE = 150, 36, 26
_PORT = 25
_HEAD = 44
_LANE = 18
_PARAMETER = 19
_MARGIN = 14
_LABEL = 22
_SWEEPS = 6
_COLUMNS = 6
_TRACK = 7


@dataclass(frozen=True)
class Lane:
    """One coloured strip on a node: what it is, its error / bound in words, its tone, and how full its bar is."""

    label: str
    text: str
    tone: str
    fill: int = 0


@dataclass(frozen=True)
class LaneBox:
    """A lane in its place."""

    lane: Lane
    x: float
    y: float
    width: float
    bar: float


@dataclass(frozen=True)
class ParameterBox:
    """A parameter on the operation that uses it."""

    name: str
    note: str
    full: str
    y: float
    lanes: tuple[LaneBox, ...]


@dataclass(frozen=True)
class Box:
    """A node in its place. `index` is its place in the record, and all that its id is made of."""

    index: int
    kind: str
    name: str
    note: str
    full: str
    x: float
    y: float
    width: float
    height: float
    lanes: tuple[LaneBox, ...]
    parameters: tuple[ParameterBox, ...]
    kink: bool
    fault: str


@dataclass(frozen=True)
class Drawing:
    """The whole drawing."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    description: str


@dataclass
class _Place:
    """A node, or a bend of an edge that crosses a layer (`index` is then -1)."""

    index: int
    layer: int
    above: float
    below: float
    before: list[_Place] = field(default_factory=list)
    after: list[_Place] = field(default_factory=list)
    y: float = 0.0
    row: int = 0
    x: float = 0.0


def draw(
    nodes: Sequence[GraphNode],
    lanes: Mapping[str, Sequence[Lane]],
    kinks: frozenset[str] = frozenset(),
    faults: Mapping[str, str] | None = None,
) -> Drawing | None:
    """Lay out a network; None when there is nothing to draw, or too much.

    `lanes` holds the strips by node or parameter name, `kinks` the nodes with an undetermined branch, `faults`
    the first faulty nodes with the name of who is at fault there.
    """
    faults = faults or {}
    parameters = {node.name: node for node in nodes if node.kind == "parameter"}
    used = {name for node in nodes for name in node.params.values()}
    shown = [(i, n) for i, n in enumerate(nodes) if n.kind != "parameter" or n.name not in used]
    if not shown or len(shown) > MOST_NODES:
        return None

    owners: dict[str, int] = {}
    for penalties in (False, True):
        for index, node in shown:
            if (node.kind == "penalty") == penalties:
                for name in node.params.values():
                    owners.setdefault(name, index)

    places: dict[int, _Place] = {}
    for index, node in shown:
        own = [name for name in dict.fromkeys(node.params.values()) if owners[name] == index]
        shared = len(set(node.params.values())) - len(own)
        size = _HEAD + _LANE * len(lanes.get(node.name, ())) + 4
        size += sum(_PARAMETER + _LANE * len(lanes.get(name, ())) for name in own) + _PARAMETER * shared
        marked = bool({node.name, *own} & faults.keys())
        places[index] = _Place(index, 0, _PORT + (_LABEL if marked else 0), size - _PORT)

    edges = _connect(shown, places)
    layers = _layer(shown, places, edges)
    routes = [_route(source, target, layers) for source, target in edges]
    _order(layers)
    _heights(layers)

    width, height, gutters = _fold(layers)
    boxes = tuple(_box(node, places[index], lanes, parameters, owners, kinks, faults) for index, node in shown)
    return Drawing(
        width=width,
        height=height,
        boxes=boxes,
        edges=tuple(_path(route, width, gutters) for route in routes),
        description=_describe([node for _, node in shown]),
    )


def _connect(shown: Sequence[tuple[int, GraphNode]], places: Mapping[int, _Place]) -> list[tuple[_Place, _Place]]:
    """The edges. A record comes from a file, so what it names need not exist, nor be free of cycles."""
    known: dict[str, int] = {}
    edges = []
    for index, node in shown:
        edges += [(places[known[name]], places[index]) for name in dict.fromkeys(node.inputs) if name in known]
        known.setdefault(node.name, index)
    return edges


def _layer(
    shown: Sequence[tuple[int, GraphNode]], places: Mapping[int, _Place], edges: Sequence[tuple[_Place, _Place]]
) -> list[list[_Place]]:
    for source, target in edges:  # in an order in which every source is final, as nodes use only earlier ones
        target.layer = max(target.layer, source.layer + 1)
    last = max(place.layer for place in places.values())
    sources = {id(target) for _, target in edges}
    for index, node in shown:
        if node.kind in ("penalty", "loss"):
            places[index].layer = last
    for index, _ in shown:
        place = places[index]
        users = [target.layer for source, target in edges if source is place]
        if id(place) not in sources and users:
            place.layer = min(users) - 1
    layers: list[list[_Place]] = [[] for _ in range(last + 1)]
    for index, _ in shown:
        layers[places[index].layer].append(places[index])
    return layers


def _route(source: _Place, target: _Place, layers: Sequence[list[_Place]]) -> list[_Place]:
    """The way of one edge: a bend in every layer that it crosses, so that it runs between the boxes."""
    route = [source]
    for number in range(source.layer + 1, target.layer):
        bend = _Place(-1, number, 5, 5)
        layers[number].append(bend)
        route.append(bend)
    route.append(target)
    for here, there in pairwise(route):
        here.after.append(there)
        there.before.append(here)
    return route


def _order(layers: Sequence[list[_Place]]) -> None:
    for layer in layers:
        _number(layer)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            centres = {}
            for place in layer:
                around = place.before if forward else place.after
                centres[id(place)] = sum(other.y for other in around) / len(around) if around else place.y
            layer.sort(key=lambda place: centres[id(place)])
            _number(layer)


def _number(layer: Sequence[_Place]) -> None:
    """Let y be the rank within the layer, from -1 to 1, until heights are known."""
    for rank, place in enumerate(layer):
        place.y = (2 * rank + 1) / len(layer) - 1


def _heights(layers: Sequence[list[_Place]]) -> None:
    for layer in layers:
        y = 0.0
        for place in layer:
            y += place.above
            place.y = y
            y += place.below + _SPACE
        for place in layer:
            place.y -= y / 2
    for sweep in range(2 * _SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = []
            for place in layer:
                around = (place.before if forward else place.after) or place.before or place.after
                wanted.append(sum(other.y for other in around) / len(around) if around else place.y)
            _settle(layer, wanted)


def _settle(layer: Sequence[_Place], wanted: Sequence[float]) -> None:
    """Put a layer as near as it can be to the wanted heights: isotonic regression by pooling."""
    offset, offsets = 0.0, []
    for above, below in zip([None, *layer], layer, strict=False):
        offset += (above.below + _SPACE + below.above) if above else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, size = blocks.pop()
            mean = (mean * count + other * size) / (count + size)
            count += size
        blocks.append((mean, count))
    settled = [mean for mean, count in blocks for _ in range(count)]
    for place, mean, offset in zip(layer, settled, offsets, strict=True):
        place.y = mean + offset


def _fold(layers: Sequence[list[_Place]]) -> tuple[float, float, dict[tuple[int, int], tuple[int, float]]]:
    """Break a long network into rows, as text is; give every place its x and final y.

    Returns the width, the height, and for each hop from one row to the next its track and the track's height.
    """
    rows = math.ceil(len(layers) / _COLUMNS)
    columns = math.ceil(len(layers) / rows)
    hops = [
        [(here, there) for here in layers[last - 1] for there in here.after]
        for last in range(columns, len(layers), columns)
    ]
    side = _MARGIN + (max(map(len, hops)) * _TRACK + 6 if hops else 0)
    gutters: dict[tuple[int, int], tuple[int, float]] = {}
    y = float(_MARGIN)
    for row in range(rows):
        members = [place for layer in layers[row * columns : (row + 1) * columns] for place in layer]
        top = min(place.y - place.above for place in members)
        bottom = max(place.y + place.below for place in members)
        for place in members:
            place.row, place.y = row, place.y + y - top
            place.x = side + (place.layer - row * columns) * (_WIDTH + _GAP)
        y += bottom - top
        if row < len(hops):
            for track, (here, there) in enumerate(hops[row]):
                gutters[id(here), id(there)] = (track, y + 14 + _TRACK * track)
            y += 28 + _TRACK * len(hops[row])
    return 2 * side + columns * _WIDTH + (columns - 1) * _GAP, y + _MARGIN, gutters


def _path(route: Sequence[_Place], width: float, gutters: Mapping[tuple[int, int], tuple[int, float]]) -> str:
    """A smooth line through the bends, level where it passes one, and back to the left between two rows."""
    parts: list[str] = []
    for here, there in pairwise(route):
        x, end = here.x + _WIDTH, there.x - (5 if there is route[-1] else 0)
        if not parts:
            parts.append(f"M{x:g} {here.y:.1f}")
        else:
            parts.append(f"H{x:g}")
        if here.row == there.row:
            middle = (x + end) / 2
            parts.append(f"C{middle:g} {here.y:.1f} {middle:g} {there.y:.1f} {end:g} {there.y:.1f}")
        else:
            track, y = gutters[id(here), id(there)]
            right, left = width - 5 - _TRACK * track, 5 + _TRACK * track
            parts.append(f"H{right:g}V{y:.1f}H{left:g}V{there.y:.1f}H{end:g}")
    return "".join(parts) + "m-5-4l5 4-5 4"


def _box(
    node: GraphNode,
    place: _Place,
    lanes: Mapping[str, Sequence[Lane]],
    parameters: Mapping[str, GraphNode],
    owners: Mapping[str, int],
    kinks: frozenset[str],
    faults: Mapping[str, str],
) -> Box:
    x, top = place.x, place.y - _PORT
    y = top + _HEAD
    own = _lanes(lanes.get(node.name, ()), x, y)
    y += _LANE * len(own)
    drawn = []
    fault = faults.get(node.name, "")
    for name in dict.fromkeys(node.params.values()):
        parameter = parameters.get(name)
        shape = shape_text(parameter.shape) if parameter else ""
        mine = owners[name] == place.index
        below = _lanes(lanes.get(name, ()) if mine else (), x, y + _PARAMETER)
        note = shape if mine else "shared"
        drawn.append(ParameterBox(cut(name, 13), note, f"parameter {name}, {shape}", y + 13, below))
        y += _PARAMETER + _LANE * len(below)
        if mine:
            fault = fault or faults.get(name, "")
    card = node.op or node.kind
    hypers = ", ".join(f"{key}={value}" for key, value in node.hypers.items())
    shape = shape_text(node.shape)
    return Box(
        index=place.index,
        kind=node.kind,
        name=cut(node.name, 15),
        note=f"{cut(card, 22 - min(len(shape), 12))} · {cut(shape, 12)}",
        full=f"{node.kind} {node.name}: {card}{f' ({hypers})' if hypers else ''}, shape {shape}",
        x=x,
        y=top,
        width=_WIDTH,
        height=y - top + 4,
        lanes=own,
        parameters=tuple(drawn),
        kink=node.name in kinks,
        fault=cut(fault, 20),
    )


def _lanes(lanes: Sequence[Lane], x: float, y: float) -> tuple[LaneBox, ...]:
    width = _WIDTH - 12
    return tuple(
        LaneBox(lane, x + 6, y + _LANE * number, width, width * min(max(lane.fill, 0), 100) / 100)
        for number, lane in enumerate(lanes)
    )


def _describe(nodes: Sequence[GraphNode]) -> str:
    operations = [node for node in nodes if node.op]
    if len(operations) > 40:
        return f"A network of {len(operations)} operations."
    return "; ".join(
        f"{node.name} is {node.op} of {', '.join(node.inputs) or ', '.join(node.params.values()) or 'nothing'}"
        for node in operations
    )


def cut(text: str, length: int) -> str:
    """A text that fits; what is left out is shown by an ellipsis.

    >>> cut("a_rather_long_name", 8)
    'a_rathe…'
    """
    return text if len(text) <= length else text[: length - 1] + "…"
