"""The pieces that the tutorials' networks are put together from: nodes, cases, printed arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.case import Case, Dtype, Network, Node, OptimizerSpec, TensorSpec
from harness.spec import Hyper
from harness.trace import Quantity
from harness.worked_example import Printed

Numbers = Any
"""A number, or lists of them, as they stand in a source."""


def dense(name: str, x: str, layer: int, layout: str) -> Node:
    """A fully connected layer with the parameters ``W<layer>`` and ``b<layer>``.

    >>> dense("z2", "a1", 2, "rows").params
    {'W': 'W2', 'b': 'b2'}
    """
    return Node(name, "dense", [x], {"W": f"W{layer}", "b": f"b{layer}"}, {"layout": layout})


def apply(name: str, op: str, *inputs: str, **hypers: Hyper) -> Node:
    """An operation without parameters, or a loss."""
    return Node(name, op, list(inputs), {}, hypers)


def chain(layout: str, z: str, a: str, *activations: str) -> list[Node]:
    """Dense layers in a row, each with its activation; `z` and `a` name them, with ``{}`` for the number.

    >>> [node.name for node in chain("rows", "z{}", "a{}", "relu", "sigmoid")]
    ['z1', 'a1', 'z2', 'a2']
    """
    nodes: list[Node] = []
    x = "x"
    for layer, activation in enumerate(activations, start=1):
        nodes.append(dense(z.format(layer), x, layer, layout))
        x = a.format(layer)
        nodes.append(apply(x, activation, z.format(layer)))
    return nodes


def sgd(lr: float) -> OptimizerSpec:
    """Plain gradient descent."""
    return OptimizerSpec("sgd", {"lr": lr})


def build(
    title: str,
    nodes: Sequence[Node],
    *loss: Node,
    inputs: Mapping[str, Numbers],
    constants: Mapping[str, Numbers] | None = None,
    params: Mapping[str, Numbers] | None = None,
    dtype: Dtype = "float64",
    optimizer: OptimizerSpec | None = None,
    steps: int = 0,
    record: tuple[int, ...] = (),
) -> Case:
    """A case whose shapes are those of its numbers."""
    constants, params = constants or {}, params or {}
    return Case(
        network=Network(_shapes(inputs), _shapes(constants), _shapes(params), list(nodes), list(loss)),
        values={name: np.array(value, float) for name, value in {**inputs, **constants, **params}.items()},
        dtype=dtype,
        optimizer=optimizer,
        steps=steps,
        record=record,
        title=title,
    )


def printed(quantity: Quantity, digits: str | Sequence[Any], where: str = "") -> tuple[Printed, ...]:
    """An array as a source prints it: nested lists of digits, or a single string of them for a scalar.

    >>> [(item.index, item.digits) for item in printed(Quantity(0, "grad", "W"), [["0.5", "-1"]])]
    [((0, 0), '0.5'), ((0, 1), '-1')]
    """
    return tuple(Printed(quantity, index, str(text), where) for index, text in np.ndenumerate(np.array(digits)))


def columns(array: Numbers) -> Numbers:
    """The transpose, as lists: rows of samples become columns, and the other way round.

    >>> columns([[1, 2], [3, 4]])
    [[1, 3], [2, 4]]
    """
    return [list(column) for column in zip(*array, strict=True)]


def _shapes(values: Mapping[str, Numbers]) -> dict[str, TensorSpec]:
    return {name: TensorSpec(list(np.shape(value))) for name, value in values.items()}
