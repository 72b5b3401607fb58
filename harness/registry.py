"""Finding cards and implementations: the built-in ones and anybody else's, through one door.

Four entry-point groups are read: ``gradparity.cards`` (an iterable of cards),
``gradparity.implementations`` (an `Implementation`, or a callable that makes one without arguments),
``gradparity.worked_examples`` (an iterable of `WorkedExample`) and ``gradparity.reports`` (a function that
turns a `RunRecord` and its `CaseRecord`s into text).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from harness.case import Case, Network, Node, RuleSpec, TensorSpec
from harness.errors import CaseError, RegistryError
from harness.protocol import Implementation
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Hyper, HyperSpec, Misfit, Operation, Optimizer, Shape, complete_hypers

Card = Operation | Optimizer | Schedule | Clipping
KINDS: Mapping[type[Card], str] = {
    Operation: "operations", Optimizer: "optimizers", Schedule: "schedules", Clipping: "clippings"
}  # fmt: skip


@dataclass(frozen=True)
class Cards:
    """The cards of a run, by name: operations of networks, optimizers, and what goes before an optimizer's rule."""

    operations: Mapping[str, Operation]
    optimizers: Mapping[str, Optimizer]
    schedules: Mapping[str, Schedule] = field(default_factory=dict)
    clippings: Mapping[str, Clipping] = field(default_factory=dict)

    def __repr__(self) -> str:
        """How many of each kind."""
        return f"Cards({', '.join(f'{len(getattr(self, kind))} {kind}' for kind in KINDS.values())})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """The same for Hypothesis and IPython, which would write out every field: megabytes."""
        printer.text(repr(self))

    @staticmethod
    def of(cards: Iterable[Card]) -> Cards:
        """Collect cards; `RegistryError` when two of a kind share a name."""
        found: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS.values()}
        for card in cards:
            if not isinstance(card, Card):
                known = ", ".join(kind.__name__ for kind in KINDS)
                raise RegistryError(f"needs cards ({known}), got {card!r:.80}")
            kind = found[KINDS[type(card)]]
            if card.name in kind:
                raise RegistryError(f"two cards are called {card.name!r}; rename one")
            kind[card.name] = card
        return Cards(**found)

    def replacing(self, card: Card) -> Cards:
        """These cards with one exchanged for its namesake; the originals are not touched."""
        kind = KINDS[type(card)]
        exchanged: dict[str, Any] = {kind: {**getattr(self, kind), card.name: card}}
        return replace(self, **exchanged)

    def operation(self, name: str, path: str = "$") -> Operation:
        """The operation's card; `CaseError` at `path` when there is none."""
        if name not in self.operations:
            raise CaseError(path, f"no card is called {name!r}; there are: {', '.join(sorted(self.operations))}")
        return self.operations[name]

    def optimizer(self, name: str, path: str = "$") -> Optimizer:
        """The optimizer's card; `CaseError` at `path` when there is none."""
        if name not in self.optimizers:
            raise CaseError(path, f"no optimizer is called {name!r}; there are: {', '.join(sorted(self.optimizers))}")
        return self.optimizers[name]

    def hypers(self, node: Node) -> dict[str, Hyper]:
        """The node's hyperparameters with the card's defaults filled in."""
        return complete_hypers(self.operation(node.op).hypers, node.hypers)

    def optimizer_hypers(self, case: Case) -> dict[str, Hyper]:
        """The optimizer's hyperparameters with the card's defaults filled in; empty when there is none."""
        if case.optimizer is None:
            return {}
        return _numbers(self.optimizer(case.optimizer.name).hypers, case.optimizer.hypers)

    def schedule(self, case: Case) -> tuple[Schedule, dict[str, Hyper]] | None:
        """The schedule of the learning rate, with its hyperparameters complete; None when the rate stays."""
        if case.optimizer is None or case.optimizer.schedule is None:
            return None
        card = _named(self.schedules, case.optimizer.schedule, "schedule")
        return card, _numbers(card.hypers, case.optimizer.schedule.hypers)

    def clipping(self, case: Case) -> tuple[Clipping, dict[str, Hyper]] | None:
        """What is done to the gradients, with its hyperparameters complete; None when nothing is."""
        if case.optimizer is None or case.optimizer.clip is None:
            return None
        card = _named(self.clippings, case.optimizer.clip, "clip")
        return card, _numbers(card.hypers, case.optimizer.clip.hypers)

    def check(self, case: Case) -> dict[str, Shape]:
        """Check a case against the cards and return every name's shape.

        Raises:
            CaseError: an unknown card, a role or hyperparameter it does not have, shapes or whole numbers that do not
                fit; with the JSON path.
        """
        shapes = self.shapes(case.network)
        for name, (low, high) in self.integer_ranges(case.network, shapes).items():
            wrong = case.values[name][(case.values[name] < low) | (case.values[name] >= high)]
            if wrong.size:
                raise CaseError(f"$.values.{name}", f"needs whole numbers from {low} to {high - 1}, got {wrong[0]}")
        self._check_optimizer(case)
        return shapes

    def _check_optimizer(self, case: Case) -> None:
        if case.optimizer is None:
            return
        card = self.optimizer(case.optimizer.name, "$.optimizer.name")
        rules: tuple[tuple[str, Any, Callable[[Case], Any]], ...] = (
            ("", case.optimizer, self.optimizer_hypers),
            (".schedule", case.optimizer.schedule, self.schedule),
            (".clip", case.optimizer.clip, self.clipping),
        )
        for part, rule, complete in rules:
            try:
                complete(case)
            except Misfit as misfit:
                raise CaseError(f"$.optimizer{part}.hypers", f"{rule.name}: {misfit}") from None
        if case.optimizer.schedule is not None and not card.rate:
            raise CaseError("$.optimizer.schedule", f"{card.name} has no learning rate that a schedule could change")

    def shapes(self, network: Network) -> dict[str, Shape]:
        """Every name's shape; raises as `check` does."""
        tensors = network.tensors()
        shapes = {name: tuple(spec.shape) for name, spec in tensors.items()}
        terms = {term.name for term in network.loss}
        for path, node in network.operations():
            card = self.operation(node.op, f"{path}.op")
            if (card.kind == "layer") == (node.name in terms):
                belongs = "among the nodes" if card.kind == "layer" else "in the loss"
                raise CaseError(f"{path}.op", f"{node.op!r} is a {card.kind}: it belongs {belongs}")
            _check_roles(path, node, card, tensors)
            try:
                shapes[node.name] = card.output_shape(
                    [shapes[name] for name in node.inputs],
                    {role: shapes[name] for role, name in node.params.items()},
                    **complete_hypers(card.hypers, node.hypers),
                )
            except Misfit as misfit:
                raise CaseError(path, f"{node.op}: {misfit}") from None
        return shapes

    def integer_ranges(self, network: Network, shapes: Mapping[str, Shape]) -> dict[str, tuple[int, int]]:
        """By name of what holds whole numbers, from which number to below which, for everything that uses it."""
        ranges: dict[str, tuple[int, int]] = {}
        for _, node in network.operations():
            card = self.operation(node.op)
            inputs = [shapes[name] for name in node.inputs]
            params = {role: shapes[name] for role, name in node.params.items()}
            for role, says in card.integers.items():
                name = node.inputs[card.inputs.index(role)]
                low, high = says(inputs, params, **self.hypers(node))
                known = ranges.get(name, (low, high))
                ranges[name] = max(low, known[0]), min(high, known[1])
        return ranges


def _check_roles(path: str, node: Node, card: Operation, tensors: Mapping[str, TensorSpec]) -> None:
    """Raise `CaseError` unless a node has the inputs and parameters that its card needs, and no others."""
    if len(node.inputs) != len(card.inputs):
        needs = f"{len(card.inputs)} ({', '.join(card.inputs) or 'none'})"
        raise CaseError(f"{path}.inputs", f"{node.op} needs {needs}, got {len(node.inputs)}")
    for index, (role, name) in enumerate(zip(card.inputs, node.inputs, strict=True)):
        whole = name in tensors and tensors[name].dtype == "int64"
        if whole != (role in card.integers):
            needs = "real numbers" if whole else "whole numbers, an input or constant of dtype int64"
            raise CaseError(f"{path}.inputs[{index}]", f"{node.op}: {role} needs {needs}, which {name!r} has not")
    legal = card.params + card.optional_params
    for role in node.params:
        if role not in legal:
            raise CaseError(f"{path}.params.{role}", f"{node.op} has no such role; it has: {', '.join(legal)}")
    for role in card.params:
        if role not in node.params:
            raise CaseError(f"{path}.params", f"{node.op} needs a parameter for the role {role!r}")


def _named(cards: Mapping[str, Any], rule: RuleSpec, field: str) -> Any:
    if rule.name not in cards:
        known = ", ".join(sorted(cards)) or "none"
        raise CaseError(f"$.optimizer.{field}.name", f"no {field} is called {rule.name!r}; there are: {known}")
    return cards[rule.name]


def _numbers(specs: Mapping[str, HyperSpec], given: Mapping[str, Hyper]) -> dict[str, Hyper]:
    """Complete hyperparameters, each number of its kind: whole where the default is, with a point where it is not."""
    complete = complete_hypers(specs, given)
    for name, value in complete.items():
        if type(value) is int and not specs[name].whole and not specs[name].choices:
            complete[name] = float(value)
    return complete


@cache
def installed_cards() -> Cards:
    """Every card that an installed distribution offers."""
    return Cards.of(card for entry in _entries("gradparity.cards") for card in _load(entry))


def installed_implementations() -> dict[str, EntryPoint]:
    """The implementations on offer, by name, not yet loaded: loading one imports its framework."""
    found: dict[str, EntryPoint] = {}
    for entry in _entries("gradparity.implementations"):
        if entry.name in found:
            raise RegistryError(f"two installed implementations are called {entry.name!r}: uninstall or rename one")
        found[entry.name] = entry
    return found


def installed_examples() -> list[Any]:
    """Every worked example that an installed distribution offers, in order."""
    return [example for entry in _entries("gradparity.worked_examples") for example in _load(entry)]


def installed_report(name: str) -> Callable[..., str]:
    """The report of this name, such as ``html`` or ``terminal``; `RegistryError` when there is none."""
    for entry in _entries("gradparity.reports"):
        if entry.name == name:
            made: Callable[..., str] = _load(entry)
            return made
    raise RegistryError(f"no report is called {name!r}: is gradparity installed?")


def implementation(name: str) -> Implementation:
    """An implementation by its entry point's name, or by ``package.module:object``.

    Raises:
        RegistryError: there is none, it cannot be imported, or it is not an implementation.
    """
    if ":" in name:
        entry = EntryPoint(name=name, value=name, group="gradparity.implementations")
    else:
        offered = installed_implementations()
        if name not in offered:
            known = ", ".join(sorted(offered)) or "none; is gradparity installed?"
            raise RegistryError(f"no implementation is called {name!r}; installed: {known}. "
                                "Your own is named package.module:object")
        entry = offered[name]
    made = _load(entry)
    if isinstance(made, type) or not isinstance(made, Implementation):
        if not callable(made):
            raise RegistryError(f"{entry.value} needs a `name` and a `run(case)`, got {made!r:.80}")
        made = made()
    if not isinstance(made, Implementation) or not isinstance(made.name, str) or not made.name:
        raise RegistryError(f"{entry.value} needs a `name` and a `run(case)`, got {made!r:.80}")
    return made


def _entries(group: str) -> list[EntryPoint]:
    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _load(entry: EntryPoint) -> Any:
    module, _, attribute = entry.value.partition(":")
    try:
        loaded = importlib.import_module(module)
        for part in attribute.split("."):
            loaded = getattr(loaded, part)
    except ImportError as error:
        raise RegistryError(f"{entry.value} cannot be imported: {error}") from error
    except AttributeError as error:
        raise RegistryError(f"{entry.value} cannot be loaded: {error}") from error
    return loaded
