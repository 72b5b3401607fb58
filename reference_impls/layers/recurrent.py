"""What the recurrent cards share: the shapes of their parameters, and inner products with the biases inside.

A cell computes W_ih x + b_ih + W_hh h + b_hh. It is written here as one product, with a column of ones for each bias:

    [x, h, 1, 1] [W_ih, W_hh, b_ih, b_hh]ᵀ

so that its rounding bound holds for a bias that is added first, last, or inside a fused product, and for any order.
"""

import numpy as np

from harness.spec import Misfit

WEIGHTS = ("W_ih", "W_hh")
BIASES = ("b_ih", "b_hh")


def checked(x, params, gates):
    """The batch size and the number of units, with x as one step's shape; raises `Misfit`."""
    W_ih, W_hh = params["W_ih"], params["W_hh"]
    if len(x) != 2 or len(W_ih) != 2 or len(W_hh) != 2:
        raise Misfit(f"needs W_ih and W_hh of two axes, got {W_ih} and {W_hh}, for a step's x of shape {x}")
    units = W_hh[1]
    for role, shape in {
        "W_ih": (gates * units, x[1]),
        "W_hh": (gates * units, units),
        **{role: (gates * units,) for role in BIASES if role in params},
    }.items():
        if params[role] != shape:
            raise Misfit(
                f"needs {role} of shape {shape}, got {params[role]}, because a step's x is {x} and W_hh is {W_hh}: "
                f"{gates} gate(s) of {units} unit(s)"
            )
    return x[0], units


def shapes(features, units, gates):
    """The shapes of all parameters."""
    rows = gates * units
    return {"W_ih": (rows, features), "W_hh": (rows, units), "b_ih": (rows,), "b_hh": (rows,)}


def with_ones(p, x, h):
    """[x, h, 1, 1]: a column of ones for each bias that there is."""
    return np.concatenate([x, h, *(np.ones_like(h[:, :1]) for role in BIASES if role in p)], axis=1)


def side_by_side(p):
    """[W_ih, W_hh, b_ih, b_hh], with those biases that there are."""
    return np.concatenate([p["W_ih"], p["W_hh"], *(p[role].reshape(-1, 1) for role in BIASES if role in p)], axis=1)


def taken_apart(p, dW):
    """The gradient of `side_by_side`, by role."""
    features, units = p["W_ih"].shape[1], p["W_hh"].shape[1]
    grads = {"W_ih": dW[:, :features], "W_hh": dW[:, features : features + units]}
    there = [role for role in BIASES if role in p]
    return grads | {role: dW[:, features + units + number] for number, role in enumerate(there)}


def torch_weights(torch, p):
    """The weights as torch wants them: both biases or none."""
    if not any(role in p for role in BIASES):
        return [p["W_ih"], p["W_hh"]]
    zeros = torch.zeros_like(p["W_ih"][:, 0])
    return [p["W_ih"], p["W_hh"], p.get("b_ih", zeros), p.get("b_hh", zeros)]
