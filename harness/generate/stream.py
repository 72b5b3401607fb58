"""The generated cases of a run: as many as are asked for, one at a time, the same ones for the same seed.

JAX compiles a program for every network, dtype and optimizer, and that takes longer than everything else. So each of
these settings is drawn once and filled with numbers several times; a network that has parameters comes without an
optimizer and with one, where what a library lacks of the one does not hide its verdict on the other. Networks are made
of the cards that have come up least, and optimizers and dtypes take turns: chance alone would leave cards out of a
short run. A shorter run is the beginning of a longer one.

Numbers are such that correct programs have results: special values do not overflow, and hyperparameters are as they are
used, where the edges of what is legal, such as an epsilon of 0, divide 0 by 0. An extreme stream goes there, and to
infinities and NaN: a correct program passes it too, but more of its cases say nothing.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from harness.case import Dtype, OptimizerSpec, RuleSpec
from harness.errors import GradparityError
from harness.generate.architectures import Architecture, architectures
from harness.generate.cases import DTYPES, Drawn, GeneratedCase, cases_on, sample, stated_hypers
from harness.generate.fitting import without_edges
from harness.generate.values import MILD, SPECIALS
from harness.registry import Cards
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Hyper, HyperSpec, Operation, Optimizer

DRAWS = 2
"""So many cases in one setting."""
LAYERS, LEARNING, LOSSES = 10, 2, 4
"""A network is made of so many layers and losses at most, and of so many layers that have parameters at least: of those
that came up least, so that a short run has them all."""
MIN_DEPTH, MAX_DEPTH = 3, 6
MAX_STEPS = 3
ATTEMPTS = 4
"""So often numbers are drawn anew when they make a case that was there before, as zeros do."""


@dataclass(frozen=True)
class Setting:
    """What compiled programs depend on."""

    architecture: Architecture
    dtype: Dtype
    optimizer: OptimizerSpec | None = None
    steps: int = 0


def stream(
    cards: Cards, count: int, seed: int = 0, *, draws: int = DRAWS, extreme: bool = False
) -> Iterator[GeneratedCase]:
    """So many cases, each with its number in its title."""
    chosen = settings(cards, seed, extreme)
    number = 0
    while number < count:
        setting = next(chosen)
        seen: set[str] = set()
        for _ in range(min(draws, count - number)):
            number += 1
            case = _fresh(setting, cards, (seed, number), seen, extreme)
            seen.add(case.id)
            yield replace(case, title=f"#{number} {case.title}")


def settings(cards: Cards, seed: int = 0, extreme: bool = False) -> Iterator[Setting]:
    """Networks, dtypes and optimizers without end."""
    rules, schedules, clippings = (_turns(kind, seed) for kind in (cards.optimizers, cards.schedules, cards.clippings))
    seen: Counter[str] = Counter()
    trained = 0
    for number in itertools.count():
        architecture = _architecture(cards, seen, _seed(seed, "network", number), extreme)
        seen.update({node.op for _, node in architecture.network.operations()})
        dtype = DTYPES[number % len(DTYPES)]
        yield Setting(architecture, dtype)
        if not cards.optimizers or not architecture.network.params:
            continue
        card = cards.optimizers[next(rules)]
        schedule = cards.schedules[next(schedules)] if trained % 2 and card.rate and cards.schedules else None
        clip = cards.clippings[next(clippings)] if trained // 2 % 2 and cards.clippings else None
        both = st.tuples(_rule(card, schedule, clip, extreme), st.integers(1, MAX_STEPS))
        yield Setting(architecture, dtype, *_one(both, _seed(seed, "optimizer", number)))
        trained += 1


def _turns(names: Iterable[str], seed: int) -> Iterator[str]:
    """Names again and again, in an order that the seed decides."""
    order = sorted(names)
    random.Random(seed).shuffle(order)  # noqa: S311
    while order:
        yield from order


def _architecture(cards: Cards, seen: Mapping[str, int], seed: int, extreme: bool) -> Architecture:
    """A network of the cards that came up least, around the one that did least of all; where none fits, any."""
    dice = random.Random(seed)  # noqa: S311
    least: dict[str, list[str]] = {}
    for kind in ("layer", "loss", "penalty"):
        names = sorted(name for name, card in cards.operations.items() if card.kind == kind)
        dice.shuffle(names)
        least[kind] = sorted(names, key=lambda name: seen.get(name, 0))
    first = [names[0] for names in (least["layer"], least["loss"]) if names]
    learning = [name for name in least["layer"] if cards.operations[name].params]
    chosen = [*least["layer"][:LAYERS], *learning[:LEARNING], *least["loss"][:LOSSES], *least["penalty"]]
    among = {name: cards.operations[name] for name in chosen}
    some = replace(cards, operations=among if extreme else {name: _as_used(card) for name, card in among.items()})
    try:
        featured = min(first, key=lambda name: seen.get(name, 0), default=None)
        return _one(architectures(some, min_depth=MIN_DEPTH, max_depth=MAX_DEPTH, featuring=featured), seed)
    except GradparityError:
        return _one(architectures(cards, max_depth=MAX_DEPTH), seed)


def _as_used(card: Operation) -> Operation:
    """The card for the generator, without the edges of what is legal wherever it knows what is usual."""
    return replace(card, hypers={name: without_edges(spec) for name, spec in card.hypers.items()})


def _rule(
    card: Optimizer, schedule: Schedule | None, clip: Clipping | None, extreme: bool
) -> st.SearchStrategy[OptimizerSpec]:
    """An optimizer, with what goes before it."""

    def hypers(specs: Mapping[str, HyperSpec]) -> st.SearchStrategy[dict[str, Hyper]]:
        return stated_hypers(specs if extreme else {name: without_edges(spec) for name, spec in specs.items()})

    before = {
        field: st.builds(RuleSpec, name=st.just(one.name), hypers=hypers(one.hypers))
        for field, one in (("schedule", schedule), ("clip", clip))
        if one is not None
    }
    return st.builds(OptimizerSpec, name=st.just(card.name), hypers=hypers(card.hypers), **before)


def _fresh(
    setting: Setting, cards: Cards, key: tuple[int, int], seen: set[str], extreme: bool
) -> GeneratedCase:
    """A case that is not among those seen, if chance allows."""
    strategy = cases_on(
        setting.architecture,
        cards,
        dtypes=(setting.dtype,),
        specials=tuple(SPECIALS) if extreme else MILD,
        non_finite=extreme,
        optimizer=setting.optimizer,
        max_steps=setting.steps,
    )
    for attempt in range(ATTEMPTS):
        case = _one(strategy, _seed(*key, "numbers", attempt))
        if case.id not in seen:
            break
    return case


def _one(strategy: st.SearchStrategy[Drawn], seed: int) -> Drawn:
    """One draw."""
    return sample(strategy, 1, seed)[0]


def _seed(*parts: int | str) -> int:
    """One number out of several."""
    return zlib.crc32("/".join(map(str, parts)).encode())
