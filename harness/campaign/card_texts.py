"""Cards as a report shows them: the maths of their module's docstring, and their lines in torch and in JAX.

A report is made where the cards may not be installed, so a run keeps their texts.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from harness.campaign.records import CardRecord
from harness.registry import Card, Cards
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Operation, Optimizer

KINDS = {"layer": "layers", "loss": "losses", "penalty": "penalties"}


def card_texts(cards: Cards) -> list[CardRecord]:
    """All cards, by kind and name."""
    made = [
        *(_record(KINDS[card.kind], card, *_operation(card)) for card in cards.operations.values()),
        *(_record("optimizers", card, *_optimizer(card)) for card in cards.optimizers.values()),
        *(_record("schedules", card, *_schedule(card)) for card in cards.schedules.values()),
        *(_record("clippings", card, *_clipping(card)) for card in cards.clippings.values()),
    ]
    return sorted(made, key=lambda one: (one.kind, one.name))


Functions = tuple[Callable[..., Any], Callable[..., Any] | None, Callable[..., Any] | None]
"""A card's rule in NumPy, in torch and in JAX."""


def _operation(card: Operation) -> Functions:
    return card.numpy_forward, card.torch_forward, card.jax_forward


def _optimizer(card: Optimizer) -> Functions:
    return card.numpy_update, card.torch_optimizer, card.optax_optimizer


def _schedule(card: Schedule) -> Functions:
    return card.numpy_rate, card.torch_scheduler, card.optax_schedule


def _clipping(card: Clipping) -> Functions:
    return card.numpy_clip, card.torch_clip, card.optax_clip


def _record(
    kind: str, card: Card, rule: Callable[..., Any], torch: Callable[..., Any] | None, jax: Callable[..., Any] | None
) -> CardRecord:
    module = sys.modules.get(getattr(rule, "__module__", ""))
    maths = inspect.getdoc(module) if module else ""
    return CardRecord(
        kind=kind, name=card.name, summary=card.summary, maths=maths or "", torch=lines_of(torch), jax=lines_of(jax)
    )


def lines_of(function: Callable[..., Any] | None) -> str:
    """What a function does, without its head and docstring; empty where the source is not to be had.

    >>> lines_of(_schedule)
    'return card.numpy_rate, card.torch_scheduler, card.optax_schedule'
    >>> lines_of(None), lines_of(len)
    ('', '')
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))  # type: ignore[arg-type]
        (definition,) = ast.parse(source).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""
    if not isinstance(definition, ast.FunctionDef):
        return source.strip()
    body = definition.body[1:] if ast.get_docstring(definition) is not None else definition.body
    return textwrap.dedent("\n".join(source.splitlines()[body[0].lineno - 1 :])) if body else ""
