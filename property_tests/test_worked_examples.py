"""The worked examples, judged: all three implementations right, and every printed number accounted for."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from harness import WorkedCase, compare, implementation
from harness.campaign.records import CaseRecord
from harness.registry import installed_examples

IMPLEMENTATIONS = [implementation(name) for name in ("numpy", "torch", "jax")]
CASES = {f"{example.key}/{case.key}": case for example in installed_examples() for case in example.cases}
AT_A_KINK = {"diagonal-flip/float64", "diagonal-flip/float32", "diagonal-flip/one-step"}
LONG = 500
"""A run of more steps is judged over its first ones here, and as a whole by the main job."""


@cache
def record(key: str) -> CaseRecord:
    worked: WorkedCase = CASES[key]
    case = worked.case
    if case.steps > LONG:
        worked = replace(worked, case=replace(case, steps=LONG, record=()))
    return compare(worked.case, IMPLEMENTATIONS, worked=worked)


@pytest.mark.parametrize("key", CASES)
def test_all_three_agree_with_the_exact_values(key: str) -> None:
    judged = record(key)
    assert [finding.implementation for finding in judged.findings] == ["numpy", "torch", "jax"]
    if key in AT_A_KINK:
        assert judged.verdict == "undetermined branch"
        assert judged.kinks
    else:
        assert judged.verdict in ("exact", "rounding"), judged.headline


@pytest.mark.parametrize("key", [key for key, case in CASES.items() if case.printed])
def test_every_printed_number_is_reproduced_except_on_the_other_side_of_a_kink(key: str) -> None:
    judged = record(key)
    missed = {
        (one.kind, one.name, tuple(one.index), name)
        for one in judged.printed
        for name in ("numpy", "torch", "jax")
        if not one.reproduced[name]
    }
    if key in AT_A_KINK:
        assert {name for *_, name in missed} == {"torch", "jax"}
        assert {name for _, name, _, _ in missed} == {"z1", "W1", "b1"}
    else:
        assert missed == set()


def test_a_misprint_would_be_noticed() -> None:
    worked = CASES["numpy-backprop/one-step"]
    first = worked.printed[0]
    misprint = replace(worked, printed=(replace(first, digits="123.45678"),))
    assert not any(compare(worked.case, IMPLEMENTATIONS, worked=misprint).printed[0].reproduced.values())


@pytest.mark.parametrize("key", [key for key, case in CASES.items() if case.gradient_check])
def test_central_differences_confirm_every_gradient_element_away_from_kinks(key: str) -> None:
    judged = record(key)
    checked = {check.name: check for check in judged.gradient_checks if check.implementation == "numpy"}
    assert sum(check.elements for check in checked.values()) == sum(
        array.size for array in CASES[key].case.params.values()
    )
    exact = {name: float(check.exact_error) for name, check in checked.items()}
    # With eps = 2^-64 nothing of the truncation is left: only the gradient's own rounding, about 1e-17 here,
    # unless a pre-activation lies on a kink, where a difference averages the slopes of both sides.
    off = {name for name, error in exact.items() if error > 1e-15}
    assert off == ({"b1"} if judged.kinks or key == "notebook/gradient-check" else set())
