"""The worked examples show planted mistakes, in the executor and in their cards; without them, the same cases pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from harness import Cards, Case, Network, Node, OptimizerSpec, TensorSpec, installed_cards
from harness.campaign.records import Finding
from harness.judge.findings import FAULTS, find
from harness.judge.judge import judge
from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants, mutated_cards, mutated_executor
from harness.protocol import Implementation
from harness.registry import installed_examples
from reference_impls.numpy_impl import NumpyImplementation

STEPS = 3
"""Long runs are cut to so many steps: a mistake shows in the first few or it is in another place."""


def square_nets() -> dict[str, Case]:
    """Nets in which a forgotten transpose fits, a parameter is used twice, and weights of both signs are punished."""
    draw = np.random.default_rng(7).normal
    pair, matrix = TensorSpec([3, 2]), TensorSpec([2, 2])
    rows = Network(
        inputs={"x": pair},
        constants={"t": pair},
        params={"W1": matrix, "b1": TensorSpec([2]), "W2": matrix, "b2": TensorSpec([2])},
        nodes=[
            Node("z1", "dense", ["x"], {"W": "W1", "b": "b1"}),
            Node("a1", "tanh", ["z1"]),
            Node("z2", "dense", ["a1"], {"W": "W2", "b": "b2"}),
        ],
        loss=[Node("L", "squared_error", ["z2", "t"], {}, {"reduction": "mean"})],
    )
    wide, column = TensorSpec([2, 3]), TensorSpec([2, 1])
    columns = Network(
        inputs={"x": wide},
        constants={"t": wide},
        params={"W1": matrix, "b1": column, "W2": matrix, "b2": column},
        nodes=[
            Node("z1", "dense", ["x"], {"W": "W1", "b": "b1"}, {"layout": "columns"}),
            Node("a1", "sigmoid", ["z1"]),
            Node("z2", "dense", ["a1"], {"W": "W2", "b": "b2"}, {"layout": "columns"}),
        ],
        loss=[Node("L", "squared_error", ["z2", "t"], {}, {"reduction": "sample_mean", "samples_axis": 1})],
    )
    shared = Network(
        inputs={"x": pair},
        params={"W": matrix},
        nodes=[
            Node("z1", "dense", ["x"], {"W": "W"}),
            Node("a1", "tanh", ["z1"]),
            Node("z2", "dense", ["a1"], {"W": "W"}),
            Node("y", "add", ["a1", "z2"]),
            Node("s", "square", ["y"]),
        ],
        loss=[
            Node("L", "value", ["s"]),
            Node("l1", "l1_penalty", [], {"w": "W"}, {"strength": 0.25}),
            Node("l2", "l2_penalty", [], {"w": "W"}, {"strength": 0.5}),
        ],
    )
    sgd = OptimizerSpec("sgd", {"lr": 0.1})
    return {
        name: Case(
            network=network,
            values={key: draw(size=spec.shape) for key, spec in network.tensors().items()},
            optimizer=sgd,
            steps=1,
        )
        for name, network in (("square rows", rows), ("square columns", columns), ("shared weights", shared))
    }


@cache
def cases() -> dict[str, Case]:
    """The worked examples, shortened, and the nets above."""
    found = square_nets()
    for example in installed_examples():
        for worked in example.cases:
            case = worked.case
            short = replace(case, steps=STEPS, record=()) if case.steps > STEPS else case
            found[f"{example.key}/{worked.key}"] = short
    return found


def faults(implementation: Implementation, cards: Cards) -> Iterator[tuple[str, Finding]]:
    """The cases in which an implementation is found at fault, judged by the real cards."""
    for key, case in cases().items():
        try:
            trace = implementation.run(case)
        except ValueError:
            continue  # shapes that give the mistake away; the tool calls it a crash, and here it must be seen
        finding = find(case, implementation.name, judge(case, cards, trace))
        if finding.verdict in FAULTS:
            yield key, finding


def test_without_a_mistake_every_case_passes() -> None:
    assert dict(faults(NumpyImplementation(), installed_cards())) == {}


WITHOUT_COMPILING = [mutant for mutant in EXECUTOR_MUTANTS if not mutant.name.startswith("jax")]


@pytest.mark.parametrize("mutant", WITHOUT_COMPILING, ids=lambda mutant: mutant.name)
def test_a_planted_mistake_is_caught(mutant: Mutant) -> None:
    wrong = mutated_executor(mutant)
    caught = next(faults(wrong, installed_cards()), None)
    assert caught is not None, f"nobody noticed: {mutant.mistake}"
    assert caught[1].implementation == wrong.name


def test_the_worked_examples_alone_show_the_mistakes_of_their_cards() -> None:
    used = {node.op for case in cases().values() for _, node in case.network.operations()}
    for mutant in card_mutants(installed_cards()):
        if mutant.target in used & {"dense", "relu", "sigmoid", "squared_error"}:
            wrong = NumpyImplementation(cards=mutated_cards(mutant, installed_cards()))
            caught = next(faults(wrong, installed_cards()), None)
            assert caught is not None, f"nobody noticed: {mutant.mistake}"
            assert mutant.target in caught[1].op.split(), f"{caught[0]}: placed in {caught[1].op}"
