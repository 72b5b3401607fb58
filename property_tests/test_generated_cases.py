"""The strategies: every case is valid, every card is reached, a new card needs no edit, and failures shrink."""

from __future__ import annotations

import contextlib
import importlib
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from harness import Cards, Case, HyperSpec, Misfit, Operation, implementation, installed_cards
from harness.campaign.card_check import SIZES
from harness.errors import GradparityError
from harness.generate import architectures, cases, cases_on, count, sample, values_for
from harness.generate.fitting import candidates
from harness.generate.values import NON_FINITE, REGIMES, SPECIALS, required_domains
from harness.judge.findings import find as find_fault
from harness.judge.judge import check_trace, judge
from harness.mutants import card_mutants, mutated_cards
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
NUMPY = implementation("numpy")


@given(cases(CARDS))
def test_every_case_is_valid_and_finite(case):
    shapes = CARDS.check(case)
    assert Case.from_json(case.to_json()).id == case.id
    assert all(np.isfinite(array).all() for array in case.values.values())
    check_trace(case, shapes, NUMPY.run(case))


@given(cases(CARDS, non_finite=True, separable=True))
def test_separable_cases_have_their_samples_where_they_say(case):
    CARDS.check(case)
    given_shapes = [spec.shape for spec in (*case.network.inputs.values(), *case.network.constants.values())]
    assert len({shape[case.samples_axis] for shape in given_shapes}) == 1
    assert all(CARDS.operation(term.op).kind == "loss" for term in case.network.loss)


@given(cases(CARDS))
def test_domains_are_kept(case):
    for name, domain in required_domains(case.network, CARDS).items():
        array = case.values[name]
        if domain == "probability":
            assert ((array >= 0) & (array <= 1)).all()
        if domain == "positive":
            assert (array > 0).all()


@settings(max_examples=15)
@given(cases(CARDS, min_depth=4))
def test_nothing_is_thrown_away(case):
    """Hypothesis's own health checks fail a test that filters much; here there is nothing that filters."""
    assert len(case.network.nodes) >= 4


def test_two_hundred_cases_reach_everything_that_is_installed():
    """A few cards by asking for them only: those that fit few shapes are rare among so many."""
    drawn = sample(cases(CARDS), 200)
    counts = count(drawn, CARDS)
    never = counts.never()
    rare = [name for name, card in CARDS.operations.items() if f"{card.kind}s: {name}" in never]
    assert len(rare) < len(CARDS.operations) / 20
    assert len(never) == len(rare), never
    for name in rare:
        (asked,) = sample(architectures(CARDS, featuring=name), 1)
        assert name in {node.op for _, node in asked.network.operations()}
    assert set(counts.depths) >= set("012345678")
    nets = [case.network for case in drawn]
    used = [[name for _, node in net.operations() for name in node.params.values()] for net in nets]
    taken = [[name for _, node in net.operations() for name in node.inputs] for net in nets]
    assert any(len(set(names)) < len(names) for names in used), "no parameter is shared"
    assert any(len(set(names)) < len(names) for names in taken), "no node is used twice"
    assert any(len(net.inputs) > 1 for net in nets)
    assert any(net.constants for net in nets)
    layouts = {node.hypers.get("layout", "rows") for net in nets for node in net.nodes if node.op == "dense"}
    assert layouts == {"rows", "columns"}
    assert any("b" not in node.params for net in nets for node in net.nodes if node.op == "dense")
    assert {case.steps for case in drawn} == {0, 1, 2, 3}
    assert "tanh" in str(counts)


def test_the_counts_show_what_never_came_up():
    drawn = sample(cases(CARDS, max_depth=0, max_terms=1, max_penalties=0, dtypes=("float32",)), 20)
    counts = count(drawn, CARDS)
    assert "layers: dense" in counts.never()
    assert "dtypes: float64" in counts.never()
    assert counts.dtypes["float32"] == counts.cases == len(drawn)


def toy(separable=None, **more):
    """A card as a newcomer would write it: y = x scale + x², with a scale for every feature, and no hint at all."""

    def output_shape(inputs, params, *, times):
        if len(inputs[0]) != 2 or params["scale"] != inputs[0][1:]:
            raise Misfit("needs x of two axes and a scale for each feature")
        return inputs[0]

    def numpy_forward(p, x, *, times):
        return x * p["scale"] + times * np.square(x), x

    def numpy_backward(p, x, dy, *, times):
        return (dy * (p["scale"] + 2 * times * x),), {"scale": np.sum(dy * x, axis=0)}

    return Operation(
        name="toy", kind="layer", summary="y = x scale + times x²", inputs=("x",), params=("scale",),
        hypers={"times": HyperSpec(default=0.5, low=0.0)}, output_shape=output_shape, numpy_forward=numpy_forward,
        numpy_backward=numpy_backward, separable=separable, **more,
    )  # fmt: skip


def without_dead_ends(case):
    used = {name for _, node in case.network.operations() for name in node.inputs}
    return all(node.name in used for node in case.network.nodes)


def test_a_new_card_is_generated_and_judged_without_any_edit():
    cards = Cards.of([*CARDS.operations.values(), *CARDS.optimizers.values(), toy()])
    drawn = sample(cases(cards), 60)
    assert count(drawn, cards).layers["toy"] > 5
    alone = Cards.of([toy(), CARDS.operations["squared_error"]])
    right = NumpyImplementation(cards=alone)

    def slope_forgotten(p, x, dy, *, times):
        return (dy,), {"scale": np.sum(dy, axis=0)}

    wrong = replace(alone.operations["toy"], numpy_backward=slope_forgotten)
    found = {"right": set(), "wrong": set()}
    drawn = sample(cases(alone, max_depth=2, regimes=("uniform",), specials=()), 40)
    for case in filter(without_dead_ends, drawn):
        for name, one in (("right", right), ("wrong", NumpyImplementation(cards=alone.replacing(wrong)))):
            found[name].add(find_fault(case, name, judge(case, alone, one.run(case))).verdict)
    assert found["right"] <= {"exact", "rounding"}
    assert "mismatch" in found["wrong"]


def test_hypers_reach_the_edges_of_what_is_legal():
    edges = candidates(CARDS.optimizers["adam"].hypers["eps"]), candidates(HyperSpec(low=-1.0, high=1.0))
    assert edges == ((1e-8, 0.0), (1.0, 0.5, 0.0, -1.0))
    assert candidates(HyperSpec(default="b", choices=("a", "b"))) == ("b", "a")


def test_without_a_loss_there_is_nothing_to_draw():
    with pytest.raises(GradparityError, match="no loss that fits"):
        sample(architectures(Cards.of([CARDS.operations["relu"]])), 1)


def test_every_regime_and_every_special_comes_up_and_infinities_only_when_asked_for():
    net = sample(architectures(CARDS, min_depth=2), 1, seed=4)[0]
    drawn = sample(values_for(net.network, "float32", CARDS), 200)
    assert {one.regime for one in drawn} == set(REGIMES)
    assert {kind for one in drawn for _, _, kind in one.specials} == set(SPECIALS)
    assert all(array.dtype == np.float32 for one in drawn for array in one.values.values())
    wild = sample(values_for(net.network, "float32", CARDS, non_finite=True), 100)
    assert {kind for one in wild for _, _, kind in one.specials} > set(NON_FINITE)
    assert any(np.isnan(array).any() for one in wild for array in one.values.values())
    assert any(np.signbit(array[array == 0]).any() for one in drawn for array in one.values.values())


@settings(max_examples=20)
@given(st.data())
def test_one_architecture_many_numbers(data):
    net = sample_of_one
    case = data.draw(cases_on(net, CARDS, dtypes=("float32",)))
    assert case.network is net.network
    assert case.dtype == "float32"


def by_axes(cards):
    """How many networks begin with an input of so many axes."""
    nets = [drawn.network for drawn in sample(architectures(cards, max_depth=1), 200)]
    return Counter(len(next(iter(net.inputs.values())).shape) for net in nets)


def test_every_number_of_axes_has_its_turn(monkeypatch):
    counts = by_axes(CARDS)
    assert counts.most_common(1)[0][0] == 2
    assert min(counts[axes] for axes in (1, 2, 3, 4)) > 10
    monkeypatch.setattr(importlib.import_module("harness.generate.architectures"), "USUAL", 100)
    assert min(by_axes(CARDS)[axes] for axes in (1, 3, 4)) <= 10


sample_of_one = sample(architectures(CARDS, min_depth=2, max_depth=2), 1, seed=1)[0]


def test_the_repr_is_python_that_makes_the_same_case():
    drawn = sample(cases(CARDS, non_finite=True, max_depth=3), 8, seed=2)
    lines = ["from harness.case import Case, Network, Node, OptimizerSpec, RuleSpec, TensorSpec"]
    lines += [f"print(({case!r}).id)" for case in drawn]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [case.id for case in drawn]


@pytest.mark.parametrize("name", ["sigmoid_slope_forgotten", "dense_bias_averaged", "squared_error_sign"])
def test_a_failure_shrinks_to_next_to_nothing(name):
    mutant = next(one for one in card_mutants(CARDS) if one.name == name)
    wrong = NumpyImplementation(cards=mutated_cards(mutant, CARDS))

    def fails(case):
        """By another implementation: an exact value is not needed to see that these differ."""
        mine, theirs = wrong.run(case).quantities, NUMPY.run(case).quantities
        return any(not np.array_equal(mine[quantity], theirs[quantity], equal_nan=True) for quantity in theirs)

    for sizes in SIZES:
        drawn = cases(CARDS, regimes=("lattice", "he"), specials=(), max_steps=0, **sizes)
        with contextlib.suppress(NoSuchExample):
            dice = random.Random(0)  # noqa: S311 - no secret
            case = find(drawn, fails, settings=settings(max_examples=300, database=None), random=dice)
            break
    assert len(case.network.nodes) <= 2
    assert all(max((1, *spec.shape)) <= 2 for spec in case.network.tensors().values())
    assert all(np.array_equal(array, np.rint(array)) for array in case.values.values())


def test_the_search_for_a_failure_can_fail():
    with pytest.raises(NoSuchExample):
        find(cases(CARDS), lambda case: False, settings=settings(max_examples=5, database=None))


def test_the_profile_is_ours_and_silences_nothing():
    assert settings().suppress_health_check == ()
    assert settings().deadline is None
    assert settings().database is not None
    assert test_every_case_is_valid_and_finite._hypothesis_internal_use_settings.database is not None
    assert Phase.shrink in settings().phases
