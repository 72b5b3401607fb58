"""Optimizers: NumPy, torch and optax take the same steps; other definitions are named as such; mistakes are found."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from harness import Cards, Case, Network, OptimizerSpec, RuleSpec, TensorSpec
from harness.campaign.card_check import finding_of
from harness.generate import optimizers, sample
from harness.mutants import Mutant, mutated_cards
from property_tests.optimizer_cases import (
    CARDS,
    JAX,
    MUTANTS,
    NUMPY,
    RIGHT,
    SETTINGS,
    TORCH,
    WITHOUT,
    assert_right,
    given,
    refused,
    steps_of,
    two_parameters,
)
from reference_impls.jax_impl import JaxImplementation
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

# The three agree


def test_there_are_settings_for_every_optimizer() -> None:
    assert set(SETTINGS) == set(CARDS.optimizers)
    assert len(SETTINGS) >= 12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SETTINGS)
def test_numpy_and_torch_agree(name: str, dtype: str) -> None:
    implemented = 0
    for number, hypers in enumerate(SETTINGS[name]):
        for square in (False, True):
            case = given(number, OptimizerSpec(name, hypers), dtype, steps_of(name), square=square)
            assert_right(case, NUMPY)
            found = finding_of(case, CARDS, TORCH)
            assert found.verdict in RIGHT | {"not implemented"}, f"{hypers}: {found.sentence} {found.detail}"
            implemented += found.verdict in RIGHT
    lacking = WITHOUT.get(name) == "torch" or (name, dtype) == ("nadam", "float64")
    assert (implemented == 0) == lacking


@pytest.mark.parametrize(("number", "dtype"), [(0, "float64"), (1, "float32")])
@pytest.mark.parametrize("name", [name for name in SETTINGS if WITHOUT.get(name) != "jax"])
def test_optax_agrees(name: str, number: int, dtype: str) -> None:
    case = given(7, OptimizerSpec(name, SETTINGS[name][number]), dtype, steps_of(name), square=True)
    assert_right(case, JAX)


FUSED = ("sgd", "adam", "adamw", "adagrad")
"""Those of which torch has a fused kernel on CPU."""


@pytest.mark.parametrize(
    ("name", "form"),
    [*((name, "foreach") for name in SETTINGS if WITHOUT.get(name) != "torch"), *((name, "fused") for name in FUSED)],
)
def test_torch_agrees_in_its_other_forms(name: str, form: str) -> None:
    """Over lists of tensors, and in one kernel: other orders of the same arithmetic."""
    card = CARDS.optimizer(name)

    def made(torch: Any, params: Any, **hypers: Any) -> Any:
        optimizer = card.torch_optimizer(torch, params, **hypers)
        for group in optimizer.param_groups:
            group[form] = True
        return optimizer

    other = TorchImplementation(cards=CARDS.replacing(replace(card, torch_optimizer=made)))
    tried = 0
    for number, hypers in enumerate(SETTINGS[name]):
        case = given(number, OptimizerSpec(name, hypers), "float32", steps_of(name), square=number % 2 == 1)
        found = finding_of(case, CARDS, other)
        assert found.verdict in RIGHT | {"not implemented"}, f"{hypers}: {found.sentence}"
        tried += found.verdict in RIGHT
    assert tried


@pytest.mark.parametrize("name", SETTINGS)
def test_numpy_and_torch_agree_up_to_the_edges(name: str) -> None:
    """Hyperparameters as they are drawn. Where the card divides by 0, or rounding leaves nothing, that is said."""
    alone = Cards(CARDS.operations, {name: CARDS.optimizer(name)})
    for number, drawn in enumerate(sample(optimizers(alone), 8)):
        dtype = ("float64", "float32")[number % 2]
        case = given(number, drawn, dtype, 3, size=6)
        finite = all(np.isfinite(array).all() for array in NUMPY.run(case).quantities.values())
        for one in (NUMPY, TORCH):
            found = finding_of(case, CARDS, one)
            legal = RIGHT | {"ill-conditioned"} | (set() if finite else {"undecided"})
            legal |= {"not implemented"} if one is TORCH else set()
            assert found.verdict in legal, f"{drawn}: {found.sentence}"


# Where a library differs


@pytest.mark.parametrize(
    ("one", "name", "hypers", "says"),
    [
        (TORCH, "sgd", {"lr": 0.1, "momentum": 0.9, "velocity": "step"}, "outside of the velocity"),
        (JAX, "sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, "no dampening"),
        (TORCH, "amsgrad", {"maximum": "corrected"}, "after AMSGrad's maximum"),
        (JAX, "amsgrad", {}, "before it takes the maximum"),
        (TORCH, "nadam", {"momentum": "constant"}, "lets the momentum rise"),
        (JAX, "nadam", {}, "keeps the momentum constant"),
        (TORCH, "radam", {}, "before the bias is corrected"),
        (JAX, "radam", {"eps_place": "raw"}, "after the bias of v"),
        (TORCH, "adagrad", {"eps_place": "inside"}, "outside of the root"),
        (JAX, "adagrad", {}, "inside of the root"),
        (TORCH, "rmsprop", {"eps_place": "inside"}, "outside of the root"),
        (TORCH, "lion", {}, "torch"),
        (JAX, "rprop", {}, "one update late"),
    ],
)
def test_another_definition_is_not_implemented_and_says_why(one: Any, name: str, hypers: Any, says: str) -> None:
    assert says in refused(given(0, OptimizerSpec(name, hypers), "float32", 1), one)


def test_optax_rprop_is_one_update_late() -> None:
    """When this fails, optax has mended it, and the card can have its line."""
    late = replace(
        CARDS.optimizer("rprop"),
        optax_optimizer=lambda optax, *, lr, eta_minus, eta_plus, low, high: optax.rprop(
            lr, eta_minus, eta_plus, min_step_size=low, max_step_size=high
        ),
    )
    case = given(0, OptimizerSpec("rprop"), "float64", 2)
    found = finding_of(case, CARDS, JaxImplementation(cards=CARDS.replacing(late)))
    assert (found.verdict, found.place, found.op) == ("mismatch", "param W at step 1", "rprop update")


def test_torch_nadam_keeps_its_product_in_float32() -> None:
    """When this fails, torch has mended it, and the card's guard can go."""
    bare = replace(
        CARDS.optimizer("nadam"),
        torch_optimizer=lambda torch, params, *, lr, beta1, beta2, eps, momentum, momentum_decay: torch.optim.NAdam(
            params, lr=lr, betas=(beta1, beta2), eps=eps, momentum_decay=momentum_decay
        ),
        torch_state=lambda state: {
            "m": state["exp_avg"], "v": state["exp_avg_sq"], "product": state["mu_product"].to(state["exp_avg"].dtype)
        },
    )  # fmt: skip
    case = given(0, OptimizerSpec("nadam"), "float64", 2)
    found = finding_of(case, CARDS, TorchImplementation(cards=CARDS.replacing(bare)))
    assert (found.verdict, found.op) == ("mismatch", "nadam update")
    assert_right(replace(case, dtype="float32"), TorchImplementation(cards=CARDS.replacing(bare)))


def test_torch_passes_over_a_parameter_without_a_gradient() -> None:
    case = given(0, OptimizerSpec("adamw"), "float64", 1)
    network = Network(
        inputs=case.network.inputs,
        params={**case.network.params, "unused": TensorSpec([2])},
        nodes=case.network.nodes,
        loss=case.network.loss,
    )
    values = {**case.values, "unused": np.array([1.0, -2.0])}
    both = replace(case, network=network, values=values)
    assert_right(both, NUMPY)
    assert "moves every parameter" in refused(both, TORCH)
    assert_right(replace(both, optimizer=OptimizerSpec("adam")), TORCH)


# Mistakes


def settings_of(target: str) -> list[OptimizerSpec]:
    """Optimizers that use a card."""
    if target in SETTINGS:
        return [OptimizerSpec(target, hypers) for hypers in SETTINGS[target]]
    if target in CARDS.schedules:
        return [
            OptimizerSpec("sgd", {"lr": 0.1}, schedule=RuleSpec(target, hypers))
            for hypers in ({}, {"end": 0.1} if target == "warmup_cosine" else {"every": 3})
        ]
    return [OptimizerSpec("sgd", {"lr": 0.1}, clip=RuleSpec(target, {"limit": limit})) for limit in (0.1, 100.0)]


@cache
def cases_of(target: str) -> list[Case]:
    many = 12 if target in CARDS.schedules else 4
    chosen = settings_of(target)
    steps = CARDS.optimizer(target).steps + 1 if target in SETTINGS else many
    cases = [given(3, one, "float64", steps, square=square) for one in chosen for square in (False, True)]
    if target in CARDS.clippings:
        cases += [replace(two_parameters(1.0, 1.0), optimizer=one) for one in chosen]
    return cases



@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mistake_is_found_and_placed(mutant: Mutant) -> None:
    wrong = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    for case in cases_of(mutant.target):
        found = finding_of(case, CARDS, wrong)
        if found.verdict == "mismatch":
            assert mutant.target in found.op.split(), found.sentence
            assert found.place.startswith(("param", "state"))
            return
        assert found.verdict in RIGHT, found.sentence
    pytest.fail(f"nobody noticed: {mutant.mistake}")


def test_every_card_carries_at_least_two_mistakes() -> None:
    planted = [mutant.target for mutant in MUTANTS]
    cards = [*CARDS.optimizers, *CARDS.schedules, *CARDS.clippings]
    assert {name for name in cards if planted.count(name) < 2} == set()
