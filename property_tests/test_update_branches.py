"""Where an update jumps (Lion's sign, RAdam's threshold) and rounding decides: each side is right, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import Case, Network, Node, OptimizerSpec, Quantity, TensorSpec, Trace
from harness.arrays import ErrorModel
from harness.campaign.card_check import finding_of
from harness.campaign.records import SEVERITY
from harness.judge.update_judge import judge_updates
from harness.judge.updates import Before
from property_tests.optimizer_cases import CARDS, JAX, NUMPY, SIZE, assert_right, given

NEAR = Case(
    network=Network(
        inputs={"x": TensorSpec([1])}, params={"w": TensorSpec([2_000])}, loss=[Node("L", "l2_penalty", [], {"w": "w"})]
    ),
    values={"x": np.zeros(1), "w": np.zeros(2_000)},
    dtype="float32",
    optimizer=OptimizerSpec("lion", {"lr": 0.125, "beta2": 0.5}),
    steps=2,
)


def lion_at_the_kink() -> tuple[Before, np.ndarray, np.ndarray, np.ndarray]:
    """Where 0.9 m + 0.1 g is 0 but for rounding: the update, and c by two correct orders of the arithmetic."""
    rng = np.random.default_rng(0)
    m = rng.normal(size=2_000).astype(np.float32)
    g = (-9 * m * (1 + 2.0**-24 * rng.integers(-2, 3, size=2_000))).astype(np.float32)
    c = np.float32(0.9) * m + np.float32(1 - 0.9) * g
    other = (np.float64(0.9) * m + np.float64(1 - 0.9) * g).astype(np.float32)
    w = np.zeros(2_000, np.float32)
    return Before(2, {"w": w}, {"w": g}, {"w": {"m": m}}), np.sign(c), np.sign(other), (m + g) / np.float32(2)


def verdicts(before: Before, w: np.ndarray, m: np.ndarray) -> np.ndarray:
    quantities = {Quantity(2, "param", "w"): w, Quantity(2, "state", "w", "m"): m}
    judged = judge_updates(NEAR, CARDS, Trace(quantities), before, ErrorModel.of("float32"))
    return np.array([SEVERITY[n] for n in judged[Quantity(2, "param", "w")].comparison.verdicts])


def test_a_sign_that_rounding_decides_is_an_undetermined_branch() -> None:
    before, one, other, m = lion_at_the_kink()
    parted = one != other
    assert parted.sum() > 100
    found = [verdicts(before, (-0.125 * sign).astype(np.float32), m) for sign in (one, other)]
    assert {*found[0], *found[1]} == {"exact", "undetermined branch"}
    assert ((found[0] == "undetermined branch") | (found[1] == "undetermined branch"))[parted].all()


def test_neither_side_excuses_what_is_on_none() -> None:
    before, sign, _, m = lion_at_the_kink()
    w = (-0.125 * sign).astype(np.float32)
    assert set(verdicts(before, 2 * w + (w == 0), m)) == {"mismatch"}
    # Right in w on one side or the other, but wrong in the state, which has no sides: an element is judged as a whole.
    exact = verdicts(before, w, m) == "exact"
    assert (verdicts(before, w, m + 1)[~exact] == "mismatch").all()


def test_far_from_the_kink_the_other_side_is_wrong() -> None:
    before, _, _, m = lion_at_the_kink()
    far = replace(before, grads={"w": before.grads["w"] * np.float32(2)})
    sign = np.sign(0.9 * before.states["w"]["m"] + (1 - 0.9) * far.grads["w"])
    m = (before.states["w"]["m"] + far.grads["w"]) / np.float32(2)
    assert set(verdicts(far, (-0.125 * sign).astype(np.float32), m)) == {"exact"}
    assert set(verdicts(far, (0.125 * sign).astype(np.float32), m)) == {"mismatch"}


def threshold(t: int) -> float:
    """The β₂ with which RAdam's rho is 5 at step t, as nearly as float64 has it."""
    low, high = 0.7, 0.9
    for _ in range(100):
        beta2 = (low + high) / 2
        rho = 2 / (1 - beta2) - 1 - 2 * t * beta2**t / (1 - beta2**t)
        low, high = (low, beta2) if rho > 5 else (beta2, high)
    return beta2


def test_a_threshold_is_one_decision_for_all_elements() -> None:
    """Where rounding decides RAdam's threshold, both sides are right; half of the elements on either side is not."""
    case = given(0, OptimizerSpec("radam", {"lr": 0.125, "beta2": threshold(6)}), "float32", 6)
    trace, place = NUMPY.run(case), Quantity(6, "param", "W")
    state = {slot: trace.quantities[Quantity(5, "state", "W", slot)] for slot in ("m", "v")}
    w, g = (trace.quantities[Quantity(5, kind, "W")] for kind in ("param", "grad"))
    after = {Quantity(6, "state", "W", slot): trace.quantities[Quantity(6, "state", "W", slot)] for slot in ("m", "v")}
    # Beside the threshold by 1e-9, which float32 does not see anywhere else.
    hypers = CARDS.optimizer_hypers(case)
    sides = [
        CARDS.optimizer("radam").numpy_update(w, g, state, 6, **{**hypers, "beta2": threshold(6) * factor})[0]
        for factor in (1 - 1e-9, 1 + 1e-9)
    ]
    assert (sides[0] != sides[1]).sum() > SIZE / 2
    found = []
    for own in (*sides, np.where(np.arange(SIZE)[:, None] % 2 == 0, *sides)):
        before = Before(6, {"W": w}, {"W": g}, {"W": state})
        judged = judge_updates(case, CARDS, Trace({place: own, **after}), before, ErrorModel.of("float32"))
        found.append(judged[place].comparison.verdict)
    assert sorted(found[:2]) == ["rounding", "undetermined branch"]
    assert found[2] == "mismatch"


def test_radam_in_float32_has_no_digits_left_at_first() -> None:
    """ρ is the difference of two numbers near 2,000; at step 6 its float32 bound is wider than what r is made of."""
    case = given(0, OptimizerSpec("radam"), "float32", 6)
    found = finding_of(case, CARDS, JAX)
    assert (found.verdict, found.place) == ("ill-conditioned", "param W at step 6")
    assert_right(replace(case, dtype="float64"), JAX)
