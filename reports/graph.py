"""Where everything of a network's graph is drawn: data flows from left to right, errors are written on the nodes.

The result is numbers and strings; the template draws them and escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.campaign.records import GraphNode
from reports.graph_layout import (
    WIDTH,
    Place,
    connect,
    edge_path,
    fold,
    layer_nodes,
    order_layers,
    route_edge,
    settle_heights,
)
from reports.wording import shape_text

MOST_NODES = 150
"""A network with more nodes is listed, not drawn."""

_PORT = 25
_HEAD = 44
_LANE = 18
_PARAMETER = 19
_LABEL = 22
_LINK = 24


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
class Link:
    """What stands between the terms of a sum that are drawn below each other: plus, or equals."""

    sign: str
    x: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Drawing:
    """The whole drawing."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    links: tuple[Link, ...]
    description: str


def draw(
    nodes: Sequence[GraphNode],
    lanes: Mapping[str, Sequence[Lane]],
    kinks: frozenset[str] = frozenset(),
    faults: Mapping[str, str] | None = None,
    total: GraphNode | None = None,
) -> Drawing | None:
    """Lay out a network; None when there is nothing to draw, or too much.

    `lanes` holds the strips by node or parameter name, `kinks` the nodes with an undetermined branch, `faults`
    the first faulty nodes with the name of who is at fault there. Penalties without inputs stand below the loss,
    and below them the `total` of the sum, numbered as if it followed on the nodes.
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

    places: dict[int, Place] = {}
    for index, node in shown:
        own = [name for name in dict.fromkeys(node.params.values()) if owners[name] == index]
        shared = len(set(node.params.values())) - len(own)
        size = _HEAD + _LANE * len(lanes.get(node.name, ())) + 4
        size += sum(_PARAMETER + _LANE * len(lanes.get(name, ())) for name in own) + _PARAMETER * shared
        marked = bool({node.name, *own} & faults.keys())
        places[index] = Place(index, 0, _PORT + (_LABEL if marked else 0), size - _PORT)

    terms = _terms(shown)
    if total and terms:
        size = _HEAD + _LANE * len(lanes.get(total.name, ())) + 4
        places[len(nodes)] = Place(len(nodes), 0, _PORT + (_LABEL if total.name in faults else 0), size - _PORT)
        terms.append(len(nodes))
        shown.append((len(nodes), total))
    offsets = _stack([places[index] for index in terms])
    free = [(index, node) for index, node in shown if index not in terms[1:]]
    edges = connect(free, places)
    layers = layer_nodes(free, places, edges)
    routes = [route_edge(source, target, layers) for source, target in edges]
    order_layers(layers)
    settle_heights(layers)

    width, height, gutters = fold(layers)
    for index, offset in zip(terms, offsets, strict=True):
        places[index].x, places[index].y = places[terms[0]].x, places[terms[0]].y + offset
    boxes = tuple(_box(node, places[index], lanes, parameters, owners, kinks, faults) for index, node in shown)
    return Drawing(
        width=width,
        height=height,
        boxes=boxes,
        edges=tuple(edge_path(route, width, gutters) for route in routes),
        links=_links([box for index in terms for box in boxes if box.index == index], bool(total)),
        description=_describe([node for _, node in shown]),
    )


def _terms(shown: Sequence[tuple[int, GraphNode]]) -> list[int]:
    """The first loss and the penalties that no edge leads to; empty where there are none."""
    known = {node.name for _, node in shown}
    losses = [index for index, node in shown if node.kind == "loss"]
    penalties = [index for index, node in shown if node.kind == "penalty" and not known & set(node.inputs)]
    return [losses[0], *penalties] if losses and penalties else []


def _stack(places: Sequence[Place]) -> list[float]:
    """How far each of them is below the first, which grows to hold them all."""
    offsets: list[float] = []
    for place in places:
        if offsets:
            first = places[0]
            offsets.append(first.below + _LINK + place.above)
            first.below = offsets[-1] + place.below
        else:
            offsets.append(0.0)
    return offsets


def _links(boxes: Sequence[Box], total: bool) -> tuple[Link, ...]:
    links = [Link("+", above.x + WIDTH / 2, above.y + above.height, below.y) for above, below in pairwise(boxes)]
    if total and links:
        links[-1] = Link("=", links[-1].x, links[-1].top, links[-1].bottom)
    return tuple(links)


def _box(
    node: GraphNode,
    place: Place,
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
        width=WIDTH,
        height=y - top + 4,
        lanes=own,
        parameters=tuple(drawn),
        kink=node.name in kinks,
        fault=cut(fault, 20),
    )


def _lanes(lanes: Sequence[Lane], x: float, y: float) -> tuple[LaneBox, ...]:
    width = WIDTH - 12
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
