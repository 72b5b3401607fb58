"""Over generated cases, every implementation agrees with the exact value: values, gradients, updates, state.

The judge holds each quantity to its bound. What it may say of a correct implementation is in `FINE`. The false alarms
that it once gave are in `MENDED`, each with its smallest case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import Phase, event, given, settings, target
from hypothesis import strategies as st

import reference_impls.numpy_impl
from harness import (
    Cards,
    Case,
    Network,
    Node,
    NotSupportedError,
    OptimizerSpec,
    TensorSpec,
    implementation,
    installed_cards,
)
from harness.campaign.records import as_float
from harness.generate import architectures, cases, cases_on, optimizers, sample
from harness.judge import update_judge
from harness.judge.bounds import update_bounds
from harness.judge.findings import find
from harness.judge.judge import check_trace, judge
from harness.judge.oracle import Undecided
from harness.mutants import EXECUTOR_MUTANTS, card_mutants, mutated_cards, mutated_module
from property_tests.documented_divergences import DIVERGENCES, explanation
from property_tests.verdicts import FINE, overflows
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
NUMPY, TORCH, JAX = (implementation(name) for name in ("numpy", "torch", "jax"))


@dataclass(frozen=True)
class Seen:
    """What came of one implementation on one case."""

    who: str
    verdict: str
    place: str = ""
    op: str = ""
    ratio: float = 0.0
    says: str = ""
    overflow: bool = False
    """It has infinities or NaN, or the card as it is written has, as Adam's 0 / 0 without an epsilon."""


def seen(one, case):
    """Run and judge; an exception is a verdict."""
    shapes = CARDS.check(case)
    try:
        trace = one.run(case)
        check_trace(case, shapes, trace)
    except NotSupportedError as error:
        return Seen(one.name, "not implemented", says=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return Seen(one.name, "crash", says=repr(error))
    overflow = overflows(case, one)
    try:
        found = find(case, one.name, judge(case, CARDS, trace))
    except Undecided as undecided:
        return Seen(one.name, "undecided", says=str(undecided), overflow=overflow)
    except ValueError as error:
        return Seen(one.name, "the judge crashed", says=str(error), overflow=overflow)
    ratio = as_float(found.worst_ratio)
    return Seen(one.name, found.verdict, found.place, found.op, ratio, f"{found.sentence} {found.detail}", overflow)


def ops(case):
    return {node.op for _, node in case.network.operations()}


def case_of(nodes, loss, values, dtype="float64"):
    names = [name for node in (*nodes, *loss) for name in node.inputs]
    made = {node.name for node in nodes}
    used = {name for node in (*nodes, *loss) for name in node.params.values()}
    arrays = {name: np.asarray(one) for name, one in values.items()}
    kinds = {"i": "int64"}
    specs = {name: TensorSpec(list(one.shape), kinds.get(one.dtype.kind, "case")) for name, one in arrays.items()}
    return Case(
        Network(
            inputs={name: specs[name] for name in dict.fromkeys(names) if name not in made},
            params={name: specs[name] for name in values if name in used},
            nodes=nodes,
            loss=loss,
        ),
        values,
        dtype,
    )


ONE = [[2.0]]
MENDED = {
    "XLA takes a subnormal for 0, and so the other side of a kink": case_of(
        [Node("h", "relu", ["x"])], [Node("L", "value", ["h"])], {"x": [[5e-324]]}
    ),
    "the allowance for recomputation looked behind a dead end": case_of(
        [Node("h", "relu", ["x"]), Node("d", "identity", ["x"])], [Node("L", "value", ["h"])], {"x": ONE}
    ),
    "identity and x**1 return their argument, and the tape had one entry for both": case_of(
        [Node("h", "identity", ["x"]), Node("k", "power", ["x"], {}, {"exponent": 1})],
        [Node("L", "value", ["x"])],
        {"x": ONE},
    ),
    "x**0 is no longer on the tape": case_of(
        [Node("h", "power", ["x"], {}, {"exponent": 0})], [Node("L", "value", ["h"])], {"x": ONE}
    ),
    "a node that rounds nothing, and is used by nobody": case_of(
        [Node("h", "relu", ["x"])], [Node("L", "value", ["x"]), Node("M", "value", ["x"])], {"x": ONE}
    ),
    "the oracle measured subnormal radii in float64": case_of(
        [Node("h", "tanh", ["x"])], [Node("L", "value", ["h"])], {"x": [[5e-324]]}
    ),
    "torch has (1 - t) z - log sigmoid(z), which cancels where t = 0 and z is far below 0": case_of(
        [], [Node("L", "binary_cross_entropy_with_logits", ["z", "t"])], {"z": [[-5.0]], "t": [[0.0]]}, "float32"
    ),
    "XLA took a subnormal for 0 when it added the watched program's probe": case_of(
        [Node("h", "identity", ["x"])], [Node("L", "value", ["h"])], {"x": [[5e-324]]}
    ),
    "a gradient in three parts, each added to a 1 that swallows digits of it": case_of(
        [],
        [Node("L", "cosine_embedding", ["x", "y", "label"]), Node("M", "value", ["x"])],
        {"x": [[81.8]], "y": [[1.3]], "label": [1]},
    ),
    "two parts of a gradient that cancel, each added to a third": case_of(
        [],
        [Node("L", "cross_entropy", ["x", "label"]), Node("M", "squared_error", ["x", "y"])],
        {"x": [[0.9999999999999999]], "y": [[0.0]], "label": [0]},
    ),
    "a 0 that only cancellation makes": case_of(
        [Node("h", "sigmoid", ["x"]), Node("k", "subtract", ["h", "h"])], [Node("L", "value", ["k"])], {"x": ONE}
    ),
}


WITHOUT_VALUE = {
    "a branch that is not taken, and times NaN all the same": case_of(
        [Node("h", "prelu", ["x"], {"a": "a"})], [Node("L", "value", ["h"])], {"x": ONE, "a": ["nan"]}
    ),
    "a comparison with NaN has no side": case_of(
        [Node("h", "relu", ["x"])], [Node("L", "value", ["h"])], {"x": [["nan"]]}
    ),
    "a dead end that is NaN": case_of(
        [Node("h", "dense", ["x"], {"W": "W"})],
        [Node("L", "value", ["y"]), Node("P", "l1_penalty", [], {"w": "W"}, {"strength": 0.5})],
        {"x": [["nan"]], "y": ONE, "W": [[0.0]]},
    ),
}


def fine(found):
    """Whether this may be said of a correct implementation; once something is NaN, nothing is known of what follows."""
    return found.verdict in FINE or (found.verdict == "undecided" and found.overflow)


def settled(case, one, found):
    """Whether a finding is fine, or explained."""
    return fine(found) or explanation(case, one) is not None


def assert_agrees(one, case):
    found = seen(one, case)
    event(one.name, found.verdict)
    if np.isfinite(found.ratio):
        target(found.ratio, label=f"error / bound of {one.name}")
    if not fine(found):
        why = explanation(case, one)
        assert why is not None, f"{found.verdict}: {found.says}"
        event("explained", why)


@given(cases(CARDS))
def test_numpy_agrees_with_the_exact_value(case):
    assert_agrees(NUMPY, case)


@given(cases(CARDS))
def test_torch_agrees_with_the_exact_value(case):
    assert_agrees(TORCH, case)


NETS = sample(
    st.tuples(
        architectures(CARDS, min_depth=1, max_depth=6), optimizers(CARDS), st.sampled_from(["float32", "float64"])
    ),
    3,
    seed=20,
)
"""Few, because jax compiles for 0.3 to 0.9 s for every network, dtype and optimizer."""


@pytest.mark.parametrize("number", range(len(NETS)))
def test_jax_agrees_with_the_exact_value(number):
    net, optimizer, dtype = NETS[number]

    @settings(max_examples=max(1, settings().max_examples // 2))
    @given(cases_on(net, CARDS, dtypes=(dtype,), optimizer=optimizer, max_steps=1 + number % 2))
    def agrees(case):
        assert_agrees(JAX, case)

    agrees()


def on_bce(q, t, dtype="float64"):
    return case_of([], [Node("L", "binary_cross_entropy", ["q", "t"])], {"q": [q], "t": [t]}, dtype)


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_documented_divergence_is_found_and_explained_by_its_own_rule(name):
    divergence = DIVERGENCES[name]
    for one in (NUMPY, TORCH, JAX):
        found = seen(one, divergence.smallest)
        assert fine(found) == (one.name != divergence.who)
        assert settled(divergence.smallest, one, found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_follows_its_own_rule_at_the_edges_of_probability(dtype):
    tiny = [0.0, 1e-45, 1e-40, 1e-30, 1e-13, 1e-12, 1e-11, 1e-3]
    for t in (0.0, 0.25, 1.0):
        for q in ([0.3], tiny, [1 - x for x in tiny]):
            case = on_bce(q, [t] * len(q), dtype)
            assert settled(case, TORCH, seen(TORCH, case))
    for q, t in (([float("nan"), 0.5], [1.0, 1.0]), ([0.5], [1.5])):
        case = on_bce(q, t, dtype)
        assert seen(TORCH, case).verdict == "crash"
        assert settled(case, TORCH, seen(TORCH, case))


def without_the_other_class(torch, p, q, t, *, reduction, samples_axis, clip):
    return torch.nn.functional.binary_cross_entropy(q, t, reduction="sum") + ((1 - t) * torch.log(1 - q)).sum()


def refusing_a_half(torch, p, q, t, *, reduction, samples_axis, clip):
    if (q == 0.5).any():
        raise RuntimeError("all elements of input should be between 0 and 1")
    return torch.nn.functional.binary_cross_entropy(q, t, reduction="sum")


@pytest.mark.parametrize("q", [[0.3], [1e-13, 0.3], [0.0, 0.3], [1.0, 0.3], [0.5]])
def test_a_planted_mistake_is_not_explained_by_a_divergence(q):
    card = CARDS.operation("binary_cross_entropy")
    wrong = [replace(card, torch_forward=line) for line in (without_the_other_class, refusing_a_half)]
    case = on_bce(q, [0.25] * len(q))
    mistaken = TorchImplementation(cards=CARDS.replacing(wrong[q == [0.5]]))
    assert not settled(case, mistaken, seen(mistaken, case))
    mutant = next(one for one in card_mutants(CARDS) if one.name == "binary_cross_entropy_one_class")
    mistaken = NumpyImplementation(cards=mutated_cards(mutant, CARDS))
    assert not settled(case, mistaken, seen(mistaken, case))


@pytest.mark.parametrize("name", MENDED)
def test_a_mended_alarm_stays_mended(name):
    assert {seen(one, MENDED[name]).verdict for one in (NUMPY, TORCH, JAX)} <= FINE


def test_a_gradient_that_is_computed_anew_in_the_update_may_round_otherwise(monkeypatch):
    """Of a penalty's 0.01 w and Adam's 0.1 g XLA makes 0.001 w."""
    spec = TensorSpec([3])
    loss = [Node("L", "value", ["x"]), Node("P", "l2_penalty", [], {"w": "b"}, {"strength": 0.01})]
    values = {"x": np.ones(3), "b": np.array([0.260031743482234, 0.0, -1.0771511893908965])}
    case = Case(Network({"x": spec}, params={"b": spec}, loss=loss), values, "float64", OptimizerSpec("adamw"), 3)
    assert seen(JAX, case).verdict == "rounding"

    def as_reported(case, cards, before, name, model):
        return update_bounds(cards, case, before, model)[name]

    monkeypatch.setattr(update_judge, "_computed_anew", as_reported)
    assert seen(JAX, case).verdict == "mismatch"


@pytest.mark.parametrize("name", WITHOUT_VALUE)
def test_nan_is_not_held_against_anybody(name):
    assert all(fine(seen(one, WITHOUT_VALUE[name])) for one in (NUMPY, TORCH, JAX))


SPOTTED = (
    "dense_transposed_weight_gradient", "squared_error_mean_forgotten", "last_contribution_wins", "state_forgotten",
)  # fmt: skip


FEW = Cards.of([*(CARDS.operations[name] for name in ("dense", "sigmoid", "squared_error")), CARDS.optimizers["adam"]])


@pytest.mark.parametrize("name", SPOTTED)
def test_a_planted_mistake_is_found(name):
    mutant = next(one for one in card_mutants(CARDS) + EXECUTOR_MUTANTS if one.name == name)
    if mutant in EXECUTOR_MUTANTS:
        wrong = mutated_module(mutant, reference_impls.numpy_impl).NumpyImplementation()
    else:
        wrong = NumpyImplementation(cards=mutated_cards(mutant, CARDS))

    @settings(max_examples=200, phases=[Phase.generate], database=None, print_blob=False)
    @given(cases(FEW, max_depth=3))
    def agrees(case):
        assert_agrees(wrong, case)

    with pytest.raises(AssertionError, match=r"mismatch|non-finite|crash"):
        agrees()
