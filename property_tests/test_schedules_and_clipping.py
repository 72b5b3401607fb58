"""Scheduled rates and clipped gradients: the three agree, off-by-one conventions included, and old case files stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import Case, CaseError, OptimizerSpec, Quantity, RuleSpec, Trace
from harness.campaign.card_check import finding_of
from harness.campaign.reproducer import script
from harness.judge.judge import judge
from property_tests.optimizer_cases import CARDS, JAX, NUMPY, TORCH, assert_right, given, refused, two_parameters
from reference_impls.jax_impl import JaxImplementation
from reference_impls.numpy_impl import NumpyImplementation

# Schedules


def sgd(schedule: RuleSpec | None = None, clip: RuleSpec | None = None, **hypers: float) -> OptimizerSpec:
    return OptimizerSpec("sgd", {"lr": 0.1, **hypers}, schedule, clip)


SCHEDULED = [
    RuleSpec("step_decay", {"every": 3, "factor": 0.3}),
    RuleSpec("step_decay", {"every": 1, "factor": 1.0}),
    RuleSpec("warmup_cosine", {"warmup": 5, "decay": 10, "end": 0.1}),
    RuleSpec("warmup_cosine", {"warmup": 0, "decay": 12, "start": 1.0}),
    RuleSpec("warmup_cosine", {"warmup": 4, "decay": 1, "end": 1.0}),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("number", range(len(SCHEDULED)))
def test_schedules_agree_over_twenty_updates(number: int, dtype: str) -> None:
    """From parameters of 0, which hide nothing of the rate."""
    optimizer = sgd(SCHEDULED[number], momentum=0.5 * (number % 2))
    case = given(number, optimizer, dtype, 20, size=2)
    case = replace(case, values={**case.values, "W": np.zeros((2, 1))}, record=(*range(6), 9, 14, 15, 19, 20))
    for one in (NUMPY, TORCH, JAX):
        assert_right(case, one)


def test_the_rates_by_hand() -> None:
    """Warm-up over 2 updates from a quarter of the rate, then half a cosine over 2, then nothing."""
    rule = RuleSpec("warmup_cosine", {"warmup": 2, "decay": 2, "start": 0.25})
    case = given(0, sgd(rule, lr=1.0), "float64", 6, size=1)
    case = replace(case, values={"W": np.zeros((1, 1)), "x": np.ones((1, 1))})
    for one in (NUMPY, TORCH, JAX):
        trace = one.run(case)
        moves = np.diff([-trace.quantities[Quantity(t, "param", "W")].item() for t in range(7)])
        assert moves.tolist() == [0.25, 0.625, 1.0, 0.5, 0.0, 0.0], one.name
    stairs = replace(case, optimizer=sgd(RuleSpec("step_decay", {"every": 2, "factor": 0.25}), lr=1.0))
    for one in (NUMPY, TORCH, JAX):
        trace = one.run(stairs)
        moves = np.diff([-trace.quantities[Quantity(t, "param", "W")].item() for t in range(7)])
        assert moves.tolist() == [1.0, 1.0, 0.25, 0.25, 0.0625, 0.0625], one.name


def test_optax_makes_float32_of_a_rate_from_an_int32() -> None:
    """When this fails, optax or jax has mended it, and the cards need no float count."""
    bare = replace(
        CARDS.schedules["step_decay"],
        optax_schedule=lambda optax, lr, *, every, factor: optax.exponential_decay(lr, every, factor, staircase=True),
    )
    optimizer = sgd(RuleSpec("step_decay"))
    case = given(0, optimizer, "float64", 1)
    found = finding_of(case, CARDS, JaxImplementation(cards=CARDS.replacing(bare)))
    assert (found.verdict, found.op) == ("mismatch", "sgd update with step_decay")
    assert_right(case, JAX)


def test_schedules_that_a_library_lacks_are_not_implemented() -> None:
    cold = RuleSpec("warmup_cosine", {"start": 0.0})
    assert "above 0" in refused(given(0, sgd(cold), "float64", 1), TORCH)
    still = RuleSpec("step_decay", {"factor": 0.0})
    assert "constant" in refused(given(0, sgd(still), "float64", 1), JAX)


# Clipping


def moves(case: Case, one: Any) -> list[float]:
    trace = one.run(case)
    return [-trace.quantities[Quantity(1, "param", name)].item() for name in ("a", "b")]


def test_clipping_by_the_global_norm_at_its_edge() -> None:
    """A norm of 5: beyond the limit, at it, and below it; torch adds 1e-6 to it and so shrinks a little earlier."""
    for one, eps in ((NUMPY, 0.0), (JAX, 0.0), (NUMPY, 1e-6), (TORCH, 1e-6)):
        for limit in (2.5, 5.0, 5.0000005, 5.1):
            case = two_parameters(3.0, -4.0, limit=limit, eps=eps)
            assert_right(case, one)
            whole = moves(case, one) == [3.0, -4.0]
            assert whole == (5.0 + eps <= limit), (one.name, eps, limit)
    assert moves(two_parameters(3.0, -4.0, limit=2.5), NUMPY) == [1.5, -2.0]
    assert "adds 1e-6" in refused(two_parameters(3.0, -4.0), TORCH)
    assert "adds nothing" in refused(two_parameters(3.0, -4.0, eps=1e-6), JAX)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_clipping_agrees(dtype: str) -> None:
    for number, clip in enumerate(
        [
            RuleSpec("by_value", {"limit": 0.01}),
            RuleSpec("by_value", {"limit": 0.0}),
            RuleSpec("by_global_norm", {"limit": 0.1, "eps": 1e-6}),
            RuleSpec("by_global_norm", {"limit": 100.0, "eps": 1e-6}),
            RuleSpec("by_global_norm", {"limit": 0.0, "eps": 1e-6}),
        ]
    ):
        case = given(number, OptimizerSpec("adam", {}, clip=clip), dtype, 3, square=number % 2 == 0)
        assert_right(case, NUMPY)
        assert_right(case, TORCH)
    clip, schedule = RuleSpec("by_global_norm", {"limit": 0.1}), RuleSpec("step_decay", {"every": 2})
    case = given(1, OptimizerSpec("lion", {}, schedule, clip), dtype, 4, square=True)
    assert_right(case, NUMPY)
    assert_right(case, JAX)
    both = two_parameters(0.0, 0.0, eps=0.0)
    assert finding_of(replace(both, dtype=dtype), CARDS, NUMPY).verdict == "exact"


def test_a_gradient_that_is_not_known_leaves_the_update_unjudged() -> None:
    """Clipping may need all of them together."""

    class Forgetful(NumpyImplementation):
        def run(self, case: Case) -> Trace:
            trace = super().run(case)
            kept = {q: x for q, x in trace.quantities.items() if (q.step, q.kind, q.name) != (1, "grad", "b")}
            return replace(trace, quantities=kept)

    after = Quantity(2, "param", "a")
    case = replace(two_parameters(3.0, -4.0), steps=2)
    assert after not in judge(case, CARDS, Forgetful().run(case)).comparisons
    assert after in judge(case, CARDS, NUMPY.run(case)).comparisons
    plain = replace(case, optimizer=sgd())
    assert after in judge(plain, CARDS, Forgetful().run(plain)).comparisons


# Case files, reproducers


def test_old_case_files_stay_what_they_were() -> None:
    plain = given(0, sgd(), "float64", 1)
    assert b"schedule" not in plain.to_json()
    assert b"clip" not in plain.to_json()
    full = replace(plain, optimizer=sgd(RuleSpec("step_decay"), RuleSpec("by_value")))
    again = Case.from_json(full.to_json())
    assert (again.optimizer, again.id) == (full.optimizer, full.id)
    assert full.id != plain.id


@pytest.mark.parametrize(
    ("optimizer", "path", "says"),
    [
        (sgd(RuleSpec("steps")), "$.optimizer.schedule.name", "there are: step_decay"),
        (sgd(None, RuleSpec("norm")), "$.optimizer.clip.name", "there are: by_global_norm"),
        (sgd(RuleSpec("step_decay", {"every": 1.5})), "$.optimizer.schedule.hypers", "needs a whole number"),
        (sgd(None, RuleSpec("by_value", {"limit": -1})), "$.optimizer.clip.hypers", "at least"),
        (OptimizerSpec("rprop", {}, RuleSpec("step_decay")), "$.optimizer.schedule", "no learning rate"),
    ],
)
def test_rules_that_do_not_fit_are_refused_with_their_place(optimizer: OptimizerSpec, path: str, says: str) -> None:
    with pytest.raises(CaseError, match=says) as error:
        CARDS.check(given(0, optimizer, "float64", 1))
    assert error.value.path == path


@pytest.mark.parametrize(
    ("optimizer", "quantity", "parts"),
    [
        (
            OptimizerSpec(
                "sgd",
                {"lr": 0.5, "momentum": 0.9},
                RuleSpec("warmup_cosine"),
                RuleSpec("by_global_norm", {"limit": 0.1}),
            ),
            Quantity(3, "param", "a"),
            2,
        ),
        (
            OptimizerSpec("adam", {}, RuleSpec("step_decay"), RuleSpec("by_global_norm", {"limit": 0.1, "eps": 1e-6})),
            Quantity(3, "state", "b", "m"),
            2,
        ),
        (sgd(RuleSpec("step_decay"), RuleSpec("by_value")), Quantity(3, "param", "a"), 3),
        (OptimizerSpec("adamw", {}, None, RuleSpec("by_value")), Quantity(2, "state", "b", "v"), 3),
        (OptimizerSpec("nadam"), Quantity(2, "state", "a", "product"), 2),
        (OptimizerSpec("rprop"), Quantity(3, "param", "a"), 2),
        (OptimizerSpec("lion"), Quantity(2, "param", "b"), 2),
        (OptimizerSpec("rmsprop", {"momentum": 0.5, "centered": True}), Quantity(2, "state", "a", "b"), 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_script_takes_the_same_step(optimizer: OptimizerSpec, quantity: Quantity, parts: int) -> None:
    """Run here, where torch and jax are imported already; each function of the script against its bound."""
    import jax

    case = replace(two_parameters(3.0, -4.0), optimizer=optimizer, steps=3, dtype="float32")
    space: dict[str, Any] = {"__name__": "a script"}
    exec(script(case, CARDS, quantity, [NUMPY, TORCH, JAX]), space)  # noqa: S102 - what we wrote ourselves
    taken = []
    for name in ("by_numpy", "by_torch", "by_jax"):
        if name in space:
            try:
                with jax.enable_x64(False):
                    value = np.asarray(space[name]())
            except ValueError:
                continue  # what a card refuses, its script refuses
            taken.append(name)
            value = float(value[space["INDEX"]] if value.ndim else value)
            assert not space["beyond"](value), name
    assert len(taken) == parts
