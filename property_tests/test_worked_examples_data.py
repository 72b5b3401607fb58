"""The worked examples as data: complete, well-formed, and reproduced by a second computation written here.

Nothing of the cards or the executors is used for the numbers: each network is computed again in plain NumPy,
straight from the maths.
"""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import pytest

from harness.case import Case
from harness.registry import Cards
from harness.trace import LOSS, Quantity
from harness.worked_example import Printed
from reference_impls.cards import CARDS
from reference_impls.worked_examples import DIAGONAL_FLIP, EXAMPLES, HAND_BY_HAND, NOTEBOOK, NUMPY_BACKPROP
from reference_impls.worked_examples.hand_by_hand import START
from reference_impls.worked_examples.notebook import (
    LINEAR_FRESH,
    LINEAR_RUN_ORDER,
    NUMPY_SEED_42,
    TORCH_SEED_42,
)

ALL_CARDS = Cards.of(CARDS)
WORKED = {(example.key, worked.key): worked for example in EXAMPLES for worked in example.cases}
WITH_DIGITS = {key: worked for key, worked in WORKED.items() if worked.printed}
V0, G0 = "value", "grad"


def named(mapping):
    """As parametrize wants it."""
    return [pytest.param(key, id="-".join(key)) for key in mapping]


# --- well-formed ------------------------------------------------------------------------------------------------


def flaws(worked):
    """What is wrong with the data of one worked case."""
    case = worked.case
    shapes = ALL_CARDS.check(case)
    known = {
        "value": {LOSS: (), **{node.name: shapes[node.name] for _, node in case.network.operations()}},
        "grad": {name: shape for name, shape in shapes.items() if name not in case.network.constants},
        "param": {name: shapes[name] for name in case.network.params},
    }
    found = []
    if Case.from_json(case.to_json()).id != case.id:
        found.append("does not survive JSON")
    for printed in worked.printed:
        quantity = printed.quantity
        shape = known[quantity.kind].get(quantity.name)
        if shape is None:
            found.append(f"{quantity}: no such quantity")
        elif len(printed.index) != len(shape) or any(not 0 <= i < n for i, n in zip(printed.index, shape, strict=True)):
            found.append(f"{quantity}: {printed.index} is no index into {shape}")
        if quantity.step not in case.recorded:
            found.append(f"{quantity}: this step is not recorded")
        Decimal(printed.digits)
    for remark in worked.remarks:
        if remark.kind not in ("error", "trap", "note"):
            found.append(f"no kind of remark: {remark.kind}")
        if remark.quantity is not None and remark.quantity.name not in known[remark.quantity.kind]:
            found.append(f"remark on {remark.quantity}: no such quantity")
        if remark.kind == "error" and not remark.evidence:
            found.append("an error without evidence")
    return found


@pytest.mark.parametrize("key", named(WORKED))
def test_the_data_of_every_case_are_well_formed(key):
    assert flaws(WORKED[key]) == []
    assert WORKED[key].title
    assert WORKED[key].explanation


@pytest.mark.parametrize(
    ("quantity", "index", "found"),
    [
        (Quantity(0, "grad", "W9"), (0, 0), "no such quantity"),
        (Quantity(0, "grad", "y"), (0, 0), "no such quantity"),
        (Quantity(0, "grad", "W1"), (0, 2), "no index"),
        (Quantity(0, "grad", "W1"), (0,), "no index"),
        (Quantity(2, "grad", "W1"), (0, 0), "not recorded"),
    ],
)
def test_a_misplaced_number_is_found(quantity, index, found):
    worked = NUMPY_BACKPROP.cases[0]
    planted = replace(worked, printed=(*worked.printed, Printed(quantity, index, "0.5")))
    assert found in flaws(planted)[0]


def repeated(items):
    return [item for item, count in Counter(items).items() if count > 1]


def test_keys_and_cases_are_unique():
    assert repeated(example.key for example in EXAMPLES) == []
    for example in EXAMPLES:
        assert repeated(worked.key for worked in example.cases) == []
    ids = [worked.case.id for worked in WORKED.values()]
    assert repeated(ids) == []
    assert repeated([*ids, ids[0]]) == [ids[0]]


# --- the printed digits, computed again -------------------------------------------------------------------------


def agrees(value, digits):
    """Whether the value, or one at most two doubles away, lies within half a unit of the last printed digit.

    The two doubles are for values halfway between two printable ones, such as 0.89625 for "0.8963".
    """
    half_unit = Fraction(Decimal(1).scaleb(int(Decimal(digits).as_tuple().exponent))) / 2
    candidates = [float(value)]
    for direction in (-np.inf, np.inf):
        near = float(value)
        for _ in range(2):
            near = float(np.nextafter(near, direction))
            candidates.append(near)
    return any(abs(Fraction(candidate) - Fraction(Decimal(digits))) <= half_unit for candidate in candidates)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def recompute_numpy_backprop(v):
    def forward(W1, b1, W2, b2):
        Z1 = W1 @ v["x"] + b1
        A1 = np.where(Z1 > 0, Z1, 0.0)
        Z2 = W2 @ A1 + b2
        return Z1, A1, Z2, sigmoid(Z2)

    W1, b1, W2, b2 = (v[name] for name in ("W1", "b1", "W2", "b2"))
    Z1, A1, Z2, A2 = forward(W1, b1, W2, b2)
    dZ2 = 2 * (A2 - v["y"]) * A2 * (1 - A2)
    dZ1 = (W2.T @ dZ2) * (Z1 > 0)
    after = (W1 - 0.1 * dZ1 @ v["x"].T, b1 - 0.1 * dZ1, W2 - 0.1 * dZ2 @ A1.T, b2 - 0.1 * dZ2)
    return {
        (0, V0, "Z1"): Z1, (0, V0, "A1"): A1, (0, V0, "Z2"): Z2, (0, V0, "A2"): A2,
        (0, V0, LOSS): np.sum((A2 - v["y"]) ** 2), (1, V0, LOSS): np.sum((forward(*after)[3] - v["y"]) ** 2),
        (1, "param", "W1"): after[0], (1, "param", "W2"): after[2],
    }  # fmt: skip


def recompute_scalar_net(v):
    x, y, w1, b1, w2, b2 = (v[name].item() for name in ("x", "y", "W1", "b1", "W2", "b2"))
    a1 = sigmoid(w1 * x + b1)
    a2 = sigmoid(w2 * a1 + b2)
    delta2 = (a2 - y) * a2 * (1 - a2)
    delta1 = w2 * delta2 * a1 * (1 - a1)
    return {
        (0, V0, "a2"): np.full((1, 1), a2), (0, V0, LOSS): (a2 - y) ** 2 / 2,
        (1, "param", "W1"): np.full((1, 1), w1 - 0.1 * x * delta1),
        (1, "param", "b1"): np.full((1, 1), b1 - 0.1 * delta1),
        (1, "param", "W2"): np.full((1, 1), w2 - 0.1 * a1 * delta2),
        (1, "param", "b2"): np.full((1, 1), b2 - 0.1 * delta2),
    }  # fmt: skip


def recompute_diagonal_flip(v):
    """On the dead side: the pre-activation that is 0 on paper is made 0, as the tutorial does."""
    v = {name: array.astype(float) for name, array in v.items()}
    z1 = np.round(v["x"] @ v["W1"] + v["b1"], 6)
    h = np.maximum(z1, 0)
    y_hat = h @ v["W2"] + v["b2"]
    dy = 2 / 4 * (y_hat - v["target"])
    dh = dy @ v["W2"].T
    dz1 = dh * (z1 > 0)
    return {
        (0, V0, "z1"): z1, (0, V0, "h"): h, (0, V0, "y_hat"): y_hat, (0, V0, LOSS): np.mean((y_hat - v["target"]) ** 2),
        (0, G0, "y_hat"): dy, (0, G0, "h"): dh, (0, G0, "z1"): dz1,
        (0, G0, "W1"): v["x"].T @ dz1, (0, G0, "b1"): dz1[0], (0, G0, "W2"): h.T @ dy, (0, G0, "b2"): dy[0],
    }  # fmt: skip


def recompute_cube(v):
    u = 2 * v["x"] + 1
    return {(0, V0, "u"): u, (0, V0, "f"): u**3, (0, G0, "u"): 3 * u**2, (0, G0, "x"): 6 * u**2}


def recompute_line(v):
    ones = np.ones_like(v["b"])
    return {(0, V0, "y"): v["w"] * v["x"] + v["b"], (0, G0, "x"): v["w"], (0, G0, "w"): v["x"], (0, G0, "b"): ones}


def recompute_line_squared(v):
    z = v["w"] * v["x"] + v["b"]
    return {
        (0, V0, "a"): v["w"] * v["x"], (0, V0, "z"): z, (0, V0, LOSS): np.sum(z**2),
        (0, G0, "z"): 2 * z, (0, G0, "b"): 2 * z, (0, G0, "w"): 2 * z * v["x"], (0, G0, "x"): 2 * z * v["w"],
    }  # fmt: skip


def recompute_neuron(v):
    z = v["x"] @ v["W1"] + v["b1"]
    a = sigmoid(z)
    dz = (a - v["y"]) * a * (1 - a)
    return {
        (0, V0, "z"): z, (0, V0, "a"): a, (0, V0, LOSS): np.sum((a - v["y"]) ** 2) / 2,
        (0, G0, "a"): a - v["y"], (0, G0, "z"): dz, (0, G0, "W1"): v["x"].T * dz, (0, G0, "b1"): dz[0],
    }  # fmt: skip


def recompute_exercise_2(v):
    w1, w2, x1, x2 = (v[name] for name in ("w1", "w2", "x1", "x2"))
    return {
        (0, V0, LOSS): (w1 * x1 + w2 * x2) ** 2 + (w1 * x1 - w2 * x2) ** 2,
        (0, G0, "w1"): 4 * w1 * x1**2, (0, G0, "w2"): 4 * w2 * x2**2,
        (0, G0, "x1"): 4 * x1 * w1**2, (0, G0, "x2"): 4 * x2 * w2**2,
    }  # fmt: skip


RECOMPUTE = {
    ("numpy-backprop", "one-step"): recompute_numpy_backprop,
    ("scalar-net", "code"): recompute_scalar_net,
    ("notebook", "cube"): recompute_cube,
    ("notebook", "line-squared"): recompute_line_squared,
    ("notebook", "neuron"): recompute_neuron,
    ("notebook", "autograd-line"): recompute_line,
    ("notebook", "autograd-line-squared"): recompute_line_squared,
    ("notebook", "exercise-2"): recompute_exercise_2,
    ("diagonal-flip", "float64"): recompute_diagonal_flip,
    ("diagonal-flip", "float32"): recompute_diagonal_flip,
    ("diagonal-flip", "dead-side"): recompute_diagonal_flip,
}


def disagreeing(worked, numbers):
    """The printed numbers that the recomputed ones do not round to."""
    return [
        printed
        for printed in worked.printed
        if not agrees(np.asarray(numbers[tuple(printed.quantity)[:3]])[printed.index], printed.digits)
    ]


def test_every_case_with_digits_is_recomputed():
    assert set(RECOMPUTE) == set(WITH_DIGITS)


@pytest.mark.parametrize("key", named(WITH_DIGITS))
def test_every_printed_number_is_reproduced(key):
    worked = WORKED[key]
    assert disagreeing(worked, RECOMPUTE[key](worked.case.values)) == []


@pytest.mark.parametrize("key", named(WITH_DIGITS))
def test_a_wrong_printed_number_is_caught(key):
    worked = WORKED[key]
    wrong = []
    for printed in worked.printed:
        digits = Decimal(printed.digits)
        wrong.append(replace(printed, digits=str(digits + 5 * Decimal(1).scaleb(int(digits.as_tuple().exponent)))))
    planted = replace(worked, printed=tuple(wrong))
    assert len(disagreeing(planted, RECOMPUTE[key](worked.case.values))) == len(wrong)


def test_halfway_cases_may_round_either_way_and_others_may_not():
    assert agrees(0.8962500000000001, "0.8963")
    assert agrees(np.nextafter(0.89625, 0), "0.8963")
    assert not agrees(0.89624, "0.8963")
    assert not agrees(-0.0975, "0.0")


def test_numpy_prints_eight_decimals():
    worked = NUMPY_BACKPROP.cases[0]
    numbers = recompute_numpy_backprop(worked.case.values)
    for printed in worked.printed:
        value = float(np.asarray(numbers[tuple(printed.quantity)[:3]])[printed.index])
        assert Decimal(printed.digits) == Decimal(f"{value:.8f}")


# --- complete ---------------------------------------------------------------------------------------------------


def listed_gradients(worked):
    """The elements of parameter gradients that are printed."""
    params = worked.case.network.params
    return {
        (printed.quantity.name, printed.index)
        for printed in worked.printed
        if printed.quantity.kind == "grad" and printed.quantity.name in params
    }


@pytest.mark.parametrize("key", ["float64", "float32", "dead-side"])
def test_all_31_gradients_of_the_diagonal_flip_are_listed(key):
    worked = WORKED["diagonal-flip", key]
    expected = {(name, index) for name, value in worked.case.params.items() for index in np.ndindex(value.shape)}
    assert len(expected) == 31
    assert listed_gradients(worked) == expected
    assert listed_gradients(replace(worked, printed=worked.printed[1:-5])) != expected


def test_12_of_31_gradients_of_the_diagonal_flip_are_not_zero_and_4_zeros_need_the_dead_side():
    worked = DIAGONAL_FLIP.cases[0]
    zero = {(p.quantity.name, p.index) for p in worked.printed if Decimal(p.digits) == 0} & listed_gradients(worked)
    assert len(zero) == 19
    dead_side = {(p.quantity.name, p.index) for p in worked.printed if "dead side only" in p.where}
    assert dead_side == {("W1", (0, 0)), ("W1", (2, 0)), ("W1", (3, 0)), ("b1", (0,)), ("z1", (0, 0))}


# --- the evidence -----------------------------------------------------------------------------------------------


def test_single_samples_add_up_to_the_batch():
    def gradients(case):
        v = case.values
        a1 = sigmoid(v["x"] @ v["W1"] + v["b1"])
        a2 = sigmoid(a1 @ v["W2"] + v["b2"])
        delta2 = (a2 - v["y"]) * a2 * (1 - a2)
        delta1 = delta2 @ v["W2"].T * a1 * (1 - a1)
        return np.concatenate([(v["x"].T @ delta1).ravel(), delta1.sum(0), (a1.T @ delta2).ravel(), delta2.sum(0)])

    batch = gradients(WORKED["hand-by-hand", "batch"].case)
    singles = [gradients(WORKED["hand-by-hand", f"batch-sample-{number}"].case) for number in (1, 2, 3, 4)]
    assert np.abs(sum(singles) - batch).max() < 1e-15
    assert np.abs(sum(singles[:3]) - batch).max() > 1e-3


def test_the_data_called_xor_are_linearly_separable():
    values = HAND_BY_HAND.cases[0].case.values
    line = values["x"] @ [3, 2] - 1
    assert line.tolist() == [-1, 1, 2, -2]
    assert ((line > 0) == (values["y"][:, 0] == 1)).all()
    xor_x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert not ((xor_x @ [3, 2] - 1 > 0) == [0, 1, 1, 0]).all()


def xor_loss(v, b1):
    A2 = sigmoid(v["W2"] @ np.maximum(v["W1"] @ v["x"] + b1, 0) + v["b2"])
    return -np.mean(v["y"] * np.log(A2) + (1 - v["y"]) * np.log(1 - A2))


@pytest.mark.parametrize(("key", "fails"), [("gradient-check", True), ("gradient-check-off-kink", False)])
def test_central_differences_disagree_only_on_the_kink(key, fails):
    v = WORKED["notebook", key].case.values
    Z1 = v["W1"] @ v["x"] + v["b1"]
    dZ2 = (sigmoid(v["W2"] @ np.maximum(Z1, 0) + v["b2"]) - v["y"]) / 4
    exact = ((v["W2"].T @ dZ2) * (Z1 > 0)).sum(1)
    moves = 1e-5 * np.eye(4)[:, :, None]
    numeric = np.array([(xor_loss(v, v["b1"] + move) - xor_loss(v, v["b1"] - move)) / 2e-5 for move in moves])
    difference = np.linalg.norm(exact - numeric) / (np.linalg.norm(exact) + np.linalg.norm(numeric))
    assert (difference > 0.4) == fails
    assert (difference < 1e-7) == (not fails)


# --- the recorded starts ----------------------------------------------------------------------------------------


def test_numpy_starts_are_what_their_seeds_give():
    # The legacy generator: it is what the notebook uses, and its numbers are frozen.
    drawn = np.random.RandomState(0).rand(9).round(4).tolist()
    assert np.concatenate([np.ravel(START[name]) for name in ("W1", "b1", "W2", "b2")]).tolist() == drawn
    generator = np.random.RandomState(42)
    assert (generator.randn(4, 2) * 0.1).tolist() == NUMPY_SEED_42["W1"]
    assert (generator.randn(1, 4) * 0.1).tolist() == NUMPY_SEED_42["W2"]


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_torch_starts_are_what_their_seeds_give():
    import torch

    def float32(numbers):
        return np.array(numbers, np.float32)

    torch.manual_seed(42)
    assert (float32(TORCH_SEED_42["W1"]) == (torch.randn(4, 2) * 0.1).numpy()).all()
    assert (float32(TORCH_SEED_42["W2"]) == (torch.randn(1, 4) * 0.1).numpy()).all()
    for record, fresh in ((LINEAR_RUN_ORDER, False), (LINEAR_FRESH, True)):
        if fresh:
            torch.manual_seed(42)
        for number, (before, after) in enumerate(((2, 8), (8, 4), (4, 1)), start=1):
            layer = torch.nn.Linear(before, after)
            assert (float32(record[f"W{number}"]) == layer.weight.detach().numpy().T).all()
            assert (float32(record[f"b{number}"]) == layer.bias.detach().numpy()).all()


@pytest.mark.parametrize(
    ("key", "expected"),
    [("gradient-flow", (0.001816, 0.002913, 0.003108)), ("gradient-flow-run-order", (0.002202, 0.001611, 0.001493))],
)
def test_gradient_flow_runs_in_the_direction_that_is_told(key, expected):
    v = {name: array.astype(float) for name, array in WORKED["notebook", key].case.values.items()}
    z1 = v["x"] @ v["W1"] + v["b1"]
    z2 = np.maximum(z1, 0) @ v["W2"] + v["b2"]
    dz3 = (sigmoid(np.maximum(z2, 0) @ v["W3"] + v["b3"]) - v["y"]) / 4
    dz2 = dz3 @ v["W3"].T * (z2 > 0)
    dz1 = dz2 @ v["W2"].T * (z1 > 0)
    gradients = (v["x"].T @ dz1, np.maximum(z1, 0).T @ dz2, np.maximum(z2, 0).T @ dz3)
    assert tuple(round(float(np.abs(gradient).mean()), 6) for gradient in gradients) == expected


def test_the_notebook_marks_its_digits_as_worked_out_by_hand():
    assert all("by hand" in printed.where for worked in NOTEBOOK.cases for printed in worked.printed)
