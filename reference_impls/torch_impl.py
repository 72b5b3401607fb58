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
from harness.spec import Array, Hyper, Optimizer
from harness.trace import LOSS, Quantity, Trace

NO_DOUBLE_BACKWARD = ("is not implemented", "Expected a proper Tensor but got None")
"""What torch says where it cannot differentiate twice: the first of its attention kernels, the second of a layer norm
that has a bias and no weight (torch 2.13)."""


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
            NotSupportedError: a card has no torch line, or its backward pass no derivative in torch.
        """
        import torch

        cards = installed_cards() if self._cards is None else self._cards
        plan = [_line(cards, node) for _, node in case.network.operations()]
        tensors = {name: torch.tensor(array) for name, array in case.values.items()}
        params = {name: tensors[name].requires_grad_() for name in case.network.params}
        take_step, slots = _optimizer(torch, cards, case, params)
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
            if take_step is not None and step < case.steps:
                take_step()
        return Trace(quantities, losses)

    def hessian_vector(self, case: Case, directions: Mapping[str, Array]) -> Mapping[str, Array]:
        """The Hessian of the total loss times a direction: double backward, by `create_graph`.

        Raises:
            NotSupportedError: a card has no torch line, or its backward pass no derivative in torch.
        """
        import torch

        cards = installed_cards() if self._cards is None else self._cards
        plan = [_line(cards, node) for _, node in case.network.operations()]
        tensors = {name: torch.tensor(array) for name, array in case.values.items()}
        along = {name: torch.tensor(array) for name, array in directions.items()}
        wanted = [tensors[name].requires_grad_() for name in along]
        loss = forward(case, plan, tensors, watch=False)[LOSS]
        if not loss.requires_grad:
            return {name: np.zeros_like(array) for name, array in directions.items()}
        # A leaf that the loss does not depend on has zeros, with a graph of its own.
        grads = torch.autograd.grad(loss, wanted, create_graph=True, allow_unused=True, materialize_grads=True)
        slope = reduce(operator.add, [(g * v).sum() for g, v in zip(grads, along.values(), strict=True)])
        if not slope.requires_grad:
            return {name: np.zeros_like(array) for name, array in directions.items()}
        try:
            found = torch.autograd.grad(slope, wanted, allow_unused=True, materialize_grads=True)
        except RuntimeError as error:
            if not any(reason in str(error) for reason in NO_DOUBLE_BACKWARD):
                raise
            raise NotSupportedError(f"torch has no double backward here: {error}") from None
        return {name: _copy(one) for name, one in zip(along, found, strict=True)}


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
    """A function that takes a step of the library's optimizer, and one from a parameter to the slots of its state."""
    if case.optimizer is None or not params:
        return None, lambda w: {}
    card, hypers = cards.optimizer(case.optimizer.name), cards.optimizer_hypers(case)
    if card.torch_optimizer is None or card.torch_state is None:
        raise NotSupportedError(f"torch: the optimizer {card.name!r} has no torch_optimizer or no torch_state")
    read = card.torch_state
    optimizer = card.torch_optimizer(torch, list(params.values()), **hypers)
    clip, schedule, scheduler = cards.clipping(case), cards.schedule(case), None
    if clip is not None and clip[0].torch_clip is None:
        raise NotSupportedError(f"torch: the clipping {clip[0].name!r} has no torch_clip")
    if schedule is not None:
        if schedule[0].torch_scheduler is None:
            raise NotSupportedError(f"torch: the schedule {schedule[0].name!r} has no torch_scheduler")
        scheduler = schedule[0].torch_scheduler(torch, optimizer, **schedule[1])

    def take_step() -> None:
        if any(w.grad is None for w in params.values()) and _moves_without_gradient(card, hypers):
            raise NotSupportedError(
                "torch: the loss does not depend on a parameter, and torch.optim passes over those; "
                f"{card.name} with these hyperparameters moves every parameter"
            )
        learning = [w for w in params.values() if w.grad is not None]
        # Of no gradient at all, torch's clipping by value ends in an error of its own.
        if clip is not None and clip[0].torch_clip is not None and learning:
            clip[0].torch_clip(torch, learning, **clip[1])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()

    # Torch keeps no state of a parameter without a gradient.
    return take_step, lambda w: read(optimizer.state[w]) if w in optimizer.state else {}


def _moves_without_gradient(card: Optimizer, hypers: Mapping[str, Hyper]) -> bool:
    """Whether the rule moves a parameter whose gradient has always been 0, as weight decay does."""
    w = np.ones(1)
    with np.errstate(all="ignore"):
        after, _ = card.numpy_update(w, np.zeros(1), card.numpy_init(w, **hypers), 1, **hypers)
    return bool((after != w).any())


def _copy(tensor: Any) -> Array:
    return np.array(tensor.detach().cpu().numpy())


def _copy_grad(tensor: Any) -> Array:
    return np.zeros_like(_copy(tensor)) if tensor.grad is None else _copy(tensor.grad)
