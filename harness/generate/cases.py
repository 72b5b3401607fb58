"""Whole cases: an architecture, its numbers, a dtype, an optimizer and a number of steps.

    from hypothesis import given
    from harness import installed_cards
    from harness.generate import cases

    @given(cases(installed_cards()))
    def test_mine(case): ...
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import Phase, event, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from harness.case import Case, Dtype, OptimizerSpec, RuleSpec
from harness.generate.architectures import Architecture, architectures
from harness.generate.fitting import candidates
from harness.generate.values import REGIMES, SPECIALS, values_for
from harness.registry import Cards
from harness.schedule_spec import Clipping, Schedule
from harness.spec import Hyper, HyperSpec

Drawn = TypeVar("Drawn")
DTYPES: tuple[Dtype, ...] = ("float64", "float32")


@dataclass(frozen=True, eq=False, repr=False)
class GeneratedCase(Case):
    """A case that knows how it was drawn, and whose repr is the Python that makes it again, to the last bit.

    Regime, axis and the kinds of special values that were placed are no part of the case's identity.
    """

    regime: str = ""
    samples_axis: int | None = None
    specials: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return expression(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """As Hypothesis prints a failing example."""
        for number, line in enumerate(expression(self).splitlines()):
            if number:
                printer.break_()
            printer.text(line)


def expression(case: Case) -> str:
    """Python that makes the same case; it needs the names of `harness.case`.

    >>> from harness.case import Network, Node, TensorSpec
    >>> network = Network(inputs={"x": TensorSpec([2])}, loss=[Node("L", "value", ["x"])])
    >>> print(expression(Case(network, {"x": [0.1, float("nan")]}, dtype="float32")))
    Case(
        network=Network(
            inputs={'x': TensorSpec([2])},
            loss=[Node('L', 'value', ['x'])],
        ),
        values={
            'x': [0.1, 'nan'],
        },
        dtype='float32',
    )
    """
    network = case.network
    lines = ["Case(", "    network=Network("]
    for group in ("inputs", "constants", "params"):
        specs = getattr(network, group)
        if specs:
            shapes = ", ".join(f"{name!r}: {_spec(spec)}" for name, spec in specs.items())
            lines.append(f"        {group}={{{shapes}}},")
    for group in ("nodes", "loss"):
        nodes = [_node(node) for node in getattr(network, group)]
        if len(nodes) == 1:
            lines.append(f"        {group}=[{nodes[0]}],")
        elif nodes:
            lines += [f"        {group}=[", *(f"            {node}," for node in nodes), "        ],"]
    lines += ["    ),", "    values={"]
    lines += [f"        {name!r}: {_numbers(array)}," for name, array in case.values.items()]
    lines += ["    },", f"    dtype={case.dtype!r},"]
    if case.optimizer is not None:
        hypers = f", {case.optimizer.hypers!r}" if case.optimizer.hypers else ""
        rules = [
            f", {field}=RuleSpec({rule.name!r}, {rule.hypers!r})"
            for field, rule in (("schedule", case.optimizer.schedule), ("clip", case.optimizer.clip))
            if rule is not None
        ]
        lines.append(f"    optimizer=OptimizerSpec({case.optimizer.name!r}{hypers}{''.join(rules)}),")
    lines += [f"    steps={case.steps},"] if case.steps else []
    lines += [f"    record={case.record!r},"] if case.record else []
    return "\n".join([*lines, ")"])


def cases(
    cards: Cards,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    max_depth: int = 8,
    max_steps: int = 3,
    regimes: Sequence[str] = tuple(REGIMES),
    specials: Sequence[str] = tuple(SPECIALS),
    non_finite: bool = False,
    **architecture: Any,
) -> st.SearchStrategy[GeneratedCase]:
    """Complete cases of these cards; every one of them passes `Cards.check`.

    Most have an optimizer, which takes 0 to `max_steps` steps. What else `architectures` takes is handed on.
    """
    nets = architectures(cards, max_depth=max_depth, **architecture)
    return nets.flatmap(
        lambda net: cases_on(
            net,
            cards,
            dtypes=dtypes,
            max_steps=max_steps,
            regimes=regimes,
            specials=specials,
            non_finite=non_finite,
        )
    )


@st.composite
def cases_on(
    draw: st.DrawFn,
    architecture: Architecture,
    cards: Cards,
    *,
    dtypes: Sequence[Dtype] = DTYPES,
    max_steps: int = 3,
    regimes: Sequence[str] = tuple(REGIMES),
    specials: Sequence[str] = tuple(SPECIALS),
    non_finite: bool = False,
    optimizer: OptimizerSpec | None = None,
) -> GeneratedCase:
    """Cases on one network: other numbers, for programs that are already compiled.

    With an `optimizer`, that one takes exactly `max_steps` steps, so that its program is the same in all of them.
    """
    dtype = draw(st.sampled_from(dtypes))
    steps = max_steps if optimizer is not None else 0
    if optimizer is None and max_steps and cards.optimizers and architecture.network.params:
        steps = draw(st.integers(0, max_steps))
        if steps or draw(st.booleans()):
            optimizer = draw(optimizers(cards))
    numbers = draw(
        values_for(
            architecture.network, dtype, cards, regimes=regimes, specials=specials, non_finite=non_finite
        )
    )
    case = GeneratedCase(
        network=architecture.network,
        values=numbers.values,
        dtype=dtype,
        optimizer=optimizer,
        steps=steps,
        title=_title(architecture, numbers.regime, dtype, optimizer, steps),
        regime=numbers.regime,
        samples_axis=architecture.samples_axis,
        specials=tuple(kind for _, _, kind in numbers.specials),
    )
    _tell(case)
    return case


@st.composite
def optimizers(draw: st.DrawFn, cards: Cards) -> OptimizerSpec:
    """An optimizer with hyperparameters up to the edge of what is legal."""
    card = cards.optimizers[draw(st.sampled_from(sorted(cards.optimizers)))]
    hypers = draw(stated_hypers(card.hypers))
    schedule = draw(rules(cards.schedules)) if card.rate else None
    return OptimizerSpec(card.name, hypers, schedule, draw(rules(cards.clippings)))


@st.composite
def rules(draw: st.DrawFn, cards: Mapping[str, Schedule] | Mapping[str, Clipping]) -> RuleSpec | None:
    """A schedule or a clipping with hyperparameters up to the edge; in most cases none."""
    if not cards or not draw(st.sampled_from((False, False, False, True))):
        return None
    card = cards[draw(st.sampled_from(sorted(cards)))]
    return RuleSpec(card.name, draw(stated_hypers(card.hypers)))


@st.composite
def stated_hypers(draw: st.DrawFn, specs: Mapping[str, HyperSpec]) -> dict[str, Hyper]:
    """Hyperparameters that are not the default. Each is so in half of all draws: what meets every edge at once is
    implemented by nobody, or beyond what rounding leaves of it.
    """
    stated = {}
    for name, spec in specs.items():
        first, *others = candidates(spec)
        value = draw(st.sampled_from((*(first for _ in others), first, *others)))
        if value != spec.default:
            stated[name] = value
    return stated


def sample(strategy: st.SearchStrategy[Drawn], count: int, seed: int = 0) -> list[Drawn]:
    """So many independent draws, the same ones for the same seed: for runs, benches and tables, outside of any test.

    Within one test Hypothesis varies what it has drawn before, which finds bugs but counts little as a sample. Here
    each draw has a test of its own, of two examples: the simplest, which is always tried first, and then this one. The
    second differs from the first in its first choice, so that one is spent on a number that nobody wants.
    """
    tried: list[Drawn] = []

    def collect(one: tuple[int, Drawn]) -> None:
        tried.append(one[1])

    drawn: list[Drawn] = []
    spent = st.tuples(st.integers(0, 2**32 - 1), strategy)
    alone = settings(max_examples=2, phases=[Phase.generate], database=None, derandomize=False, deadline=None)
    for number in range(count):
        run: Callable[[], None] = alone(seeded(seed * 1_000_003 + number)(given(spent)(collect)))
        run()
        drawn.append(tried[-1])
    return drawn


def _tell(case: GeneratedCase) -> None:
    """Let Hypothesis count what was drawn (``pytest --hypothesis-show-statistics``)."""
    for op in sorted({node.op for _, node in case.network.operations()}):
        event("card", op)
    event("optimizer", "none" if case.optimizer is None else f"{case.optimizer.name}, {case.steps} steps")
    event("dtype", case.dtype)
    event("depth", str(len(case.network.nodes)))
    event("regime", case.regime)


def _title(
    architecture: Architecture, regime: str, dtype: Dtype, optimizer: OptimizerSpec | None, steps: int
) -> str:
    layers = _in_order(node.op for node in architecture.network.nodes)
    loss = " + ".join(_in_order(term.op for term in architecture.network.loss))
    update = ""
    if steps and optimizer is not None:
        before = [rule.name for rule in (optimizer.clip, optimizer.schedule) if rule is not None]
        update = f", {' + '.join([*before, optimizer.name])} × {steps}"
    return f"{' → '.join([*layers, loss])}; {regime}, {dtype}{update}"


def _in_order(ops: Iterable[str]) -> list[str]:
    """Operations as one would say them.

    >>> _in_order(["dense", "dense", "relu", "dense"])
    ['2 × dense', 'relu', 'dense']
    """
    runs = [(op, len(list(same))) for op, same in itertools.groupby(ops)]
    return [op if number == 1 else f"{number} × {op}" for op, number in runs]


def _spec(spec: Any) -> str:
    return f"TensorSpec({spec.shape!r})" if spec.dtype == "case" else f"TensorSpec({spec.shape!r}, {spec.dtype!r})"


def _node(node: Any) -> str:
    parts: list[Any] = [node.inputs, node.params, node.hypers]
    while parts and not parts[-1]:
        parts.pop()
    return f"Node({', '.join(map(repr, [node.name, node.op, *parts]))})"


def _numbers(array: Any) -> str:
    """Nested lists of the shortest decimals that read back as the same numbers of the same dtype."""
    if array.ndim:
        return f"[{', '.join(_numbers(part) for part in array)}]"
    if array.dtype.kind == "f" and not np.isfinite(array):
        return repr(str(float(array)))
    return str(array[()])
