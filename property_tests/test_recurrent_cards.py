"""Recurrent cards: sequences are their cells in a row, torch's modules are the cards, and where bounds stay sharp."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.campaign.card_check import finding_of
from harness.judge.judge import judge
from harness.judge.oracle import exact_step
from harness.mutants import card_mutants, mutated_cards
from reference_impls.numpy_impl import NumpyImplementation
from reference_impls.torch_impl import TorchImplementation

CARDS = installed_cards()
BATCH, T, FEATURES, UNITS = 2, 3, 2, 3
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
KINDS = [
    ("rnn", {}),
    ("rnn", {"nonlinearity": "relu"}),
    ("lstm", {}),
    ("gru", {"reset_after": True}),
    ("gru", {"reset_after": False}),
]
WEIGHTS = ("W_ih", "W_hh", "b_ih", "b_hh")
PASSES = {"exact", "rounding"}


def numbers(op, steps=T, batch=BATCH, features=FEATURES, units=UNITS, seed=0):
    """A sequence, weights as torch draws them, and the upstream gradient of every hidden state."""
    rng = np.random.default_rng(seed)
    rows, limit = GATES[op] * units, 1 / np.sqrt(units)
    shapes = {"W_ih": (rows, features), "W_hh": (rows, units), "b_ih": (rows,), "b_hh": (rows,)}
    weights = {role: rng.uniform(-limit, limit, shape) for role, shape in shapes.items()}
    return rng.normal(size=(batch, steps, features)), rng.normal(size=(batch, steps, units)), weights


def as_sequence(op, hypers, x, upstream, weights, dtype="float64"):
    """One node over all steps."""
    return Case(
        Network(
            {"x": TensorSpec(list(x.shape))},
            {"u": TensorSpec(list(upstream.shape))},
            {role: TensorSpec(list(array.shape)) for role, array in weights.items()},
            [Node("h", op, ["x"], {role: role for role in weights}, hypers), Node("s", "multiply", ["h", "u"])],
            [Node("L", "value", ["s"])],
        ),
        {"x": x, "u": upstream, **weights},
        dtype,
    )


def as_cells(op, hypers, x, upstream, weights, dtype="float64"):
    """A node for every step, with parameters shared."""
    batch, steps, features = x.shape
    units, width = upstream.shape[2], 2 if op == "lstm" else 1
    # Of a state [h, c] only h is handed out.
    gates = np.concatenate([upstream, np.zeros((batch, steps, (width - 1) * units))], axis=2)
    inputs = {f"x{t}": TensorSpec([batch, features]) for t in range(steps)}
    constants = {f"u{t}": TensorSpec([batch, width * units]) for t in range(steps)}
    constants["h0"] = TensorSpec([batch, width * units])
    roles = {role: role for role in weights}
    nodes = []
    for t in range(steps):
        nodes.append(Node(f"h{t + 1}", f"{op}_cell", [f"x{t}", f"h{t}"], roles, hypers))
        nodes.append(Node(f"s{t}", "multiply", [f"h{t + 1}", f"u{t}"]))
    values = {"h0": np.zeros((batch, width * units)), **weights}
    values |= {f"x{t}": x[:, t] for t in range(steps)} | {f"u{t}": gates[:, t] for t in range(steps)}
    params = {role: TensorSpec(list(array.shape)) for role, array in weights.items()}
    loss = [Node(f"L{t}", "value", [f"s{t}"]) for t in range(steps)]
    return Case(Network(inputs, constants, params, nodes, loss), values, dtype)


def apart(one, other):
    """Whether two results, known to within their radii, cannot be the same."""
    gap = (one - other).mid()
    return bool((np.abs(gap) > one.radius() + other.radius()).any())


def differences(op, hypers, cards=CARDS):
    """Where a sequence is not its cells in a row: names of values and gradients."""
    x, upstream, weights = numbers(op)
    whole = as_sequence(op, hypers, x, upstream, weights)
    steps = as_cells(op, hypers, x, upstream, weights)
    one = exact_step(whole.network, CARDS, whole.values)
    other = exact_step(steps.network, cards, steps.values)
    found = [role for role in weights if apart(one.grads[role], other.grads[role])]
    found += [f"x{t}" for t in range(T) if apart(one.grads["x"][:, t], other.grads[f"x{t}"])]
    return found + [f"h{t}" for t in range(T) if apart(one.values["h"][:, t], other.values[f"h{t + 1}"][:, :UNITS])]


@pytest.mark.parametrize(("op", "hypers"), KINDS)
def test_a_sequence_is_its_cells_in_a_row(op, hypers):
    assert differences(op, hypers) == []


def test_a_sequence_is_not_the_cells_of_a_wrong_cell():
    (mutant,) = (one for one in card_mutants(CARDS) if one.name == "gru_cell_update_gate_inverted")
    assert "h0" in differences("gru", {}, mutated_cards(mutant, CARDS))


def test_one_step_is_a_sequence():
    for op, hypers in KINDS:
        case = as_sequence(op, hypers, *numbers(op, steps=1))
        for name in ("numpy", "torch", "jax"):
            expected = {"not implemented"} if name == "torch" and hypers.get("reset_after") is False else PASSES
            assert finding_of(case, CARDS, implementation(name)).verdict in expected, (op, name)


def as_module(op, hypers):
    """The card with the line of somebody who uses torch's modules."""
    told = hypers if op == "rnn" else {}

    def run(torch, p, x, **_):
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[op]
        module = kind(x.shape[2], p["W_hh"].shape[1], batch_first=True, dtype=x.dtype, **told)
        given = {f"{role.replace('W', 'weight').replace('b', 'bias', 1)}_l0": p[role] for role in WEIGHTS}
        return torch.func.functional_call(module, given, (x,))[0]

    return replace(CARDS.operation(op), torch_forward=run)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("op", "hypers"), [kind for kind in KINDS if kind[1].get("reset_after", True)])
def test_the_modules_of_torch_are_the_cards(op, hypers, dtype):
    case = as_sequence(op, hypers, *numbers(op), dtype)
    module = TorchImplementation(cards=CARDS.replacing(as_module(op, hypers)))
    assert finding_of(case, CARDS, module).verdict in PASSES


def test_another_order_of_gates_is_another_network():
    x, upstream, weights = numbers("lstm")

    def reordered(torch, p, x):
        return CARDS.operation("lstm").torch_forward(
            torch, {role: torch.cat([*torch.chunk(w, 4)[:2], *torch.chunk(w, 4)[:1:-1]]) for role, w in p.items()}, x
        )

    wrong = TorchImplementation(cards=CARDS.replacing(replace(CARDS.operation("lstm"), torch_forward=reordered)))
    case = as_sequence("lstm", {}, x, upstream, weights)
    assert finding_of(case, CARDS, wrong).verdict == "mismatch"


def blind(case):
    """How many gradient elements would have passed whatever their size."""
    judged = judge(case, CARDS, NumpyImplementation(cards=CARDS).run(case))
    return sum(int(judged.vacuous(quantity).sum()) for quantity in judged.comparisons if quantity.kind == "grad")


def test_cells_are_judged_sharply_where_a_long_sequence_is_not():
    given = numbers("rnn", steps=16, batch=2, features=4, units=8)
    assert 20 * blind(as_cells("rnn", {}, *given, "float32")) < blind(as_sequence("rnn", {}, *given, "float32"))
