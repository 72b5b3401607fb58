"""NumPy, by hand: the cards' own formulas, chained forward and backward through the network."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy import special

from harness.case import Case, Network, Node
from harness.registry import Cards, installed_cards
from harness.spec import Array, Hyper, Operation
from harness.trace import LOSS, Quantity, Trace

Plan = Sequence[tuple[Node, Operation, dict[str, Hyper]]]


class NumpyImplementation:
    """Every derivative written out in a card; nothing here differentiates anything.

    Cases are taken as checked (`Cards.check`). Without `cards`, those of every installed distribution are used.
    """

    name = "numpy"

    def __init__(self, *, cards: Cards | None = None) -> None:
        self._cards = cards

    @property
    def versions(self) -> Mapping[str, str]:
        """NumPy's version."""
        return {"numpy": np.__version__}

    def elementary(self) -> Mapping[str, Callable[..., Array]]:
        """NumPy's functions, as the cards call them."""
        names = ("divide", "exp", "expm1", "log", "log1p", "logaddexp", "sqrt", "tanh")
        functions = {name: getattr(np, name) for name in names}
        return {**functions, "erf": special.erf, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}

    def run(self, case: Case) -> Trace:
        """Compute the case; overflow and division by zero give inf and nan, silently."""
        cards = installed_cards() if self._cards is None else self._cards
        with np.errstate(all="ignore"):
            return _run(case, cards)


def _run(case: Case, cards: Cards) -> Trace:
    plan = [(node, cards.operation(node.op), cards.hypers(node)) for _, node in case.network.operations()]
    rule = None if case.optimizer is None else cards.optimizer(case.optimizer.name)
    hypers = cards.optimizer_hypers(case)
    params = case.params
    states = {} if rule is None else {name: rule.numpy_init(w, **hypers) for name, w in params.items()}
    losses = np.empty(case.steps + 1, case.dtype)
    recorded = set(case.recorded)
    quantities: dict[Quantity, Array] = {}

    for step in range(case.steps + 1):
        values, saved = forward(plan, case.network, {**case.values, **params})
        losses[step] = values[LOSS]
        grads = backward(plan, case.network, saved, {**values, **params})
        if step in recorded or step - 1 in recorded:
            for name, w in params.items():
                quantities[Quantity(step, "param", name)] = np.array(w)
                for slot, array in states.get(name, {}).items() if step else ():
                    quantities[Quantity(step, "state", name, slot)] = np.array(array)
        if step in recorded:
            for name in (*(node.name for node, _, _ in plan), LOSS):
                quantities[Quantity(step, "value", name)] = np.array(values[name])
            for name, grad in grads.items():
                quantities[Quantity(step, "grad", name)] = np.array(grad)
        if rule is not None and step < case.steps:
            grads = _clipped(cards, case, {name: grads[name] for name in params})
            hypers |= _scheduled(cards, case, rule.rate, step + 1)
            updated = {name: rule.numpy_update(w, grads[name], states[name], step + 1, **hypers)
                       for name, w in params.items()}
            params = {name: w for name, (w, _) in updated.items()}
            states = {name: state for name, (_, state) in updated.items()}
    return Trace(quantities, losses)


def _clipped(cards: Cards, case: Case, grads: dict[str, Any]) -> dict[str, Any]:
    """The gradients that the optimizer sees."""
    found = cards.clipping(case)
    return grads if found is None else found[0].numpy_clip(grads, **found[1])


def _scheduled(cards: Cards, case: Case, rate: str, t: int) -> dict[str, Hyper]:
    """The learning rate of update number t, where it has a schedule."""
    found = cards.schedule(case)
    return {} if found is None else {rate: found[0].numpy_rate(cards.optimizer_hypers(case)[rate], t, **found[1])}


def forward(plan: Plan, network: Network, values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every node's and term's value and the total loss, added to `values`; and what each saved for later."""
    saved = {}
    for node, card, hypers in plan:
        roles = {role: values[name] for role, name in node.params.items()}
        inputs = [values[name] for name in node.inputs]
        values[node.name], saved[node.name] = card.numpy_forward(roles, *inputs, **hypers)
    values[LOSS] = reduce(operator.add, [values[term.name] for term in network.loss])
    return values, saved


def backward(plan: Plan, network: Network, saved: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The gradient of the total loss at every input, parameter and node: the chain rule, last node first.

    What is used in several places gets a contribution from each, and they add up. A loss term gets 1.
    """
    terms = [term.name for term in network.loss]
    grads: dict[str, Any] = {name: np.ones_like(values[name]) for name in terms}

    def contribute(name: str, grad: Any) -> None:
        grads[name] = grads[name] + grad if name in grads else grad

    for node, card, hypers in reversed(plan):
        if node.name not in grads:
            continue  # it does not reach the loss
        roles = {role: values[name] for role, name in node.params.items()}
        dinputs, dparams = card.numpy_backward(roles, saved[node.name], grads[node.name], **hypers)
        for name, grad in zip(node.inputs, dinputs, strict=True):
            if grad is not None:
                contribute(name, grad)
        for role, grad in dparams.items():
            contribute(node.params[role], grad)
    inputs = [name for name, spec in network.inputs.items() if spec.dtype == "case"]
    wanted = (*inputs, *network.params, *(node.name for node in network.nodes))
    return {name: grads[name] if name in grads else np.zeros_like(values[name]) for name in wanted}
