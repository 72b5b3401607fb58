"""Walking a network with a card's NumPy source, over whatever kind of number the given values are.

The same two functions serve exact balls, tapes and bounded numbers. Every comparison that a node makes on its
way (a ReLU's x > 0) is kept beside the node's value, because which side it takes decides the derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.arrays import BlockArray, BoundedArray, Comparison, DualArray, SampledArray, TapeArray, forcing, recording
from harness.case import Network, Node
from harness.registry import Cards
from harness.spec import Array
from harness.trace import LOSS

WIDENED = BoundedArray | BlockArray | SampledArray
"""The kinds of number that carry rounding, and so have to hold every variant of a card's formulas."""

Choice = tuple[Array, Array] | tuple[Array, Array, Array] | None
"""For one comparison: where it is forced, what it is forced to, and where to a tie; None leaves it alone."""

Choices = Mapping[str, Sequence[Choice]]
"""By node: one choice for each comparison that the node makes, in order."""


@dataclass(frozen=True)
class Walk:
    """A forward pass: every node's value, what its backward needs, and the comparisons it made."""

    values: dict[str, Any]
    saved: dict[str, Any]
    comparisons: dict[str, list[Comparison]]


@dataclass(frozen=True)
class Contribution:
    """What one node adds to the gradient of a name: in all, and in the parts that a framework may add one by one.

    Only where there are other contributions do the parts matter, so they are computed when they are asked for.
    """

    name: str
    total: Any
    parts_of: Callable[[], tuple[Any, ...]]

    @cached_property
    def parts(self) -> tuple[Any, ...]:
        """They add up to the total."""
        with np.errstate(all="ignore"):
            return self.parts_of()


def given_as(kind: Callable[[Any], Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, as a kind of number; whole numbers (indices, labels) stay the plain arrays that they are."""
    return {
        name: array if isinstance(array, np.ndarray) and array.dtype.kind in "iu" else kind(array)
        for name, array in given.items()
    }


def _carries_rounding(number: Any) -> bool:
    return isinstance(number, WIDENED) or (isinstance(number, DualArray) and isinstance(number.value, WIDENED))


def node_forward(
    cards: Cards, node: Node, values: Mapping[str, Any], choices: Sequence[Choice] = ()
) -> tuple[Any, Any, list[Comparison]]:
    """One node's value, what its backward pass needs, and its comparisons."""
    card, hypers = cards.operation(node.op), cards.hypers(node)
    roles = {role: values[name] for role, name in node.params.items()}
    inputs = [values[name] for name in node.inputs]
    with np.errstate(all="ignore"), forcing(choices), recording() as made:
        value, saved = card.numpy_forward(roles, *inputs, **hypers)
    if isinstance(value, TapeArray):
        value = value.as_node()
    if _carries_rounding(value):
        for variant in card.variants:
            if variant.numpy_forward is not None:
                with np.errstate(all="ignore"):
                    value = value.widened(variant.numpy_forward(roles, *inputs, **hypers)[0])
    return value, saved, made


def node_backward(
    cards: Cards, node: Node, values: Mapping[str, Any], saved: Any, upstream: Any
) -> list[Contribution]:
    """What one node contributes to the gradients of its inputs and parameters, given its own gradient."""
    card, hypers = cards.operation(node.op), cards.hypers(node)
    roles = {role: values[name] for role, name in node.params.items()}

    def contributions(rule: Any) -> dict[str, Contribution]:
        with np.errstate(all="ignore"):
            dinputs, dparams = rule(roles, saved, upstream, **hypers)
            by_role = zip(card.inputs, node.inputs, dinputs, strict=True)
            found = [(role, name, grad) for role, name, grad in by_role if grad is not None]
            found += [(role, node.params[role], grad) for role, grad in dparams.items()]
            tuples = [(role, name, grad if isinstance(grad, tuple) else (grad,)) for role, name, grad in found]
            return {role: _of_parts(name, parts) for role, name, parts in tuples}

    found = contributions(card.numpy_backward)
    if _carries_rounding(upstream):
        for variant in card.variants:
            if variant.numpy_backward is not None:
                others = contributions(variant.numpy_backward)
                with np.errstate(all="ignore"):
                    found = {role: _widened(one, others[role]) for role, one in found.items()}
        for role, count in card.parts.items():
            if role in found:
                number = count if isinstance(count, int) else count([np.shape(values[name]) for name in node.inputs])
                found[role] = _in_shares(found[role], number)
    return list(found.values())


def _of_parts(name: str, parts: tuple[Any, ...]) -> Contribution:
    return Contribution(name, _total(parts), lambda: parts)


def _total(parts: Sequence[Any]) -> Any:
    return parts[0] + parts[1] if len(parts) == 2 else add_up(parts)


def _widened(one: Contribution, other: Contribution) -> Contribution:
    """Room for both; the last part of the one that has more takes what it differs by from the other."""

    def parts() -> tuple[Any, ...]:
        more, fewer = (one, other) if len(one.parts) >= len(other.parts) else (other, one)
        if len(more.parts) == len(fewer.parts):
            return tuple(mine.widened(theirs) for mine, theirs in zip(more.parts, fewer.parts, strict=True))
        *first, last = more.parts
        return (*first, last.widened(fewer.total - _total(first)))

    return Contribution(one.name, one.total.widened(other.total), parts)


def _in_shares(one: Contribution, count: int) -> Contribution:
    """Equal shares of the last part stand for parts that are not known: they add up to it, with a rounding for each."""

    def parts() -> tuple[Any, ...]:
        *known, last = one.parts
        missing = count - len(known)
        return one.parts if missing < 2 else (*known, *(last / missing for _ in range(missing)))

    return Contribution(one.name, one.total, parts)


def gathered(found: Iterable[Contribution]) -> Any:
    """A gradient from its contributions: of several, the parts are added in no promised order."""
    several = list(found)
    return several[0].total if len(several) == 1 else add_up(part for one in several for part in one.parts)


def forward(network: Network, cards: Cards, given: Mapping[str, Any], choices: Choices | None = None) -> Walk:
    """Compute every node and loss term, and the total loss, from the given inputs, constants and parameters."""
    values = dict(given)
    saved: dict[str, Any] = {}
    comparisons: dict[str, list[Comparison]] = {}
    for _, node in network.operations():
        chosen = (choices or {}).get(node.name, ())
        values[node.name], saved[node.name], made = node_forward(cards, node, values, chosen)
        if made:
            comparisons[node.name] = made
    values[LOSS] = add_up([values[term.name] for term in network.loss])
    return Walk(values, saved, comparisons)


def backward(network: Network, cards: Cards, walk: Walk, one: Any) -> dict[str, Any]:
    """Chain the cards' hand-written backward passes; the gradient of the total loss at every name reached.

    `one` is the number 1 of the walk's kind: the gradient of the total loss with respect to each of its terms.
    """
    parts = {term.name: [_of_parts(term.name, (one,))] for term in network.loss}
    grads: dict[str, Any] = {}
    for _, node in reversed(list(network.operations())):
        if node.name not in parts:
            continue
        upstream = grads[node.name] = gathered(parts[node.name])
        for found in node_backward(cards, node, walk.values, walk.saved[node.name], upstream):
            if found.name not in network.constants:
                parts.setdefault(found.name, []).append(found)
    for name in (*network.inputs, *network.params):
        if name in parts:
            grads[name] = gathered(parts[name])
    return grads


def add_up(parts: Iterable[Any]) -> Any:
    """The sum, in no promised order: one term is itself, more are added by `np.sum` over a stack."""
    terms = list(parts)
    return terms[0] if len(terms) == 1 else np.sum(np.stack(terms), axis=0)


def differentiated(network: Network) -> list[str]:
    """The names that gradients are taken with respect to: inputs, parameters, nodes, in this order."""
    inputs = [name for name, spec in network.inputs.items() if spec.dtype == "case"]
    return [*inputs, *network.params, *(node.name for node in network.nodes)]


def reaching_the_loss(network: Network) -> set[str]:
    """Loss terms, and the nodes that they depend on: no gradient flows through the others, not even 0 times NaN."""
    found = {term.name for term in network.loss}
    for _, node in reversed(list(network.operations())):
        if node.name in found:
            found.update(node.inputs)
    return found
