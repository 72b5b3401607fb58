"""Layers where the frameworks differ and all are right: equal elements, numbers at an edge, another formula for erf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import harness.judge.kinks
import harness.judge.local
from harness.campaign.run import compare
from harness.case import Case, Dtype, Network, Node, TensorSpec
from harness.judge.bounds import own_branches
from harness.judge.judge import FAULTS
from harness.registry import implementation, installed_cards
from harness.spec import Array
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
THREE = ("numpy", "torch", "jax")


def layer(op: str, x: Array, dtype: Dtype = "float64", **hypers: Any) -> Case:
    """A layer, and a loss that weighs its elements by numbers of both signs."""
    network = Network(
        inputs={"x": TensorSpec([*x.shape])},
        nodes=[Node("y", op, ["x"], {}, hypers)],
        loss=[Node("L", "squared_error", ["y", "t"])],
    )
    shape = CARDS.shapes(replace_loss(network, []))["y"]
    t = np.random.default_rng(1).normal(size=shape)
    network = Network(network.inputs, {"t": TensorSpec([*shape])}, {}, network.nodes, network.loss)
    return Case(network, {"x": x, "t": t}, dtype)


def replace_loss(network: Network, loss: list[Node]) -> Network:
    return Network(network.inputs, network.constants, network.params, network.nodes, loss)


def verdicts(case: Case, cards: Any = CARDS) -> Mapping[str, str]:
    record = compare(case, [implementation(name) for name in THREE], cards)
    return {finding.implementation: finding.verdict for finding in record.findings}


PASSES = ("exact", "rounding")


@pytest.mark.parametrize("ties", [2, 3, 4, 5])
@pytest.mark.parametrize("place", [0, 1])
def test_any_share_among_the_largest_is_a_convention(ties: int, place: int) -> None:
    row = np.array([1.0, 7.0, -2.0, 0.5, 3.0, 2.0])
    row[place : place + ties] = 8.0
    found = verdicts(layer("max", np.stack([row, row[::-1]]), axis=-1))
    assert found["numpy"] in PASSES
    assert found["torch"] in PASSES
    assert found["jax"] == "convention"


def test_the_first_and_the_last_alone_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.judge.local, "RUNNING", ())
    assert verdicts(layer("max", np.array([[8.0, 8.0, 8.0, 1.0]]), axis=-1))["jax"] == "mismatch"
    assert verdicts(layer("max", np.array([[8.0, 8.0, 7.0, 1.0]]), axis=-1))["jax"] == "convention"


def test_a_share_among_others_is_a_mismatch() -> None:
    card = CARDS.operation("max")

    def to_the_last(p: Any, chosen: Any, dy: Any, *, axis: int, keepdims: bool) -> Any:
        return card.numpy_backward(p, np.flip(chosen, axis=-1), dy, axis=axis, keepdims=keepdims)

    case = layer("max", np.array([[8.0, 8.0, 8.0, 1.0]]), axis=-1)
    wrong = NumpyImplementation(cards=CARDS.replacing(replace(card, numpy_backward=to_the_last)))
    (finding,) = compare(case, [wrong], CARDS).findings
    assert finding.verdict == "mismatch"


def test_slopes_at_the_edges_of_a_clip_are_conventions() -> None:
    found = verdicts(layer("clip", np.array([[-1.0, 0.0, 1.0], [2.0, -3.0, 0.5]]), low=-1.0, high=1.0))
    assert found["numpy"] in PASSES
    assert (found["torch"], found["jax"]) == ("convention", "convention")


def an_own_tie() -> Case:
    """x - silu(x) is 2e-14 of x = 30, which float32 has as 0: |0| has a side of its own, where its slope is 0."""
    network = Network(
        inputs={"x": TensorSpec([1])},
        nodes=[Node("y", "silu", ["x"])],
        loss=[Node("L", "absolute_error", ["x", "y"]), Node("M", "value", ["y"])],
    )
    return Case(network, {"x": np.array([30.0])}, "float32")


def test_a_tie_of_ones_own_is_a_side_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = verdicts(an_own_tie())
    assert {found["numpy"], found["torch"]} == {"undetermined branch"}

    def without_ties(*given: Any) -> Any:
        choices = own_branches(*given)
        return choices and [choice and choice[:2] for choice in choices]

    monkeypatch.setattr(harness.judge.kinks, "own_branches", without_ties)
    assert verdicts(an_own_tie())["numpy"] == "mismatch"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", ["gelu", "gelu_tanh", "silu", "mish", "softmax", "log_softmax"])
def test_vectorized_programs_raise_no_alarm(op: str, dtype: Dtype) -> None:
    """Frameworks have other code for long arrays: torch's float32 gelu has other formulas for erf."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 25)) * np.where(rng.random((40, 25)) < 0.5, 3.0, 0.1)
    assert set(verdicts(layer(op, x, dtype)).values()) <= set(PASSES)


@pytest.mark.parametrize(("op", "dtype"), [("gelu", "float32"), ("mish", "float64")])
def test_without_their_formulas_there_are_alarms(op: str, dtype: Dtype) -> None:
    rng = np.random.default_rng(3)
    bare = CARDS.replacing(replace(CARDS.operation(op), variants=()))
    x = rng.normal(size=(40, 25)) * 10 ** rng.uniform(-1, 2, size=(40, 25))
    found = verdicts(layer(op, x, dtype), bare)
    assert set(found.values()) & set(FAULTS)
    assert found["numpy"] in PASSES
