"""Losses: what they refuse, where the three implementations go their own ways, and that their helpers go with them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from harness import Case, CaseError, Network, Node, Quantity, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import Cases, finding_of
from harness.campaign.reproducer import reproduce, script
from harness.campaign.script.source import Sources
from harness.mutants import card_mutants, mutated_cards
from harness.registry import Cards
from property_tests.test_reproducer import row, run
from reference_impls.losses import _reduction
from reference_impls.numpy_impl import NumpyImplementation

CARDS = installed_cards()
LOSSES = [name for name, card in CARDS.operations.items() if card.kind == "loss"]
ALL = {name: implementation(name) for name in ("numpy", "torch", "jax")}


def case_of(loss, given, constants=(), dtype="float64", **hypers):
    """One loss on given numbers; those that are `constants`, and whole numbers, are not differentiated."""
    values = {name: np.asarray(array) for name, array in given.items()}
    whole = {name for name, array in values.items() if array.dtype.kind == "i"}
    fixed = whole | set(constants)
    network = Network(
        inputs={name: TensorSpec([*a.shape]) for name, a in values.items() if name not in fixed},
        constants={
            name: TensorSpec([*a.shape], "int64" if name in whole else "case")
            for name, a in values.items() if name in fixed
        },
        loss=[Node("L", loss, list(values), {}, hypers)],
    )  # fmt: skip
    return Case(network=network, values=values, dtype=dtype)


def numbers(case, kind, name):
    return {one: column.run(case).quantities[Quantity(0, kind, name)].tolist() for one, column in ALL.items()}


# What is refused, and where

SCORES = np.zeros((2, 3))
TWO = {"a": SCORES, "b": SCORES}
REFUSED = [
    (case_of("squared_error", {"a": [0.0], "b": [0.0]}, reduction="sample_mean", samples_axis=1), "needs an axis 1"),
    (case_of("squared_error", {"a": [0.0], "b": [0.0]}, reduction="half_sample_mean", samples_axis=1), "an axis 1"),
    (case_of("huber", {"a": SCORES, "b": np.zeros((3, 2))}), "one shape"),
    (case_of("huber", TWO, delta=0.0), "delta above 0"),
    (case_of("smooth_l1", TWO, beta=-1.0), "beta above 0"),
    (case_of("binary_cross_entropy", TWO, clip=0.5), "at most 0.25"),
    (case_of("cross_entropy", {"z": SCORES, "i": np.array([0, 1, 2])}), r"labels of shape \(2,"),
    (case_of("nll", {"z": SCORES, "i": np.array([0, 1])}, class_axis=0), r"labels of shape \(3,"),
    (case_of("nll", {"z": np.zeros(3), "i": np.array(0)}), "two axes or more"),
    (case_of("cross_entropy", {"z": SCORES, "i": np.array([0, 3])}), "from 0 to 2, got 3"),
    (case_of("cross_entropy", {"z": SCORES, "i": np.array([0, -1])}), "from 0 to 2, got -1"),
    (case_of("nll", {"z": SCORES, "i": np.array([0, 1])}, ignore_index=-2), "needs -1, a class or"),
    (case_of("nll", {"z": SCORES, "i": np.array([0, 1])}, ignore_index=0.5), "needs a whole number, got 0.5"),
    (case_of("cosine_embedding", {**TWO, "i": np.ones((2, 3), int)}), "label for each pair"),
    (case_of("hinge", {"y": np.zeros(2), "i": np.array([1, 2])}), "from -1 to 1, got 2"),
]


@pytest.mark.parametrize(("case", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(CaseError, match=message):
        CARDS.check(case)


def test_minus_one_is_a_label_where_it_does_not_count():
    given = {"z": SCORES, "i": np.array([-1, 2])}
    CARDS.check(case_of("cross_entropy", given, ignore_index=-1))


# Where torch and jax go other ways than NumPy here: as the cards say


def test_the_slope_of_an_absolute_value_at_0():
    case = case_of("absolute_error", {"a": [3.0, 1.0, 0.0], "b": [1.0, 1.0, 2.0]})
    assert numbers(case, "grad", "a") == {"numpy": [1, 0, -1], "torch": [1, 0, -1], "jax": [1, 1, -1]}


def test_the_slope_of_a_hinge_at_the_margin():
    case = case_of("hinge", {"y": [1.0, -1.0, 0.0, 2.0], "t": [1, -1, 0, -1]})
    assert numbers(case, "value", "L") == dict.fromkeys(ALL, 4.0)
    assert numbers(case, "grad", "y") == {"numpy": [0, 0, 0, 1], "torch": [0, 0, 0, 1], "jax": [-0.5, 0.5, 0, 1]}


def test_the_slope_of_a_cosine_at_the_margin():
    case = case_of("cosine_embedding", {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]], "t": [-1]})
    slopes = {name: np.rint(np.array(slope) * 4).tolist() for name, slope in numbers(case, "grad", "a").items()}
    assert slopes == {"numpy": [[0, 0]], "torch": [[0, 4]], "jax": [[0, 2]]}


def test_the_slope_of_t_log_t_at_0():
    given = {"q": [[-1.0, -2.0]], "t": [[0.0, 1.0]]}
    assert numbers(case_of("kl_divergence", given, ["t"]), "grad", "q") == {one: [[0.0, -1.0]] for one in ALL}
    slopes = {name: slope[0][0] for name, slope in numbers(case_of("kl_divergence", given), "grad", "t").items()}
    assert slopes["numpy"] == -math.inf
    assert math.isnan(slopes["torch"])
    assert math.isnan(slopes["jax"])


@pytest.mark.parametrize("loss", ["cross_entropy", "nll"])
def test_a_mean_over_no_label_is_not_a_number(loss):
    case = case_of(loss, {"z": SCORES, "i": np.array([-1, -1])}, ignore_index=-1, reduction="mean")
    assert all(math.isnan(value) for value in numbers(case, "value", "L").values())
    summed = case_of(loss, {"z": SCORES, "i": np.array([-1, -1])}, ignore_index=-1, reduction="sum")
    assert numbers(summed, "value", "L") == dict.fromkeys(ALL, 0.0)


def test_near_the_target_the_slope_of_optaxs_huber_has_no_digit():
    case = case_of("huber", {"a": [1e-17], "b": [0.0]})
    assert numbers(case, "grad", "a") == {"numpy": [1e-17], "torch": [1e-17], "jax": [0.0]}
    assert finding_of(case, CARDS, ALL["jax"]).verdict == "rounding"


def test_huber_is_smooth_l1_times_delta():
    given = {"a": [0.25, 3.0, -8.0], "b": [0.0, 0.5, 0.0]}
    huber, smooth = case_of("huber", given, delta=2.0), case_of("smooth_l1", given, beta=2.0)
    for kind, name in (("value", "L"), ("grad", "a"), ("grad", "b")):
        one, other = numbers(huber, kind, name), numbers(smooth, kind, name)
        assert {who: np.array(half).tolist() for who, half in one.items()} == {
            who: (2 * np.array(whole)).tolist() for who, whole in other.items()
        }


@pytest.mark.parametrize(
    ("reduction", "n"),
    [("sum", 1), ("mean", 6), ("sample_mean", 3), ("half_sum", 2), ("half_mean", 12), ("half_sample_mean", 6)],
)
def test_each_reduction_of_the_squared_error(reduction, n):
    given = {"a": np.full((2, 3), 12.0), "b": np.zeros((2, 3))}
    case = case_of("squared_error", given, reduction=reduction, samples_axis=1)
    assert numbers(case, "value", "L") == dict.fromkeys(ALL, 6 * 144 / n)
    assert numbers(case, "grad", "a") == dict.fromkeys(ALL, np.full((2, 3), 24 / n).tolist())


# Scripts


def nets_of(loss):
    """Cases of this loss and a dense layer alone."""
    return Cases(Cards({name: CARDS.operation(name) for name in ("dense", loss)}, {}), loss)


def test_every_loss_stands_in_a_script_with_the_helpers_that_it_shares(tmp_path: Path):
    for number, loss in enumerate(LOSSES):
        verdicts = ((case, finding_of(case, CARDS, ALL["numpy"]).verdict) for case in nets_of(loss).first(8))
        case = next(case for case, verdict in verdicts if verdict == "rounding")
        text = script(case, CARDS, Quantity(0, "value", "loss"), list(ALL.values()))
        assert "is not shown" not in text, loss
        (tmp_path / f"loss-{number}.py").write_text(text)
    lines = ["import runpy", f"for number in range({len(LOSSES)}):"]
    lines += ["    try: runpy.run_path(f'loss-{number}.py', run_name='__main__')"]
    done = run("\n".join([*lines, "    except SystemExit as end: print('exit', end.code)"]), tmp_path)
    assert done.stdout.count("exit 0") == len(LOSSES), done.stdout + done.stderr


def test_a_planted_mistake_fails_in_a_script_until_it_is_mended(tmp_path: Path):
    given = {"z": np.arange(6.0).reshape(2, 3), "i": np.array([1, -1])}
    case = case_of("cross_entropy", given, ignore_index=-1, reduction="mean")
    planted = next(one for one in card_mutants(CARDS) if one.name == "cross_entropy_ignored_in_gradient")
    cards = mutated_cards(planted, CARDS)
    made = [NumpyImplementation(cards=cards), ALL["torch"], ALL["jax"]]
    done = run(reproduce(case, CARDS, made, {"numpy": cards}), tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert ["beyond" in row(done.stdout, one) for one in ALL] == [True, False, False]
    assert run(reproduce(case, CARDS, made), tmp_path).returncode == 0


def a_mean(terms):
    return terms / _reduction.divisor(terms.shape, "mean", 0) / len(_reduction.HALVES)


def test_what_is_taken_from_a_module_of_the_authors_own_goes_with_a_function():
    sources = Sources()
    assert sources.function(a_mean, "f") == "f"
    text = "\n".join(sources.blocks)
    assert "HALVES = ('half_sum', 'half_mean', 'half_sample_mean')" in text
    assert "def f_divisor(shape, reduction, samples_axis):\n    return math.prod(shape)" in text
    assert "return terms / f_divisor(terms.shape, 'mean', 0) / len(HALVES)" in text
    assert sources.imports == ["import math", "import numpy as np"]
