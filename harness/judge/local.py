"""The local judgement: every operation done again from the implementation's own inputs to it.

An implementation that records its intermediates is held, operation by operation, against what that operation makes
of the implementation's own numbers, under the bound of that one operation. Nothing accumulates, so the judgement is
as sharp in the thirtieth layer as in the first, and what is at fault is the operation itself and not everything
that follows from it (teacher forcing).

Many cases of one network are judged in one pass (`harness.arrays.blocks`); all arrays here have the cases in front.

Three cautions, each measured before it was written down:

- A centre computed in extended precision stands for the exact value, off by a known share of the radius.
- At an exact tie (an implementation's own x is 0 in front of a ReLU) every subgradient is admissible: a value between
  those of the two sides is `convention`.
- An operation that compares what it has rounded itself (x + 3 < 6, or x with a limit that float32 does not hold) is not
  known by its input to take this side or that. Nearer to the kink than that rounding, either is right: a value between
  those of the two sides is `undetermined branch`.
- On which side of a kink NaN lies nobody can say: the gradient of what compares it is `undecided`. The value is not: it
  is NaN.
- A compiler may compute a gradient again where it is summed, instead of reading it back (XLA fuses the gradient of a
  pre-activation into the sum for the bias, and into the sum over several uses of a node). So the gradient of a
  parameter that is only summed (`summed_params` of the card), or of a node that is used several times, is judged once
  more when it is outside its bound, allowing what flows into it the rounding of the last operation that rounds. No
  other gradient is: for a weight's it would cost the sensitivity wherever an activation saturates.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.arrays import Comparison as Branching
from harness.arrays import ErrorModel
from harness.arrays.blocks import BlockArray, centre_share, wider_type
from harness.case import Network, Node
from harness.judge.expected import Expected, Local
from harness.judge.walk import (
    Contribution,
    add_up,
    differentiated,
    gathered,
    node_backward,
    node_forward,
    reaching_the_loss,
)
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS, QuantityKind

EXTENDED_UP_TO = 4_096
"""Beyond so many elements in one array, extended precision costs too much: the centre is float64, and for float64
cases its own rounding is added to the bound, which doubles it."""
RUNNING = ("max", "min")
"""Comparisons of one element with the best of those before it, one after the other."""

MOST_COMBINATIONS = 64
"""So many combinations of sides are tried, where several operations that use one name meet a tie."""


@dataclass(frozen=True)
class Own:
    """An implementation's own numbers at one step, by name, the cases in front: values (with what was given), grads.

    What is the same in all cases may stand there once. Whole numbers are the same in all cases.
    """

    values: Mapping[str, Array]
    grads: Mapping[str, Array]


def local_step(
    network: Network, cards: Cards, own: Own, model: ErrorModel
) -> dict[tuple[QuantityKind, str], Local]:
    """Judge every value and gradient that was recorded together with what it is computed from."""
    watched = _Watched(network, cards, own, model)
    judged: dict[tuple[QuantityKind, str], Local] = {}
    of_values = dict(watched.values())
    for name, expected in of_values.items():
        if name in own.values:
            judged["value", name] = Local(expected, own.values[name])
    if ("value", LOSS) in judged and judged["value", LOSS].wrong:
        judged["value", LOSS] = Local(watched.total_of_recomputed_terms(of_values), own.values[LOSS])
    radii: dict[str, Array] = {}
    for name, expected in watched.grads():
        radii[name] = expected.radius
        if name in own.grads:
            found = Local(expected, own.grads[name])
            judged["grad", name] = found if found.holds else replace(found, expected=watched.nan_told(name, expected))
    for name in watched.summed():
        if ("grad", name) in judged and judged["grad", name].wrong:
            judged["grad", name] = Local(watched.allowing_recomputation(name, radii), own.grads[name])
    return judged


class _Watched:
    """The operations of one network, each over an implementation's own numbers."""

    def __init__(self, network: Network, cards: Cards, own: Own, model: ErrorModel) -> None:
        self.network, self.cards, self.model = network, cards, model
        self.extended = max((array[0].size for array in own.values.values()), default=0) <= EXTENDED_UP_TO
        self.share = centre_share(model, wider_type(model, extended=self.extended))
        self.numbers = {name: self._block(array) for name, array in own.values.items()}
        self.cases = max(len(array) for table in (own.values, own.grads) for array in table.values())
        self.nodes = {node.name: node for _, node in network.operations()}
        self.upstream = {name: self._block(own.grads[name]) for name in self.nodes if name in own.grads}
        self.upstream |= {term.name: self._block(np.ones(1)) for term in network.loss}
        reaching = reaching_the_loss(network)
        self.live = [node for node in self.nodes.values() if node.name in reaching]
        self.done: dict[str, tuple[Any, Any, list[Branching]]] = {}
        self.parts: dict[tuple[str, int | None, bool], list[Contribution]] = {}
        for node in self.nodes.values():
            if all(name in self.numbers for name in (*node.inputs, *node.params.values())):
                self.done[node.name] = node_forward(cards, node, self.numbers)

    def values(self) -> Iterator[tuple[str, Expected]]:
        """Every node's value, and the total loss, from the implementation's own inputs to it."""
        for name, (value, _, made) in self.done.items():
            sides, near = (
                [node_forward(self.cards, self.nodes[name], self.numbers, side)[0] for side in _sides(made, rounding)]
                for rounding in (False, True)
            )
            yield name, self._expected(value, sides, near)
        terms = [term.name for term in self.network.loss]
        if all(name in self.numbers for name in terms):
            yield LOSS, self._expected(add_up([self.numbers[name] for name in terms]), [])

    def total_of_recomputed_terms(self, of_values: Mapping[str, Expected]) -> Expected:
        """The total loss, where each term may carry its own rounding: XLA fuses a penalty's last product in."""
        terms = [term.name for term in self.network.loss]
        loose = [
            BlockArray(self.numbers[name].centre, of_values[name].radius, self.model, hidden=True) for name in terms
        ]
        return self._expected(add_up(loose), [])

    def grads(self) -> Iterator[tuple[str, Expected]]:
        """Every gradient, from the implementation's own gradients of what uses the name."""
        for name in differentiated(self.network):
            users = self._users(name)
            if any(node.name not in self.done or node.name not in self.upstream for node in users):
                continue
            if not users:
                if name in self.numbers:
                    zeros = np.zeros((self.cases, *self.numbers[name].shape))
                    yield name, Expected(zeros, zeros, zeros, zeros)
                continue
            sides, near = (
                [self._gradient(name, users, chosen, rounding) for chosen in self._combinations(users, rounding)]
                for rounding in (False, True)
            )
            yield name, self._expected(self._gradient(name, users, [None] * len(users)), sides, near)

    def summed(self) -> list[str]:
        """The names whose gradient a compiler may compute by a sum that it fuses with what comes before it.

        They are parameters whose every use is a mere sum, and nodes that are used several times.
        """
        fused: dict[str, bool] = {}
        uses: dict[str, int] = {}
        for node in self.nodes.values():
            roles = self.cards.operation(node.op).summed_params
            for role, name in node.params.items():
                fused[name] = fused.get(name, True) and role in roles
            for name in node.inputs:
                uses[name] = uses.get(name, 0) + 1
        return [name for name, yes in fused.items() if yes] + [name for name, count in uses.items() if count > 1]

    def allowing_recomputation(self, name: str, radii: Mapping[str, Array]) -> Expected:
        """A gradient, where what flows into it may carry the rounding of its own last operation."""
        users = self._users(name)
        sides, near = (
            [self._loosened(name, radii, chosen, rounding) for chosen in self._combinations(users, rounding)]
            for rounding in (False, True)
        )
        return self._expected(self._loosened(name, radii), sides, near)

    def _users(self, name: str) -> list[Node]:
        return [node for node in self.live if name in node.inputs or name in node.params.values()]

    def _loosened(
        self, name: str, radii: Mapping[str, Array], sides: Sequence[int | None] = (), rounding: bool = False
    ) -> Any:
        parts: list[Contribution] = []
        users = self._users(name)
        for node, side in zip(users, sides or [None] * len(users), strict=True):
            upstream = self.upstream[node.name]
            if node.name in radii:
                radius = radii[node.name]
                if not radius.any():
                    # It rounds nothing (identity, add): what is computed anew begins before it.
                    radius = np.asarray(self._loosened(node.name, radii).radius)
                upstream = BlockArray(upstream.centre, radius, self.model, hidden=True)
            saved = self._saved(node, side, rounding)
            found = node_backward(self.cards, node, self.numbers, saved, upstream)
            parts += [one for one in found if one.name == name]
        if not parts:  # nothing uses it
            zeros = np.zeros(radii[name].shape)
            return BlockArray(zeros, zeros, self.model, hidden=True)
        return gathered(parts)

    def nan_told(self, name: str, expected: Expected) -> Expected:
        """What is expected of a gradient, with where NaN leaves that open."""
        users = self._users(name)
        expected = _where_nan(expected, [one for node in users for one in self.done[node.name][2]])
        names = {name for node in users for name in (*node.inputs, *node.params.values())}
        numbers = [*(self.numbers[name] for name in names), *(self.upstream[node.name] for node in users)]
        blocks = [one.centre.reshape(len(one.centre), -1) for one in numbers if isinstance(one, BlockArray)]
        tainted = np.zeros(self.cases, dtype=bool)
        for block in blocks:
            tainted |= np.isnan(block).any(axis=1)
        if not tainted.any():
            return expected
        return replace(expected, tainted=tainted.reshape(-1, *(1,) * (expected.centre.ndim - 1)))

    def _combinations(self, users: Sequence[Node], rounding: bool) -> list[tuple[int | None, ...]]:
        """The combinations of sides: of the operations that meet a tie, each has its own; none where none does."""
        counts = [len(_sides(self.done[node.name][2], rounding)) for node in users]
        if not any(counts):
            return []
        combined = itertools.product(*(range(count) if count else (None,) for count in counts))
        return list(itertools.islice(combined, MOST_COMBINATIONS))

    def _gradient(
        self, name: str, users: Sequence[Node], sides: Sequence[int | None], rounding: bool = False
    ) -> Any:
        found = (
            one
            for node, side in zip(users, sides, strict=True)
            for one in self._contributions(node, side, rounding)
        )
        return gathered(one for one in found if one.name == name)

    def _contributions(self, node: Node, side: int | None, rounding: bool) -> list[Contribution]:
        if (node.name, side, rounding) not in self.parts:
            saved, upstream = self._saved(node, side, rounding), self.upstream[node.name]
            self.parts[node.name, side, rounding] = node_backward(self.cards, node, self.numbers, saved, upstream)
        return self.parts[node.name, side, rounding]

    def _saved(self, node: Node, side: int | None, rounding: bool) -> Any:
        """What a node's forward pass saves, on one of the sides of its ties."""
        if side is None:
            return self.done[node.name][1]
        choice = _sides(self.done[node.name][2], rounding)[side]
        return node_forward(self.cards, node, self.numbers, choice)[1]

    def _block(self, array: Array) -> Any:
        if array.dtype.kind in "iu":
            return array[0]
        return BlockArray.block(array, self.model, extended=self.extended)

    def _expected(self, number: Any, sides: Sequence[Any], near: Sequence[Any] = ()) -> Expected:
        centre, radius = np.asarray(number.centre), np.asarray(number.radius) * (1 + self.share)
        shape = (self.cases, *number.shape)
        centre, radius = (part if part.shape == shape else np.broadcast_to(part, shape) for part in (centre, radius))
        low = high = centre
        for side in sides:
            # A side on which a tie has no value, as t log t has none at t = 0 where t > 0 is taken, is none.
            known = np.isfinite(side.radius)
            # Where more is rounded on a side than on the card's own, as in g + 1 - 1 beside g, it reaches farther.
            more = np.maximum(np.where(known, side.radius, 0.0) * (1 + self.share) - radius, 0.0)
            low = np.where(known, np.minimum(low, side.centre - more), low)
            high = np.where(known, np.maximum(high, side.centre + more), high)
        return Expected(centre, radius, low, high, self._either(number, near) if near else None)

    def _either(self, number: Any, near: Sequence[Any]) -> Expected:
        """As with ties; but where rounding may lead to a side of which nothing is known, anything may come out."""
        made = self._expected(number, near)
        known = np.all([np.isfinite(side.radius) for side in near], axis=0)
        return replace(made, radius=np.where(known, made.radius, np.inf))


def _where_nan(expected: Expected, made: Sequence[Branching]) -> Expected:
    """The same, and where these comparisons met NaN: by element, or by case where they are of another shape."""
    shape, met = expected.centre.shape, None
    for one in made:
        nan = np.isnan(np.asarray(one.gap, dtype=np.float64))
        if nan.any():
            by_case = nan.reshape(len(nan), -1).any(axis=1).reshape(-1, *(1,) * (len(shape) - 1))
            here = np.broadcast_to(nan if nan.shape == shape else by_case, shape)
            met = here if met is None else met | here
    return expected if met is None else replace(expected, nan=met)


def _sides(made: Sequence[Branching], rounding: bool) -> list[list[Any]]:
    """The other outcomes to try when some comparison is an exact tie: all taken, and none taken.

    And of several equal elements any may be taken for the largest, not the first and the last alone.
    With `rounding`, when some comparison may come out either way because the operation rounds before it.
    """
    near = [np.abs(one.gap) <= one.radius for one in made]
    exact = [np.asarray(one.radius) == 0 for one in made]
    ties = [places & tie for places, tie in zip(near, exact, strict=True)]
    if not any((places & ~tie if rounding else places & tie).any() for places, tie in zip(near, exact, strict=True)):
        return []
    places = near if rounding else ties
    running = [number for number, one in enumerate(made) if one.name in RUNNING and places[number].any()]
    ones = running if len(running) > 1 else []
    return [
        *([(at, np.full(at.shape, side)) for at in places] for side in (True, False)),
        *([(at, np.full(at.shape, number == one)) for number, at in enumerate(places)] for one in ones),
    ]


__all__ = ["Own", "local_step"]
