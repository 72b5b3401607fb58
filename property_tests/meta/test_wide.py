"""The oracle of large networks: its radii hold the exact values, and mistakes are found with it as with balls."""

from __future__ import annotations

import numpy as np
import pytest

from harness import installed_cards
from harness.arrays import BallArray, WideArray
from harness.campaign.card_check import Cases, finding_of, try_mistake
from harness.campaign.run import compare
from harness.generate import cases, sample
from harness.generate.values import MILD
from harness.judge import oracle
from harness.judge.oracle import WIDE_BITS, exact_step
from harness.judge.wide import wide_step, work
from harness.mutants import card_mutants, mutated_cards
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
DRAWN = sample(cases(CARDS, max_depth=4, max_steps=0, specials=MILD), 60, seed=4)


def outside(known: WideArray, ball: BallArray, share: float = 1.0) -> int:
    """How many exact values lie beyond `share` of their radius."""
    gap = known.ball() - ball
    reach = known.radius()
    far = np.abs(gap.mid()) > share * reach + ball.radius() * 2
    return int((far & np.isfinite(reach) & np.isfinite(ball.mid())).sum())


def both(case):
    found = wide_step(case.network, CARDS, case.values, None)
    return None if found is None else (found, exact_step(case.network, CARDS, case.values))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant == 52, reason="no wider type than float64 here")
def test_the_radii_hold_the_exact_values():
    wrong = compared = tight = 0
    for case in DRAWN:
        pair = both(case)
        if pair is None:
            continue
        (values, grads, _), exact = pair
        for known, balls in ((values, exact.values), (grads, exact.grads)):
            for name, one in known.items():
                wrong += outside(one, balls[name])
                tight += outside(one, balls[name], share=2.0**-12)
                compared += one.size
    assert compared > 1_000
    assert wrong == 0
    assert tight > 0  # a radius that is far too small is noticed


def test_the_branches_are_those_of_the_balls():
    branching = 0
    for case in DRAWN:
        pair = both(case)
        if pair is None:
            continue
        (_, _, made), exact = pair
        for name, several in made.items():
            for one, other in zip(several, exact.comparisons[name], strict=True):
                branching += one.taken.size
                assert np.array_equal(one.taken, other.taken)
    assert branching > 0


@pytest.fixture
def large(monkeypatch):
    monkeypatch.setattr(oracle, "BALLS_UP_TO", 0)
    monkeypatch.setattr(oracle, "MOST_WORK_PER_NUMBER", 10**9)


@pytest.mark.parametrize("name", ["dense_transposed_weight_gradient", "sigmoid_slope_of_sigmoid", "relu_gate_inverted"])
def test_a_mistake_is_found_with_it(large, name):
    mutant = next(one for one in card_mutants(CARDS) if one.name == name)
    cases = Cases(CARDS, mutant.target)
    found = try_mistake(mutant, NumpyImplementation(cards=mutated_cards(mutant, CARDS)), cases)
    assert exact_step(found.case.network, CARDS, found.case.values).bits == WIDE_BITS
    assert mutant.target in found.finding.op.split()
    assert finding_of(found.case, CARDS, NumpyImplementation()).verdict in ("exact", "rounding")


def test_the_record_says_which_oracle_it_was(large):
    case = next(case for case in DRAWN if case.network.params)
    record = compare(case, [NumpyImplementation()], CARDS)
    assert "certified radii" in record.notes["exact values"]
    assert all(one.exact for one in record.quantities)


def test_work_counts_what_is_computed():
    small, large = (Cases(CARDS, "dense", seed).first(1) for seed in (0, 1))
    counts = [work(case.network, CARDS, case.values).count for group in (small, large) for case in group]
    assert all(count > 0 for count in counts)


def test_digits_show_what_is_known():
    third = WideArray(np.array([1 / np.longdouble(3), np.longdouble(2)]), np.array([1e-19, 0.0]))
    assert third.digits(30)[0].startswith("0.33333333333333333")
    assert len(third.digits(30)[0]) <= 21
    assert third.digits(30)[1] == "2"
