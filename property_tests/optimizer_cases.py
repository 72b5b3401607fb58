"""Cases for optimizers, schedules and clipping: small, of given gradients, and with parameters of 0.

y = x W with the loss sum(y) has the gradient x, the same in every step, whatever W is. Some of it is 0, the rest
spreads over many decades. A third of the parameters is 0, where an update is not hidden behind the rounding of the
parameter. With the loss sum(y²) gradients change their size, and with large steps their sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness import Cards, Case, Network, Node, OptimizerSpec, RuleSpec, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.campaign.records import Finding
from harness.mutants import card_mutants

CARDS = installed_cards()
MUTANTS = card_mutants(CARDS, ("optimizers", "schedules", "clippings"))
NUMPY, TORCH, JAX = (implementation(name) for name in ("numpy", "torch", "jax"))
RIGHT = {"exact", "rounding", "undetermined branch"}
SIZE = 12

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "sgd": [
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "velocity": "step", "nesterov": True},
        {"lr": 0.1},
        {"lr": 0.5, "momentum": 0.9, "dampening": 0.5},
        {"lr": 0.1, "momentum": 0.5, "velocity": "step", "dampening": 0.5, "weight_decay": 0.01},
    ],
    "adam": [{}, {"lr": 0.1, "weight_decay": 0.01, "beta1": 0.0}, {"eps": 0.01, "beta2": 0.5}],
    "adamw": [{}, {"lr": 0.1, "weight_decay": 1.0, "beta2": 0.9}],
    "amsgrad": [{"maximum": "corrected", "beta2": 0.5}, {"maximum": "plain"}, {"beta2": 0.5, "lr": 2.0}, {}],
    "adamax": [{}, {"lr": 0.1, "beta2": 0.5, "eps": 0.01}],
    "nadam": [
        {"momentum": "constant"},
        {"momentum": "constant", "lr": 0.1, "eps": 0.01},
        {},
        {"momentum_decay": 0.5},
    ],
    "radam": [{"beta2": 0.8}, {"beta2": 0.9}, {"eps_place": "raw", "beta2": 0.8, "eps": 0.01}],
    "adagrad": [{"eps_place": "inside"}, {"eps_place": "inside", "initial": 0.1}, {}, {"lr": 0.5, "initial": 0.1}],
    "adadelta": [{}, {"lr": 0.1, "weight_decay": 0.01, "eps": 0.01}],
    "rmsprop": [
        {"momentum": 0.9, "centered": True},
        {"momentum": 0.9, "eps_place": "inside", "eps": 0.01},
        {},
        {"eps_place": "inside", "centered": True},
    ],
    "rprop": [{}, {"high": 0.011, "low": 0.008}, {"lr": 2.0}],
    "lion": [{"lr": 2.0}, {"lr": 0.1, "beta1": 0.5, "weight_decay": 0.01}, {}],
}
"""By card, hyperparameters that meet all of its lines, and every definition of every library. The first is compared
with optax in float64, the second in float32: JAX compiles for each."""
WITHOUT = {"lion": "torch", "rprop": "jax"}
"""The libraries that lack an optimizer, or define it otherwise whatever the hyperparameters are."""


def given(
    seed: int, optimizer: OptimizerSpec, dtype: str, steps: int, *, square: bool = False, size: int = SIZE
) -> Case:
    """A case of given gradients."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(size, 1)) * (rng.random((size, 1)) > 1 / 3)
    g = rng.normal(size=(1, size)) * 10 ** rng.uniform(-6, 1, size=(1, size)) * (rng.random((1, size)) > 1 / 6)
    nodes = [Node("y", "dense", ["x"], {"W": "W"}), *([Node("s", "square", ["y"])] if square else [])]
    network = Network(
        inputs={"x": TensorSpec([1, size])},
        params={"W": TensorSpec([size, 1])},
        nodes=nodes,
        loss=[Node("L", "value", [nodes[-1].name])],
    )
    # Digits that float32 holds: both dtypes are given the same numbers.
    values = {"W": w.astype(np.float32).astype(float), "x": g.astype(np.float32).astype(float)}
    return Case(network, values, dtype, optimizer, steps)


def steps_of(name: str) -> int:
    return CARDS.optimizer(name).steps + 1


def assert_right(case: Case, one: Any, cards: Cards = CARDS) -> Finding:
    found = finding_of(case, cards, one)
    told = f"{case.optimizer}, {case.dtype}: {found.verdict}: {found.sentence} {found.detail}"
    assert found.verdict in RIGHT, told
    return found


def refused(case: Case, one: Any) -> str:
    """Why an implementation refuses a case."""
    found = finding_of(case, CARDS, one)
    assert found.verdict == "not implemented", found.sentence
    return found.sentence


def two_parameters(first: float, second: float, **hypers: float) -> Case:
    """Two parameters with one gradient each; their common norm is the hypotenuse."""
    matrix = TensorSpec([1, 1])
    network = Network(
        inputs={"x": matrix, "y": matrix},
        params={"a": matrix, "b": matrix},
        nodes=[Node("p", "dense", ["x"], {"W": "a"}), Node("q", "dense", ["y"], {"W": "b"})],
        loss=[Node("L", "value", ["p"]), Node("M", "value", ["q"])],
    )
    zero = np.zeros((1, 1))
    values = {"x": np.array([[first]]), "y": np.array([[second]]), "a": zero, "b": zero}
    optimizer = OptimizerSpec("sgd", {"lr": 1.0}, clip=RuleSpec("by_global_norm", hypers))
    return Case(network, values, "float64", optimizer, 1)
