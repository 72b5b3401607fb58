"""What holds of one implementation alone, whatever the others say: linearity, samples, sharing, differences.

Each property is an equation between exact gradients. What an implementation computes may miss it by the sum of its own
rounding bounds and no more; on small whole numbers these are 0, and it has to hold to the last bit. For each property
there is a planted mistake that breaks it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, currently_in_test_context, event, given, settings
from hypothesis import strategies as st

import reference_impls.numpy_impl
from harness import Cards, Case, Node, Quantity, TensorSpec, implementation, installed_cards
from harness.arrays import BallArray, ErrorModel, precision
from harness.errors import NotSupportedError
from harness.generate import cases, sample
from harness.judge.bounds import step_bounds, straddling
from harness.judge.calibration import load_budgets
from harness.judge.compare import compare
from harness.judge.differences import exact_differences, is_cut
from harness.mutants import EXECUTOR_MUTANTS, Mutant, card_mutants, mutated_cards, mutated_module
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
BOTH = [implementation(name) for name in ("numpy", "torch")]
SMALL = {"dtypes": ("float64",), "max_depth": 4, "max_steps": 0, "regimes": ("lattice", "he"), "specials": ()}
SEPARABLE = {**SMALL, "separable": True, "max_terms": 1}


def gradients(one, case):
    """What an implementation says at step 0, by name."""
    return {q.name: np.asarray(array) for q, array in one.run(case).quantities.items() if q.kind == "grad"}


def note_event(text):
    """For Hypothesis's statistics, inside a property; elsewhere nobody counts."""
    if currently_in_test_context():
        event(text)


def bounds_at(case):
    """The bounds of what a correct program computes."""
    return step_bounds(case.network, CARDS, case.values, ErrorModel.of(case.dtype, load_budgets()))


def bounds_of(*somewhere):
    """By case, the bounds of its gradients; None where a kink may be taken either way, so that nothing is known."""
    found = []
    for case in somewhere:
        made = bounds_at(case)
        if any(straddling(one).any() for several in made.comparisons.values() for one in several):
            note_event("a kink is open")
            return None
        found.append(made.grads)
    return found


def add_up(*terms):
    """The sum of float arrays without any rounding."""
    with precision(2_200):
        total = BallArray.exact(terms[0])
        for term in terms[1:]:
            total = total + BallArray.exact(term)
        return total


def assert_equals(whole, parts, bound, what):
    """The whole is the sum of its parts, to within the bound; an infinite bound, as of 1/0, says nothing."""
    with np.errstate(all="ignore"):
        known = np.isfinite(bound)
    if not known.all():
        note_event("a bound is infinite")
    whole, parts = np.where(known, whole, 0), [np.where(known, part, 0) for part in parts]
    off = np.abs(add_up(whole, *(-part for part in parts)).mid())
    note_event("exactly" if not bound[known].any() else "to within bounds")
    assert (off <= np.where(known, bound, 0)).all(), f"{what}: {whole} is not the sum of {parts} to within {bound}"


def with_upstream(case, upstream):
    """The same layers, with a given gradient flowing into the last of them."""
    network = case.network
    last = network.nodes[-1].name if network.nodes else next(iter(network.inputs))
    shape = CARDS.check(case)[last]
    return replace(
        case,
        network=type(network)(
            inputs=network.inputs,
            constants={**network.constants, "upstream": TensorSpec(list(shape))},
            params=network.params,
            nodes=[*network.nodes, Node("weighted", "multiply", [last, "upstream"])],
            loss=[Node("total", "value", ["weighted"])],
        ),
        values={**case.values, "upstream": np.resize(upstream, shape)},
    )


def changed(case, *, loss=None, nodes=None, params=None, constants=None, inputs=None, values=None):
    old = case.network
    network = type(old)(
        inputs=old.inputs if inputs is None else inputs,
        constants=old.constants if constants is None else constants,
        params=old.params if params is None else params,
        nodes=old.nodes if nodes is None else nodes,
        loss=old.loss if loss is None else loss,
    )
    return Case(network=network, values=case.values if values is None else values, dtype=case.dtype)


def zero_upstream_gives_zero(one, case):
    """Except beside 1 / 0, as of a variance of 0 with eps = 0: 0 times infinity is NaN in every program."""
    case = with_upstream(case, np.zeros(1))
    bounds = bounds_at(case).grads
    for name, grad in gradients(one, case).items():
        if name != "weighted":
            assert (grad[np.isfinite(bounds[name])] == 0).all(), f"{name}: {grad}"


def scaled_upstream_scales(one, case, exponent):
    base = np.array([1.0, -3.0, 0.5, 2.0, -0.75])
    once = gradients(one, with_upstream(case, base))
    scaled = gradients(one, with_upstream(case, base * 2.0**exponent))
    for name in set(once) - {"weighted"}:
        assert np.array_equal(scaled[name], once[name] * 2.0**exponent, equal_nan=True), name


def a_sum_of_losses_has_the_sum_of_gradients(one, case):
    terms = case.network.loss
    alone = [changed(case, loss=[term]) for term in terms]
    bounds = bounds_of(case, *alone)
    if bounds is None:
        return
    whole, parts = gradients(one, case), [gradients(one, part) for part in alone]
    for name in whole:
        bound = sum(one_bound[name] for one_bound in bounds)
        assert_equals(whole[name], [part[name] for part in parts], bound, name)


def sampled(case, chosen):
    """The case with these samples only, in this order."""
    axis = case.samples_axis
    batched = {**case.network.inputs, **case.network.constants}
    values = {name: np.take(array, chosen, axis) if name in batched else array for name, array in case.values.items()}
    groups = {
        group: {
            name: TensorSpec(list(values[name].shape), spec.dtype)
            for name, spec in getattr(case.network, group).items()
        }
        for group in ("inputs", "constants")
    }
    return changed(case, values=values, **groups)


def batch_size(case):
    return next(iter(case.network.inputs.values())).shape[case.samples_axis]


def permuted_samples_permute(one, case, order):
    order = np.argsort(np.resize(order, batch_size(case)), kind="stable")
    moved = sampled(case, order)
    bounds = bounds_of(case, moved)
    if bounds is None:
        return
    before, after = gradients(one, case), gradients(one, moved)
    for name in before:
        wanted, bound = before[name], bounds[0][name]
        if name not in case.network.params:
            wanted, bound = np.take(wanted, order, case.samples_axis), np.take(bound, order, case.samples_axis)
        assert_equals(after[name], [wanted], bound + bounds[1][name], name)


def a_batch_is_the_sum_of_its_samples(one, case):
    alone = [sampled(case, [number]) for number in range(batch_size(case))]
    bounds = bounds_of(case, *alone)
    if bounds is None:
        return
    whole, parts = gradients(one, case), [gradients(one, part) for part in alone]
    for name in whole:
        if name in case.network.params:
            bound = sum(one_bound[name] for one_bound in bounds)
            assert_equals(whole[name], [part[name] for part in parts], bound, name)
        else:
            joined = np.concatenate([part[name] for part in parts], axis=case.samples_axis)
            bound = bounds[0][name] + np.concatenate([b[name] for b in bounds[1:]], axis=case.samples_axis)
            assert_equals(whole[name], [joined], bound, name)


def unshared(case):
    """The same case with a copy of its parameter for every use; and which copies each parameter has."""
    copies = {name: [] for name in case.network.params}

    def own(node):
        roles = {}
        for role, name in node.params.items():
            roles[role] = f"{name} copy {len(copies[name])}"
            copies[name].append(roles[role])
        return Node(node.name, node.op, node.inputs, roles, node.hypers)

    nodes, loss = [own(node) for node in case.network.nodes], [own(term) for term in case.network.loss]
    params = {copy: case.network.params[name] for name, several in copies.items() for copy in several}
    values = {name: array for name, array in case.values.items() if name not in copies}
    values |= {copy: case.values[name] for name, several in copies.items() for copy in several}
    return changed(case, nodes=nodes, loss=loss, params=params, values=values), copies


def a_shared_parameter_gets_the_sum(one, case):
    apart, copies = unshared(case)
    bounds = bounds_of(case, apart)
    if bounds is None:
        return
    shared, single = gradients(one, case), gradients(one, apart)
    note_event(f"at most {max(map(len, copies.values()), default=0)} uses of a parameter")
    for name, several in copies.items():
        bound = bounds[0][name] + sum(bounds[1][copy] for copy in several)
        assert_equals(shared[name], [single[copy] for copy in several], bound, name)


def differences_confirm(one, case):
    bounds = bounds_of(case)
    if bounds is None or is_cut(case, CARDS):
        return
    if not np.isfinite(NumpyImplementation().run(case).quantities[Quantity(0, "value", "loss")]):
        note_event("no loss, no difference")
        return
    grads = gradients(one, case)
    for name in case.network.params:
        found = compare(grads[name], exact_differences(case, CARDS, name), bounds[0][name])
        assert found.verdict in ("exact", "rounding", "ill-conditioned"), f"{name}: {found.verdict}"


PROPERTIES = {
    "zero upstream": zero_upstream_gives_zero,
    "scaled upstream": scaled_upstream_scales,
    "sum of losses": a_sum_of_losses_has_the_sum_of_gradients,
    "permuted samples": permuted_samples_permute,
    "whole batch": a_batch_is_the_sum_of_its_samples,
    "shared parameters": a_shared_parameter_gets_the_sum,
    "differences": differences_confirm,
}
SIZES = {
    "sum of losses": {**SMALL, "min_terms": 2},
    "permuted samples": {**SEPARABLE, "batches": (2, 3)},
    "whole batch": {**SEPARABLE, "batches": (2, 3)},
    "shared parameters": {**SMALL, "share": True, "min_depth": 2, "widths": (2,), "batches": (1, 2)},
    "differences": {**SMALL, "regimes": ("he",), "max_depth": 3, "widths": (1, 2), "batches": (1, 2)},
}
FURTHER = {
    "scaled upstream": (st.integers(-8, 8),),
    "permuted samples": (st.lists(st.integers(0, 9), min_size=3, max_size=3),),
}


def held_by(one, name, cards=CARDS, **more):
    """The property as a test of one implementation, over networks of these cards."""
    check = PROPERTIES[name]

    @settings(**more)
    @given(st.tuples(cases(cards, **SIZES.get(name, SMALL)), *FURTHER.get(name, ())))
    def holds(drawn):
        try:
            check(one, *drawn)
        except NotSupportedError:
            note_event("not implemented")

    return holds


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("one", BOTH, ids=lambda one: one.name)
def test_holds(one, name):
    held_by(one, name)()


def card_mutant(name):
    return next(mutant for mutant in card_mutants(CARDS) if mutant.name == name)


BREAKS = {
    "zero upstream": Mutant(
        "sigmoid_upstream_forgotten", "sigmoid", "return (dy * y * (1 - y),), {}", "return (y * (1 - y),), {}",
        "the local slope alone, without the gradient that comes in",
    ),
    "scaled upstream": Mutant(
        "dense_gradient_clipped", "dense", 'dx, dW = dy @ p["W"].T, x.T @ dy',
        'dx, dW = np.clip(dy, -1, 1) @ p["W"].T, x.T @ np.clip(dy, -1, 1)', "gradient clipping left switched on",
    ),
    "sum of losses": next(mutant for mutant in EXECUTOR_MUTANTS if mutant.name == "penalty_without_gradient"),
    "permuted samples": card_mutant("dense_bias_not_summed"),
    "whole batch": card_mutant("dense_bias_averaged"),
    "shared parameters": next(mutant for mutant in EXECUTOR_MUTANTS if mutant.name == "last_contribution_wins"),
    "differences": card_mutant("squared_error_without_two"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_planted_mistake_breaks_it(name):
    mutant = BREAKS[name]
    if mutant in EXECUTOR_MUTANTS:
        wrong = mutated_module(mutant, reference_impls.numpy_impl).NumpyImplementation()
    else:
        wrong = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    few = Cards.of(CARDS.operations[one] for one in ("dense", "sigmoid", "squared_error", "l2_penalty"))
    breaks = held_by(wrong, name, few, max_examples=200, database=None, phases=[Phase.generate], print_blob=False)
    with pytest.raises(AssertionError):
        breaks()


def each_sample_for_itself(name, cards):
    """What `separable` of a card promises, in networks that begin with it or end in it."""
    for case in sample(cases(cards, **{**SEPARABLE, "max_depth": 1}, batches=(2, 3), featuring=name), 4):
        a_batch_is_the_sum_of_its_samples(NumpyImplementation(cards=cards), case)


@pytest.mark.parametrize("name", [name for name, card in CARDS.operations.items() if card.separable is not None])
def test_a_card_knows_whether_samples_count_for_themselves(name):
    each_sample_for_itself(name, CARDS)


def test_a_card_that_is_wrong_about_its_samples_is_found():
    wrong = CARDS.replacing(replace(CARDS.operation("softmax"), separable=lambda sample_axis, *, axis: True))
    with pytest.raises(AssertionError, match="is not the sum"):
        each_sample_for_itself("softmax", wrong)


def test_bounds_vanish_on_small_whole_numbers():
    """So that the equations above are held to the last bit there: means over one, two or four do not round either."""
    names = ("dense", "add", "subtract", "multiply", "square", "relu", "squared_error")
    ring = Cards.of(CARDS.operations[name] for name in names)
    whole = {**SMALL, "regimes": ("lattice",), "max_depth": 3, "batches": (1, 2), "widths": (1, 2)}
    for case in sample(cases(ring, **whole), 60):
        (bounds,) = bounds_of(case)
        assert not any(bound.any() for bound in bounds.values()), case


def test_the_equation_sees_one_unit_in_the_last_place():
    with pytest.raises(AssertionError, match="is not the sum"):
        assert_equals(np.nextafter(np.ones(1), 2), [np.ones(1)], np.zeros(1), "w")
    assert_equals(np.ones(1), [np.ones(1)], np.zeros(1), "w")


def test_samples_are_taken_along_their_axis():
    for case in sample(cases(CARDS, **SEPARABLE, batches=(3,)), 10):
        one = sampled(case, [2])
        CARDS.check(one)
        batched = {*case.network.inputs, *case.network.constants}
        assert {one.values[name].shape[case.samples_axis] for name in batched} == {1}
