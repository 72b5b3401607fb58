"""PyTorch as its users write it: leaf tensors, a forward pass, `loss.backward()`, `optimizer.step()`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from importlib.metadata import version
from typing import Any

import numpy as np

from harness.case import Case, Node
from harness.errors import NotSupportedError
from harness.registry import Cards, installed_cards
from harness.spec import Array, Hyper
from harness.trace import LOSS, Quantity, Trace


class TorchImplementation:
    """Autograd and `torch.optim`, through the cards' torch lines.

    Cases are taken as checked (`Cards.check`). Without `cards`, those of every installed distribution are used.
    """

    name = "torch"

    def __init__(self, *, cards: Cards | None = None) -> None:
        self._cards = cards

    @property
    def versions(self) -> Mapping[str, str]:
        """PyTorch's version."""
        return {"torch": version("torch")}

    def elementary(self) -> Mapping[str, Callable[..., Array]]:
        """Torch's functions, from NumPy arrays to NumPy arrays."""
        import torch

        def over(function: Callable[..., Any]) -> Callable[..., Array]:
            return lambda *arrays: np.asarray(function(*map(torch.as_tensor, arrays)).numpy())

        names = ("divide", "erf", "exp", "expm1", "log", "log1p", "logaddexp", "sigmoid", "sqrt", "tanh")
        return {name: over(getattr(torch, name)) for name in names}

    def numerics(self) -> Mapping[str, str]:
        """Threads, and the precision of matrix products."""
        import torch

        precision = torch.get_float32_matmul_precision()
        return {"threads": str(torch.get_num_threads()), "float32 matmul precision": precision}

    def run(self, case: Case) -> Trace:
        """Compute the case.

        Raises:
            NotSupportedError: a card has no torch line.
        """
        import torch

        cards = installed_cards() if self._cards is None else self._cards
        plan = [_line(cards, node) for _, node in case.network.operations()]
        tensors = {name: torch.tensor(array) for name, array in case.values.items()}
        params = {name: tensors[name].requires_grad_() for name in case.network.params}
        optimizer, slots = _optimizer(torch, cards, case, params)
        losses = np.empty(case.steps + 1, case.dtype)
        recorded = set(case.recorded)
        quantities: dict[Quantity, Array] = {}

        for step in range(case.steps + 1):
            recording = step in recorded
            if recording or step - 1 in recorded:
                for name, w in params.items():
                    quantities[Quantity(step, "param", name)] = _copy(w)
                    for slot, tensor in slots(w).items() if step else ():
                        quantities[Quantity(step, "state", name, slot)] = _copy(tensor)
            values = forward(case, plan, tensors, watch=recording)
            for w in params.values():
                w.grad = None  # as `zero_grad(set_to_none=True)`, which there is only with an optimizer
            if values[LOSS].requires_grad:
                values[LOSS].backward()
            losses[step] = values[LOSS].item()
            if recording:
                for node, _, _ in plan:
                    quantities[Quantity(step, "value", node.name)] = _copy(values[node.name])
                quantities[Quantity(step, "value", LOSS)] = _copy(values[LOSS])
                inputs = [name for name, spec in case.network.inputs.items() if spec.dtype == "case"]
                for name in (*inputs, *params, *(node.name for node in case.network.nodes)):
                    quantities[Quantity(step, "grad", name)] = _copy_grad(values[name])
            if optimizer is not None and step < case.steps:
                optimizer.step()
        return Trace(quantities, losses)


def forward(case: Case, plan: Any, tensors: Mapping[str, Any], *, watch: bool) -> dict[str, Any]:
    """Every value by name, and the total loss; with `watch`, such that inputs and nodes receive gradients."""
    values = dict(tensors)
    if watch:
        for name, spec in case.network.inputs.items():
            if spec.dtype == "case":
                values[name] = tensors[name].detach().requires_grad_()
    terms = {term.name for term in case.network.loss}
    for node, line, hypers in plan:
        inputs = [values[name] for name in node.inputs]
        value = line({role: values[name] for role, name in node.params.items()}, *inputs, **hypers)
        if watch and node.name not in terms:
            if any(value is given for given in inputs):
                value = value.view_as(value)  # an identity: its gradient is not its input's
            if not value.requires_grad:
                value = value.detach().requires_grad_()  # made from constants alone
            value.retain_grad()
        values[node.name] = value
    values[LOSS] = reduce(operator.add, [values[term.name] for term in case.network.loss])
    return values


def _line(cards: Cards, node: Node) -> tuple[Node, Any, dict[str, Hyper]]:
    import torch

    card = cards.operation(node.op)
    write = card.torch_forward
    if write is None:
        raise NotSupportedError(f"torch: the card {card.name!r} has no torch_forward")
    return node, lambda roles, *inputs, **hypers: write(torch, roles, *inputs, **hypers), cards.hypers(node)


def _optimizer(torch: Any, cards: Cards, case: Case, params: Mapping[str, Any]) -> tuple[Any, Any]:
    """The library's optimizer, and a function from a parameter to the slots of its state."""
    if case.optimizer is None or not params:
        return None, lambda w: {}
    card = cards.optimizer(case.optimizer.name)
    if card.torch_optimizer is None or card.torch_state is None:
        raise NotSupportedError(f"torch: the optimizer {card.name!r} has no torch_optimizer or no torch_state")
    read = card.torch_state
    optimizer = card.torch_optimizer(torch, list(params.values()), **cards.optimizer_hypers(case))
    # Torch skips a parameter without a gradient, and then keeps no state of it.
    return optimizer, lambda w: read(optimizer.state[w]) if w in optimizer.state else {}


def _copy(tensor: Any) -> Array:
    return np.array(tensor.detach().cpu().numpy())


def _copy_grad(tensor: Any) -> Array:
    return np.zeros_like(_copy(tensor)) if tensor.grad is None else _copy(tensor.grad)
