"""Planting one mistake at a time, where it cannot leak.

A mutant is one line of a card, or of an executor, with other text in it. Its module's source is read, the text
exchanged, and the result compiled into a module object of its own that is never put into `sys.modules`: the real
card and the real executor are not touched, and both can be used side by side.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import linecache
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

from harness.errors import GradparityError
from harness.protocol import Implementation
from harness.registry import KINDS, Card, Cards
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Operation, Optimizer

_SOURCE: Mapping[type[Card], str] = {
    Operation: "numpy_forward", Optimizer: "numpy_update", Schedule: "numpy_rate", Clipping: "numpy_clip"
}  # fmt: skip
"""A function of each kind of card, which says in which module it stands."""


@dataclass(frozen=True)
class Mutant:
    """One planted mistake.

    `target` is a card's name, or an executor's module; `old` is text that stands exactly once in the functions of its
    module, on one line, and `new` what stands there instead. `mistake` says which textbook mistake it is.
    """

    name: str
    target: str
    old: str
    new: str
    mistake: str


def card_mutants(cards: Cards, kinds: Sequence[str] = ("operations", "optimizers")) -> tuple[Mutant, ...]:
    """The mistakes that cards of these kinds carry, each named after its card and itself."""
    return tuple(
        Mutant(f"{card.name}_{one.name}", card.name, one.old, one.new, one.story)
        for kind in kinds
        for card in getattr(cards, kind).values()
        for one in card.mistakes
    )


def mutated_cards(mutant: Mutant, cards: Cards) -> Cards:
    """These cards with the mutant's in place of the real one.

    Raises:
        GradparityError: there is no such card, or its source does not have the text exactly once.
    """
    return cards.replacing(_mutated_card(mutant, cards))


def mutated_module(mutant: Mutant, module: ModuleType) -> ModuleType:
    """A module like `module`, but with the mistake; for executors, whose object is then taken from it."""
    source = inspect.getsource(module)
    lines = source.splitlines(keepends=True)
    places = [number for number in _in_functions(source) for _ in range(lines[number].count(mutant.old))]
    if len(places) != 1:
        raise GradparityError(
            f"mutant {mutant.name}: needs {mutant.old!r} exactly once, on one line of a function of "
            f"{module.__name__}; it is there {len(places)} times"
        )
    name = f"{module.__name__}__{mutant.name}"
    file = f"<{name}>"
    lines[places[0]] = lines[places[0]].replace(mutant.old, mutant.new)
    changed = "".join(lines)
    linecache.cache[file] = (len(changed), None, changed.splitlines(keepends=True), file)
    made = ModuleType(name)
    # A dataclass looks its module up by name while it is being made.
    sys.modules[name] = made
    try:
        exec(compile(changed, file, "exec"), made.__dict__)  # noqa: S102 - our own source, never a user's
    finally:
        del sys.modules[name]
    return made


def mutated_executor(mutant: Mutant) -> Implementation:
    """An implementation out of a module with the mistake in it."""
    made = mutated_module(mutant, importlib.import_module(mutant.target))
    [kind] = [one for one in vars(made).values() if isinstance(one, type) and one.__module__ == made.__name__]
    built: Implementation = kind()
    return built


def _in_functions(source: str) -> list[int]:
    """The lines that belong to functions, counted from 0: what a card says of itself is not to be changed."""
    found: set[int] = set()
    for part in ast.walk(ast.parse(source)):
        if isinstance(part, ast.FunctionDef):
            found.update(range(part.lineno - 1, part.end_lineno or part.lineno))
    return sorted(found)


def _mutated_card(mutant: Mutant, cards: Cards) -> Card:
    named = [getattr(cards, kind)[mutant.target] for kind in KINDS.values() if mutant.target in getattr(cards, kind)]
    if not named:
        raise GradparityError(f"mutant {mutant.name}: there is no card {mutant.target!r}")
    card: Card = named[0]
    function = getattr(card, _SOURCE[type(card)])
    made = mutated_module(mutant, sys.modules[function.__module__])
    found = [one for one in vars(made).values() if isinstance(one, type(card)) and one.name == card.name]
    if len(found) != 1:
        raise GradparityError(f"mutant {mutant.name}: its module makes {len(found)} cards called {card.name!r}")
    return replace(found[0])
