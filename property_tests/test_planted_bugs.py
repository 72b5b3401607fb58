"""Every planted mistake is seen, blamed on NumPy and placed where it was made; without it, the same cases pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference_impls.numpy_impl
from harness import Cards, Case, Network, Node, OptimizerSpec, TensorSpec, installed_cards
from harness.campaign.records import Finding
from harness.errors import GradparityError
from harness.judge.findings import FAULTS, find
from harness.judge.judge import judge
from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants, mutated_cards, mutated_module
from harness.registry import installed_examples
from reference_impls.numpy_impl import NumpyImplementation

CARD_MUTANTS = card_mutants(installed_cards())
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


def implementations(mutant: Mutant) -> NumpyImplementation:
    if mutant in EXECUTOR_MUTANTS:
        made: NumpyImplementation = mutated_module(mutant, reference_impls.numpy_impl).NumpyImplementation()
        return made
    return NumpyImplementation(cards=mutated_cards(mutant, installed_cards()))


def faults(implementation: NumpyImplementation, cards: Cards) -> Iterator[tuple[str, Finding]]:
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


@pytest.mark.parametrize("mutant", CARD_MUTANTS + EXECUTOR_MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_mistake_is_caught_and_placed(mutant: Mutant) -> None:
    caught = next(faults(implementations(mutant), installed_cards()), None)
    assert caught is not None, f"nobody noticed: {mutant.mistake}"
    key, finding = caught
    assert finding.implementation == "numpy"
    if mutant in CARD_MUTANTS:
        assert mutant.target in finding.op.split(), f"{key}: placed in {finding.op}"


def test_there_are_enough_of_them_and_each_says_what_it_stands_for() -> None:
    everything = CARD_MUTANTS + EXECUTOR_MUTANTS
    assert len(everything) >= 10
    assert len({mutant.name for mutant in everything}) == len(everything)
    assert all(mutant.mistake and mutant.old != mutant.new for mutant in everything)
    planted = {mutant.target for mutant in CARD_MUTANTS}
    cards = installed_cards()
    assert {*cards.operations, *cards.optimizers} - planted == {"identity", "add", "value"}


def test_a_mutant_does_not_leak() -> None:
    before = installed_cards()
    sources = {name: card.numpy_backward for name, card in before.operations.items()}
    for mutant in CARD_MUTANTS:
        mutated_cards(mutant, before)
    assert {name: card.numpy_backward for name, card in installed_cards().operations.items()} == sources


def test_a_mutant_that_no_longer_fits_the_source_is_an_error() -> None:
    stale = Mutant("stale", "relu", "no such text", "anything", "none")
    with pytest.raises(GradparityError, match="exactly once"):
        mutated_cards(stale, installed_cards())
    with pytest.raises(GradparityError, match="no card 'nothing'"):
        mutated_cards(replace(stale, target="nothing"), installed_cards())
