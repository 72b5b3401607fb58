"""Where everything of a network's graph stands, before anything is known of what is written on it.

Layers by longest path, order within a layer by barycentres, heights by least squares under the distances that
the boxes need (isotonic regression), so the time grows linearly with the edges and what they cross.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.campaign.records import GraphNode

WIDTH = 150
_GAP, _SPACE = 36, 26
_MARGIN = 14
_SWEEPS = 6
_COLUMNS = 6
_TRACK = 7


@dataclass
class Place:
    """A node, or a bend of an edge that crosses a layer (`index` is then -1)."""

    index: int
    layer: int
    above: float
    below: float
    before: list[Place] = field(default_factory=list)
    after: list[Place] = field(default_factory=list)
    y: float = 0.0
    row: int = 0
    x: float = 0.0


def connect(shown: Sequence[tuple[int, GraphNode]], places: Mapping[int, Place]) -> list[tuple[Place, Place]]:
    """The edges. A record comes from a file, so what it names need not exist, nor be free of cycles."""
    known: dict[str, int] = {}
    edges = []
    for index, node in shown:
        edges += [(places[known[name]], places[index]) for name in dict.fromkeys(node.inputs) if name in known]
        known.setdefault(node.name, index)
    return edges


def layer_nodes(
    shown: Sequence[tuple[int, GraphNode]], places: Mapping[int, Place], edges: Sequence[tuple[Place, Place]]
) -> list[list[Place]]:
    """The columns, from left to right."""
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
    layers: list[list[Place]] = [[] for _ in range(last + 1)]
    for index, _ in shown:
        layers[places[index].layer].append(places[index])
    return layers


def route_edge(source: Place, target: Place, layers: Sequence[list[Place]]) -> list[Place]:
    """The way of one edge: a bend in every layer that it crosses, so that it runs between the boxes."""
    route = [source]
    for number in range(source.layer + 1, target.layer):
        bend = Place(-1, number, 5, 5)
        layers[number].append(bend)
        route.append(bend)
    route.append(target)
    for here, there in pairwise(route):
        here.after.append(there)
        there.before.append(here)
    return route


def order_layers(layers: Sequence[list[Place]]) -> None:
    """Order every column so that few edges cross."""
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


def _number(layer: Sequence[Place]) -> None:
    """Let y be the rank within the layer, from -1 to 1, until heights are known."""
    for rank, place in enumerate(layer):
        place.y = (2 * rank + 1) / len(layer) - 1


def settle_heights(layers: Sequence[list[Place]]) -> None:
    """Let every place lie as level with its neighbours as the boxes allow."""
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


def _settle(layer: Sequence[Place], wanted: Sequence[float]) -> None:
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


def fold(layers: Sequence[list[Place]]) -> tuple[float, float, dict[tuple[int, int], tuple[int, float]]]:
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
            place.x = side + (place.layer - row * columns) * (WIDTH + _GAP)
        y += bottom - top
        if row < len(hops):
            for track, (here, there) in enumerate(hops[row]):
                gutters[id(here), id(there)] = (track, y + 14 + _TRACK * track)
            y += 28 + _TRACK * len(hops[row])
    return 2 * side + columns * WIDTH + (columns - 1) * _GAP, y + _MARGIN, gutters


def edge_path(route: Sequence[Place], width: float, gutters: Mapping[tuple[int, int], tuple[int, float]]) -> str:
    """A smooth line through the bends, level where it passes one, and back to the left between two rows."""
    parts: list[str] = []
    for here, there in pairwise(route):
        x, end = here.x + WIDTH, there.x - (5 if there is route[-1] else 0)
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
