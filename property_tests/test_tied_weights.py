"""Embeddings, and a table that is the output projection as well: one parameter in two cards gets the sum of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.mutants import EXECUTOR_MUTANTS, mutated_executor
from harness.trace import Quantity

CARDS = installed_cards()
PROGRAMS = ("numpy", "torch", "jax")
FINE = {"exact", "rounding"}
SENTENCE = np.array([[2, 0, 2], [1, 2, 2]])
"""Two sentences; word 2 stands four times, and word 3 nowhere."""
VOCABULARY, FEATURES = 4, 2


def language_model(tied, padding_index=-1, values=None, dtype="float64"):
    """Words to features, and features to a score for each word; targets that punish the scores."""
    rng = np.random.default_rng(0)
    shape = [VOCABULARY, FEATURES]
    params = {"W": TensorSpec(shape)} if tied else {"table": TensorSpec(shape), "projection": TensorSpec(shape)}
    table, projection = ("W", "W") if tied else ("table", "projection")
    network = Network(
        inputs={},
        constants={"words": TensorSpec([2, 3], "int64"), "t": TensorSpec([2, 3, VOCABULARY])},
        params=params,
        nodes=[
            Node("h", "embedding", ["words"], {"W": table}, {"padding_index": padding_index}),
            Node("z", "linear", ["h"], {"W": projection}),
        ],
        loss=[Node("L", "squared_error", ["z", "t"], {}, {"reduction": "sum"})],
    )
    W = rng.integers(-2, 3, shape) if values is None else values
    given = {"words": SENTENCE, "t": rng.integers(-2, 3, (2, 3, VOCABULARY)), **dict.fromkeys(params, W)}
    return Case(network, given, dtype)


def gradient(case, name, program="numpy"):
    return implementation(program).run(case).quantities[Quantity(0, "grad", name)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_tied_weights_get_the_sum_of_both_gradients(program, dtype):
    """On small whole numbers, so that every program is exact."""
    tied, apart = language_model(True, dtype=dtype), language_model(False, dtype=dtype)
    both = gradient(apart, "table", program) + gradient(apart, "projection", program)
    assert gradient(apart, "table", program).any()
    assert np.array_equal(gradient(tied, "W", program), both)
    assert finding_of(tied, CARDS, implementation(program)).verdict == "exact"


def test_tied_weights_are_those_of_the_modules():
    case = language_model(True)
    embedding = torch.nn.Embedding(VOCABULARY, FEATURES, dtype=torch.float64)
    linear = torch.nn.Linear(FEATURES, VOCABULARY, bias=False, dtype=torch.float64)
    embedding.weight = torch.nn.Parameter(torch.tensor(case.values["W"]))
    linear.weight = embedding.weight
    scores = linear(embedding(torch.tensor(case.values["words"])))
    (scores - torch.tensor(case.values["t"])).square().sum().backward()
    assert np.array_equal(gradient(case, "W"), embedding.weight.grad.numpy())


def test_an_executor_that_keeps_the_last_gradient_is_found():
    mutant = next(one for one in EXECUTOR_MUTANTS if one.name == "last_contribution_wins")
    found = finding_of(language_model(True), CARDS, mutated_executor(mutant))
    assert found.verdict == "mismatch"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_padding_row_is_looked_up_and_not_learned(program):
    padded, plain = language_model(False, padding_index=2), language_model(False)
    grad = gradient(padded, "table", program)
    assert not grad[2].any()
    assert np.array_equal(np.delete(grad, 2, axis=0), np.delete(gradient(plain, "table", program), 2, axis=0))
    assert finding_of(padded, CARDS, implementation(program)).verdict == "exact"
    tied = language_model(True, padding_index=2)
    assert np.array_equal(gradient(tied, "W", program)[2], gradient(padded, "projection", program)[2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_repeated_words_are_added_one_by_one_to_what_is_there(dtype):
    """XLA scatters into the gradient of the penalty: 1 + (1 + p) is rounded twice, and 2 + p once."""
    shape = [64, 3]
    network = Network(
        {}, {"words": TensorSpec([256], "int64")}, {"W": TensorSpec(shape)},
        [Node("h", "embedding", ["words"], {"W": "W"})],
        [Node("L", "value", ["h"]), Node("P", "l2_penalty", [], {"w": "W"}, {"strength": 0.01})],
    )  # fmt: skip
    rng = np.random.default_rng(0)
    case = Case(network, {"words": rng.integers(0, 64, 256), "W": rng.normal(size=shape)}, dtype)
    for program in PROGRAMS:
        assert finding_of(case, CARDS, implementation(program)).verdict in FINE
    at_once = CARDS.replacing(replace(CARDS.operation("embedding"), variants=(), parts={}))
    assert finding_of(case, at_once, implementation("jax")).verdict == "mismatch"
