"""A network unrolled into plain straight-line Python, for one quantity: by hand in NumPy, in torch, in jax.

Nothing of a case but numbers becomes code: identifiers are made here (``n0``, ``n1``, ...), names stand in comments,
hyperparameters and roles are written by `repr`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.campaign.script.numbers import WIDTH, assigned, comment, hyper_text
from harness.campaign.script.source import Sources
from harness.case import Case, Node
from harness.errors import GradparityError
from harness.registry import Cards
from harness.spec import Operation
from harness.trace import LOSS, Quantity


@dataclass(frozen=True)
class Unrolled:
    """A case's network, written out for one quantity (a value or a gradient)."""

    case: Case
    quantity: Quantity

    @property
    def ids(self) -> dict[str, str]:
        """Every name's identifier."""
        network = self.case.network
        names = [*network.tensors(), *(node.name for _, node in network.operations())]
        return {name: f"n{number}" for number, name in enumerate(names)}

    @property
    def operations(self) -> list[Node]:
        """The nodes and terms, as far as the quantity needs them."""
        everything = [node for _, node in self.case.network.operations()]
        if self.quantity.kind == "grad" or self.quantity.name == LOSS:
            return everything
        return everything[: 1 + next(i for i, node in enumerate(everything) if node.name == self.quantity.name)]

    @property
    def total(self) -> str:
        """The expression for the total loss."""
        return " + ".join(self.ids[term.name] for term in self.case.network.loss)

    @property
    def downstream(self) -> set[str]:
        """The nodes and terms through which the quantity reaches the loss."""
        found = {self.quantity.name}
        for node in self.operations:
            if found & {*node.inputs, *node.params.values()}:
                found.add(node.name)
        return found - {self.quantity.name}

    def given(self) -> list[str]:
        """The case's numbers."""
        kinds = (("input", self.case.network.inputs), ("constant", self.case.network.constants))
        named = {name: kind for kind, group in (*kinds, ("parameter", self.case.network.params)) for name in group}
        lines = []
        for name, array in self.case.values.items():
            lines.append(assigned(self.ids[name].upper(), array, f"{named[name]} {name!r}"))
        return lines

    def numpy(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that computes the quantity by hand."""
        ids = {**self.ids, **{name: self.ids[name].upper() for name in self.case.values}}
        wanted = self.downstream if self.quantity.kind == "grad" else set()
        lines = []
        for node in self.operations:
            card = cards.operation(node.op)
            called = sources.function(card.numpy_forward, f"{card.name}_numpy_forward", known(node, cards))
            saved = ids[node.name].replace("n", "s", 1) if node.name in wanted else "_"
            lines += _noted(f"{ids[node.name]}, {saved} = {called}({_call(ids, node, cards)})", node)
        if self.quantity.kind == "value":
            return [*lines, f"return {self.total if self.quantity.name == LOSS else ids[self.quantity.name]}"]
        return [*lines, *self._backward(cards, sources, ids, wanted)]

    def _backward(self, cards: Cards, sources: Sources, ids: Mapping[str, str], wanted: set[str]) -> list[str]:
        """The chain rule, last node first; contributions to what nobody asks for are left out."""
        slopes = {name: text.lower().replace("n", "d", 1) for name, text in ids.items()}
        terms = {term.name for term in self.case.network.loss}
        reached = [name for name in ids if name in terms & {*wanted, self.quantity.name}]
        lines = [f"{slopes[name]} = np.ones_like({ids[name]})" for name in reached]
        shapes = contributions(self.case, cards)
        for node in reversed(self.operations):
            if node.name not in wanted or node.name not in reached:
                continue
            card = cards.operation(node.op)
            called = sources.function(card.numpy_backward, f"{card.name}_numpy_backward", known(node, cards))
            saved = f"{ids[node.name].replace('n', 's', 1)}, {slopes[node.name]}"
            call = f"{called}({_roles(ids, node)}, {saved}{hyper_text(cards.hypers(node))})"
            has_slope, roles = shapes.get(node.name, ([True] * len(node.inputs), list(node.params)))
            parts = [(f"dx[{i}]", name) for i, name in enumerate(node.inputs) if has_slope[i]]
            parts += [(f"dp[{role!r}]", node.params[role]) for role in roles]
            parts = [(part, name) for part, name in parts if name in wanted or name == self.quantity.name]
            fresh = dict(parts)
            if len(parts) == len(set(fresh.values())) == sum(part.startswith("dx") for part in fresh) and not (
                set(fresh.values()) & set(reached)
            ):
                targets = [slopes[fresh[f"dx[{i}]"]] if f"dx[{i}]" in fresh else "_" for i in range(len(node.inputs))]
                lines.append(f"{_tuple(targets)}, _ = {call}")
                reached += fresh.values()
                continue
            lines.append(f"dx, dp = {call}")
            for part, name in parts:
                lines.append(f"{slopes[name]} = {f'{slopes[name]} + ' if name in reached else ''}{part}")
                reached.append(name)
        if self.quantity.name not in reached:
            return [*lines, f"return np.zeros_like({ids[self.quantity.name]})  # it does not reach the loss"]
        return [*lines, f"return {slopes[self.quantity.name]}"]

    def torch(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that computes the quantity with autograd."""
        ids, network, name = self.ids, self.case.network, self.quantity.name
        leaves = [*network.params, *([name] if name in network.inputs else ())]
        lines = ["import torch"]
        given = [ids[tensor] for tensor in self.case.values]
        if given:
            lines.append(f"{_tuple(given)[1:-1]} = map(torch.tensor, {_tuple(given).upper()})")
        if self.quantity.kind == "grad" and leaves:
            lines += [f"for leaf in {_tuple(ids[leaf] for leaf in leaves)}:", "    leaf.requires_grad_()"]
        for node in self.operations:
            lines += _noted(f"{ids[node.name]} = {_written(sources, cards, ids, node, 'torch')}", node)
            if node.name == name and self.quantity.kind == "grad":
                own, fresh = ids[name], f"{ids[name]}.detach().requires_grad_()"
                lines += [f"{own} = {own}.view_as({own}) if {own}.requires_grad else {fresh}", f"{own}.retain_grad()"]
        if self.quantity.kind == "value":
            return [*lines, f"return ({self.total if name == LOSS else ids[name]}).detach().numpy()"]
        if self.downstream & {term.name for term in network.loss}:
            total = f"({self.total})" if "+" in self.total else self.total
            if any(_detaches(cards.operation(node.op)) for node in self.operations):
                gone = f"torch.zeros_like({ids[name]}).detach() if {ids[name]}.grad is None else {ids[name]}.grad"
                return [*lines, f"if {total}.requires_grad:", f"    {total}.backward()", f"return ({gone}).numpy()"]
            return [*lines, f"{total}.backward()", f"return {ids[name]}.grad.numpy()"]
        return [*lines, f"return torch.zeros_like({ids[name]}).detach().numpy()  # it does not reach the loss"]

    def jax(self, cards: Cards, sources: Sources) -> list[str]:
        """The body of the function that computes the quantity with `jax.grad`."""
        ids, network, name = self.ids, self.case.network, self.quantity.name
        arguments = [ids[given] for given in self.case.values]
        positions = [list(self.case.values).index(param) for param in network.params]
        probed = self.quantity.kind == "grad" and name not in self.case.values
        if name in network.inputs:
            positions.append(list(self.case.values).index(name))
        if probed:
            positions.append(len(arguments))
        what = "loss" if self.quantity.kind == "grad" else "value"
        lines = [*jax_start(self.case), f"def {what}({', '.join(arguments + ['probe'] * probed)}):"]
        for node in self.operations:
            lines += _noted(f"{ids[node.name]} = {_written(sources, cards, ids, node, 'jax')}", node, "    ")
            if probed and node.name == name:
                lines.append(f"    {ids[name]} = {ids[name]} + probe  # minus zero changes nothing")
        given = ", ".join(argument.upper() for argument in arguments)
        if self.quantity.kind == "value":
            made = self.total if name == LOSS else ids[name]
            return [*lines, f"    return {made}", f"return np.asarray(jax.jit(value)({given}))"]
        lines.append(f"    return {self.total}")
        if probed:
            lines.append(f"probe = np.full({self.shape_of(cards)}, -0.0, {self.case.dtype!r})")
            given = f"{given}, probe" if given else "probe"
            wanted = len(positions) - 1
        else:
            wanted = positions.index(list(self.case.values).index(name))
        lines.append(f"gradient = jax.jit(jax.grad(loss, argnums={_tuple(map(str, positions))}))")
        return [*lines, f"return np.asarray(gradient({given})[{wanted}])"]

    def shape_of(self, cards: Cards) -> tuple[int, ...]:
        """The quantity's shape."""
        return () if self.quantity.name == LOSS else cards.check(self.case)[self.quantity.name]


def contributions(case: Case, cards: Cards) -> dict[str, tuple[list[bool], list[str]]]:
    """By node: which inputs its backward pass has a gradient for, and which roles.

    Found by running it. What cannot be run (it crashes, as a mutant may) is left out.
    """
    values: dict[str, Any] = dict(case.values)
    found: dict[str, tuple[list[bool], list[str]]] = {}
    plan: list[tuple[Node, Operation, Any]] = [
        (node, cards.operation(node.op), cards.hypers(node)) for _, node in case.network.operations()
    ]
    saved: dict[str, Any] = {}
    try:
        with np.errstate(all="ignore"):
            for node, card, hypers in plan:
                roles = {role: values[name] for role, name in node.params.items()}
                inputs = [values[name] for name in node.inputs]
                values[node.name], saved[node.name] = card.numpy_forward(roles, *inputs, **hypers)
                dy = np.ones_like(values[node.name])
                dinputs, dparams = card.numpy_backward(roles, saved[node.name], dy, **hypers)
                found[node.name] = [slope is not None for slope in dinputs], list(dparams)
    except Exception:  # noqa: BLE001 - then the script crashes as the card does, and shows it
        return found
    return found


def _tuple(items: Iterable[str]) -> str:
    parts = list(items)
    return f"({', '.join(parts)}{',' * (len(parts) == 1)})"


def _noted(line: str, node: Node, indent: str = "") -> list[str]:
    note = comment(f"{node.name!r}")
    if len(line) + len(note) < WIDTH:
        return [f"{indent}{line}  {note}"]
    return [comment(f"{node.name!r}", indent), indent + line]


def _roles(ids: Mapping[str, str], node: Node) -> str:
    return "{" + ", ".join(f"{role!r}: {ids[name]}" for role, name in node.params.items()) + "}"


def _call(ids: Mapping[str, str], node: Node, cards: Cards) -> str:
    arguments = [_roles(ids, node), *(ids[name] for name in node.inputs)]
    return ", ".join(arguments) + hyper_text(cards.hypers(node))


def _written(sources: Sources, cards: Cards, ids: Mapping[str, str], node: Node, framework: str) -> str:
    """The line that a user of the framework would write, or a call of the card's function that has it."""
    card = cards.operation(node.op)
    line: Callable[..., Any] | None = getattr(card, f"{framework}_forward")
    if line is None:
        raise GradparityError(f"the card {card.name!r} has no {framework}_forward")
    name, told = f"{card.name}_{framework}", known(node, cards)
    call = {
        "arguments": [framework, *(ids[used] for used in node.inputs)],
        "roles": {role: ids[used] for role, used in node.params.items()},
    }
    text = sources.expression(line, name, told, call)
    return text or f"{sources.function(line, name, told)}({framework}, {_call(ids, node, cards)})"


def _detaches(card: Operation) -> bool:
    """Whether a card's torch line cuts something off: then a loss may be left that no gradient reaches."""
    code = getattr(inspect.unwrap(card.torch_forward), "__code__", None) if card.torch_forward is not None else None
    return code is not None and "detach" in code.co_names


def known(node: Node, cards: Cards) -> dict[str, Any]:
    """What a card's functions are told by the network: hyperparameters, and which roles have a parameter."""
    return {**cards.hypers(node), "p": tuple(sorted(node.params))}


def jax_start(case: Case, *more: str) -> list[str]:
    """The imports, and float64 switched on where the case has it."""
    wide = ['jax.config.update("jax_enable_x64", True)'] if case.dtype == "float64" else []
    return ["import jax", *more, *wide]
