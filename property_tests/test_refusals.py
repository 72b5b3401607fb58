"""What cards and implementations refuse: shapes and hyperparameters that do not fit, and lines that a card lacks.

A message is compared as a whole: it says what was needed, what came, why, and where. Beside what a library is said to
refuse, or to get wrong, stands the library doing so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import (
    Case,
    CaseError,
    Network,
    Node,
    NotSupportedError,
    OptimizerSpec,
    Quantity,
    RuleSpec,
    TensorSpec,
)
from property_tests.optimizer_cases import CARDS, NUMPY, TORCH, given, refused, two_parameters
from reference_impls.jax_impl import JaxImplementation
from reference_impls.torch_impl import TorchImplementation

CELL = {"W_ih": (4, 3), "W_hh": (4, 4), "b_ih": (4,), "b_hh": (4,)}
HEADS = {"W_q": (3, 4), "W_k": (3, 4), "W_v": (3, 6), "W_o": (6, 5)}
CONV = "needs W of shape (multiple of"

MISFITS: list[tuple[str, list[tuple[int, ...]], dict[str, tuple[int, ...]], dict[str, Any], str]] = [
    *[
        ("rnn_cell", [x, (2, 4)], CELL | wrong, {}, f"needs a step's x, W_ih and W_hh of two axes, got {came}")
        for x, wrong, came in [
            ((2, 1, 3), {}, "(2, 1, 3), (4, 3) and (4, 4)"),
            ((2, 3), {"W_ih": (4,)}, "(2, 3), (4,) and (4, 4)"),
            ((2, 3), {"W_hh": (4, 4, 1)}, "(2, 3), (4, 3) and (4, 4, 1)"),
        ]
    ],
    *[
        (
            op, inputs, CELL | {role: came}, {},
            f"needs {role} of shape {needed}, got {came}, because a step's x is (2, 3) and W_hh is {W_hh}: "
            f"{gates} gate(s) of 4 unit(s)",
        )
        for op, inputs, gates, role, needed, came, W_hh in [
            ("rnn_cell", [(2, 3), (2, 4)], 1, "W_ih", (4, 3), (4, 2), (4, 4)),
            ("rnn_cell", [(2, 3), (2, 4)], 1, "W_hh", (4, 4), (5, 4), (5, 4)),
            ("rnn", [(2, 7, 3)], 1, "b_ih", (4,), (4, 1), (4, 4)),
            ("rnn", [(2, 7, 3)], 1, "b_hh", (4,), (3,), (4, 4)),
            ("lstm", [(2, 7, 3)], 4, "W_ih", (16, 3), (4, 3), (4, 4)),
        ]
    ],
    *[
        ("gru", [x], CELL, {}, f"needs x of three axes (batch, T, features) and at least one step, got {x}")
        for x in [(2, 3), (2, 0, 3)]
    ],
    *[
        (
            op, [(2, 3, 4), *[(3,)] * statistics], {role: shape}, {},
            f"needs a {role} of shape (3,), one for each channel of x (2, 3, 4), got {shape}",
        )
        for op, statistics in [("batch_norm", 0), ("batch_norm_evaluation", 2), ("group_norm", 0)]
        for role, shape in [("weight", (4,)), ("bias", (3, 1))]
    ],
    *[
        (
            op, [(2, 3, 4)], {role: came}, {"last_axes": axes},
            f"needs a {role} of shape {needed}, as the last {axes} of x (2, 3, 4), got {came}",
        )
        for op, role, axes, needed, came in [
            ("layer_norm", "weight", 1, (4,), (3,)),
            ("layer_norm", "bias", 2, (3, 4), (4,)),
            ("rms_norm", "weight", 1, (4,), (3, 4)),
            ("rms_norm", "weight", 2, (3, 4), (4, 3)),
        ]
    ],
    ("bilinear", [(2, 3), (2, 4)], {"A": (5, 3, 4), "b": (3,)}, {},
     "needs b of shape (5,), because A is (5, 3, 4), got (3,)"),
    ("linear", [(2, 3)], {"W": (5, 3), "b": (3,)}, {}, "needs b of shape (5,), because W is (5, 3), got (3,)"),
    ("conv1d", [(2, 3, 6)], {"W": (5, 3, 2), "b": (3,)}, {},
     "needs b of shape (5,), got (3,), because W is (5, 3, 2)"),
    ("conv2d", [(2, 3, 6, 6)], {"W": (5, 3, 2, 2), "b": (5, 1)}, {},
     "needs b of shape (5,), got (5, 1), because W is (5, 3, 2, 2)"),
    ("conv_transpose2d", [(2, 3, 6, 6)], {"W": (3, 5, 2, 2), "b": (3,)}, {},
     "needs b of shape (5,), got (3,), because W is (3, 5, 2, 2)"),
    *[
        (
            "conv1d", [(2, 4, 6)], {"W": W}, {"groups": groups},
            f"{CONV} {groups}, 4 / {groups}, width), got {W}, because x is (2, 4, 6)",
        )
        for groups, W in [(2, (6, 4, 3)), (2, (5, 2, 3))]
    ],
    ("conv2d", [(2, 4, 6, 6)], {"W": (6, 2, 3, 3)}, {"groups": 2.0},
     "hyperparameter 'groups' needs a whole number, got 2.0"),
    *[
        (
            "dense", [x], {"W": W}, {"layout": layout},
            f"needs x and W of two axes (x of more, where samples are rows), got x {x} and W {W}",
        )
        for x, W, layout in [((3,), (3, 2), "rows"), ((3, 4, 5), (2, 3), "columns"), ((4, 3), (3,), "rows")]
    ],
    *[
        (
            "dense", [(3, 4)], {"W": W}, {"layout": layout},
            f"needs W of shape {needed}, got {W}, because x is (3, 4) and its samples are {layout}",
        )
        for W, needed, layout in [((2, 4), (4, 4), "rows"), ((3, 2), (3, 3), "columns")]
    ],
    *[
        ("embedding", [(2,)], {"W": W}, {}, f"needs W (vocabulary, features) of at least one row, got {W}")
        for W in [(3,), (0, 2)]
    ],
    *[
        ("embedding", [(2,)], {"W": (3, 2)}, {"padding_index": index},
         f"needs a padding index below 3, the rows of W (3, 2), got {index}")
        for index in (3, 7)
    ],
    ("clip", [(2,)], {}, {"low": 0.5, "high": 0.25}, "needs low of at most high, got low 0.5 and high 0.25"),
    *[
        ("hard_tanh", [(2,)], {}, {"min_val": low, "max_val": 0.5},
         f"needs a min_val below max_val, got {low} and 0.5")
        for low in (0.5, 0.75)
    ],
    *[
        (
            "multi_head_attention", [x], HEADS | wrong, {"heads": 2},
            f"needs x (batch, T, D), at least one step, and weights of two axes, got {x} and {HEADS | wrong}",
        )
        for x, wrong in [((2, 3), {}), ((2, 0, 3), {}), ((2, 4, 3), {"W_o": (6,)})]
    ],
    *[
        (
            "multi_head_attention", [(2, 4, 3)], HEADS | {"W_q": W_q}, {"heads": heads},
            f"needs W_q and W_v with a multiple of {heads} columns, W_q with one at least, got {W_q} and (3, 6)",
        )
        for W_q, heads in [((3, 0), 2), ((3, 3), 2), ((3, 4), 4)]
    ],
    *[
        (
            "multi_head_attention", [(2, 4, 3)], HEADS | {role: came}, {"heads": 2},
            f"needs {role} of shape {needed}, got {came}, because x is (2, 4, 3), W_q and W_v are (3, 4) and (3, 6)",
        )
        for role, needed, came in [("W_k", (3, 4), (3, 6)), ("W_o", (6, 5), (5, 5)), ("b_v", (6,), (4,))]
    ],
    ("prelu", [(2, 3)], {"a": (2,)}, {}, "needs a of shape (1,), or (3,) for the channels of x (2, 3), got (2,)"),
    *[
        ("reshape", [(2, 3)], {}, {"shape": shape},
         f"needs a shape of sizes, -1 at most once among them, got {shape}")
        for shape in [(-2, -3), (-1, -1)]
    ],
]  # fmt: skip


@pytest.mark.parametrize(
    ("op", "inputs", "params", "hypers", "says"), MISFITS, ids=[f"{row[0]}-{n}" for n, row in enumerate(MISFITS)]
)
def test_what_does_not_fit_a_card_is_refused_with_its_reason_and_place(op, inputs, params, hypers, says):
    roles = CARDS.operation(op).inputs
    network = Network(
        {
            role: TensorSpec([*shape], "int64" if role in CARDS.operation(op).integers else "case")
            for role, shape in zip(roles, inputs, strict=True)
        },
        params={role: TensorSpec([*shape]) for role, shape in params.items()},
        nodes=[Node("y", op, [*roles], {role: role for role in params}, hypers)],
        loss=[Node("L", "value", ["y"])],
    )
    values = {name: np.zeros(spec.shape, "int64" if spec.dtype == "int64" else float)
              for name, spec in network.tensors().items()}  # fmt: skip
    with pytest.raises(CaseError, match=f"^{re.escape(f'$.network.nodes[0]: {op}: {says}')}$"):
        CARDS.check(Case(network, values))


@pytest.mark.parametrize(
    ("implementation", "card", "line"),
    [
        (TorchImplementation, CARDS.schedules["step_decay"], "torch_scheduler"),
        (TorchImplementation, CARDS.clippings["by_value"], "torch_clip"),
        (JaxImplementation, CARDS.schedules["step_decay"], "optax_schedule"),
        (JaxImplementation, CARDS.clippings["by_value"], "optax_clip"),
    ],
)
def test_a_rule_that_lacks_a_librarys_line_is_refused_by_that_library_alone(implementation, card, line):
    optimizer = OptimizerSpec("sgd", {"lr": 0.5}, RuleSpec("step_decay"), RuleSpec("by_value"))
    case, lacking = given(0, optimizer, "float64", 1, size=2), CARDS.replacing(replace(card, **{line: None}))
    kind = "schedule" if card.name == "step_decay" else "clipping"
    says = f"{implementation.name}: the {kind} {card.name!r} has no {line}"
    with pytest.raises(NotSupportedError, match=f"^{says}$"):
        implementation(cards=lacking).run(case)
    (other,) = {TorchImplementation, JaxImplementation} - {implementation}
    assert other(cards=lacking).run(case).quantities.keys() == NUMPY.run(case).quantities.keys()


def test_a_norm_limited_to_0_is_refused_for_optax_which_then_divides_0_by_0():
    import jax
    import optax

    assert "divides by the norm, 0 / 0" in refused(two_parameters(0.0, 0.0, limit=0.0), JaxImplementation())
    zero = jax.numpy.zeros(1)
    clipped, _ = optax.clip_by_global_norm(0.0).update({"w": zero}, optax.EmptyState())
    assert np.isnan(clipped["w"]).all()
    (clipped,) = CARDS.clippings["by_global_norm"].numpy_clip({"w": np.ones(1)}, limit=0.0, eps=0.0).values()
    assert clipped == 0


def test_nesterov_momentum_with_dampening_is_refused_for_torch_which_refuses_it():
    import torch

    hypers = {"lr": 0.5, "momentum": 0.5, "dampening": 0.25, "nesterov": True}
    case = two_parameters(1.0, -1.0, limit=2.0)
    case = replace(case, optimizer=OptimizerSpec("sgd", hypers))
    assert "torch.optim.SGD refuses Nesterov momentum with dampening" in refused(case, TORCH)
    with pytest.raises(ValueError, match="requires a momentum and zero dampening"):
        torch.optim.SGD([torch.zeros(1)], **hypers)
    for one in ({"momentum": 0.0}, {"dampening": 0.0}, {"nesterov": False}):
        taken = replace(case, optimizer=OptimizerSpec("sgd", hypers | one))
        assert TORCH.run(taken).quantities.keys() == NUMPY.run(taken).quantities.keys()


def test_an_error_in_a_second_derivative_that_is_not_torchs_lack_of_one_is_not_hidden():
    def square_with_a_wrong_second_derivative(torch, p, x):
        class Slope(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return 2 * x

            @staticmethod
            def backward(ctx, dy):
                return 2 * dy[:1].expand(3)

        class Square(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, dy):
                return Slope.apply(*ctx.saved_tensors) * dy

        return Square.apply(x)

    network = Network({"x": TensorSpec([2])}, nodes=[Node("y", "square", ["x"])], loss=[Node("L", "value", ["y"])])
    case, along = Case(network, {"x": [1.0, -3.0]}), {"x": np.array([1.0, 2.0])}
    line = replace(CARDS.operation("square"), torch_forward=square_with_a_wrong_second_derivative)
    wrong = TorchImplementation(cards=CARDS.replacing(line))
    assert wrong.run(case).quantities[Quantity(0, "grad", "x")].tolist() == [2.0, -6.0]
    assert TORCH.hessian_vector(case, along)["x"].tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="returned an invalid gradient at index 0"):
        wrong.hessian_vector(case, along)
