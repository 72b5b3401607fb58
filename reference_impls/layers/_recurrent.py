"""What the recurrent cards share: the shapes of their parameters, products with the biases inside, slopes.

A cell computes W_ih x + b_ih + W_hh h + b_hh. It is written here as one product, with a column of ones for each bias,

    [x, h, 1, 1] [W_ih, W_hh, b_ih, b_hh]ᵀ

so that its rounding bound holds for a bias that is added first, last, or inside a fused product, and for any order.
"""

import numpy as np

from harness.spec import Misfit

WEIGHTS = ("W_ih", "W_hh")
BIASES = ("b_ih", "b_hh")


def checked(x, params, gates):
    """The batch size and the number of units, for steps of shape x (batch, features); raises `Misfit`."""
    W_ih, W_hh = params["W_ih"], params["W_hh"]
    if len(x) != 2 or len(W_ih) != 2 or len(W_hh) != 2:
        raise Misfit(f"needs a step's x, W_ih and W_hh of two axes, got {x}, {W_ih} and {W_hh}")
    needed = shapes(x[1], W_hh[1], gates)
    for role in params:
        if params[role] != needed[role]:
            raise Misfit(
                f"needs {role} of shape {needed[role]}, got {params[role]}, because a step's x is {x} and W_hh is "
                f"{W_hh}: {gates} gate(s) of {W_hh[1]} unit(s)"
            )
    return x[0], W_hh[1]


def cell_shape(inputs, params, gates, width=1):
    """The shape of a cell's state, `width` numbers for each unit; raises `Misfit`."""
    x, state = inputs
    batch, units = checked(x, params, gates)
    if state != (batch, width * units):
        raise Misfit(f"needs a state of shape {(batch, width * units)}, got {state}, as x is {x} and there are {units} "
                     f"unit(s), {width} number(s) for each")  # fmt: skip
    return state


def cell_params(inputs, gates, width=1):
    """Parameters for as many units as the state has."""
    x, state = inputs
    if len(x) != 2 or len(state) != 2 or state[1] % width:
        raise Misfit(f"needs x (batch, features) and a state (batch, {width} H), got {x} and {state}")
    return shapes(x[1], state[1] // width, gates)


def sequence_shape(inputs, params, gates):
    """(batch, T, H); raises `Misfit`."""
    x = inputs[0]
    if len(x) != 3 or not x[1]:
        raise Misfit(f"needs x of three axes (batch, T, features) and at least one step, got {x}")
    batch, units = checked((x[0], x[2]), params, gates)
    return (batch, x[1], units)


def steps(inputs):
    """T: a sequence uses its weights so often."""
    return inputs[0][1]


def sequence_params(inputs, units, gates):
    """Parameters for so many units; generated sequences have two steps at least, as one step is a cell."""
    x = inputs[0]
    if len(x) != 3 or x[1] < 2:
        raise Misfit(f"needs x of three axes (batch, T, features) with T of 2 or more, got {x}")
    return shapes(x[2], units, gates)


def shapes(features, units, gates):
    """The shapes of all parameters."""
    rows = gates * units
    return {"W_ih": (rows, features), "W_hh": (rows, units), "b_ih": (rows,), "b_hh": (rows,)}


def units_like(x, units):
    """So many units for every sample of x (batch, features), where nothing says how many: one to three."""
    return [((x[0], count * units),) for count in (1, 2, 3)] if len(x) == 2 else []


def samples_first(axis, **hypers):
    """The `separable` of all of them: samples lie along the first axis."""
    return axis == 0


def sigmoid(z):
    """1 / (1 + e^-z); its slope is y (1 - y)."""
    return 1 / (1 + np.exp(-z))


def by_square(dy, y):
    """Back through y = tanh(x): dy (1 - y²)."""
    return dy * (1 - np.square(y))


def by_factors(dy, y):
    """The same as jax multiplies it out."""
    u = dy * (1 - y)
    return u + u * y


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


def with_one(p, x, bias):
    """[x, 1], where there is this bias."""
    return np.concatenate([x, np.ones_like(x[:, :1])], axis=1) if bias in p else x


def with_bias(p, weight, bias):
    """[W, b], where there is this bias."""
    return np.concatenate([p[weight], p[bias].reshape(-1, 1)], axis=1) if bias in p else p[weight]


def taken_apart_by_side(p, into_x, into_h, x, h, seen):
    """By role, for a last third of W_hh that saw something else than h: the products with [x, 1] and [h, 1]."""
    features, units = p["W_ih"].shape[1], p["W_hh"].shape[1]
    dW = into_x.T @ x
    dU = np.concatenate([into_h[:, : 2 * units].T @ h, into_h[:, 2 * units :].T @ seen], axis=0)
    biases = {"b_ih": dW[:, -1], "b_hh": dU[:, -1]}
    return {"W_ih": dW[:, :features], "W_hh": dU[:, :units]} | {role: biases[role] for role in BIASES if role in p}


def torch_weights(torch, p):
    """The weights as torch wants them: both biases or none."""
    if not any(role in p for role in BIASES):
        return [p["W_ih"], p["W_hh"]]
    zeros = torch.zeros_like(p["W_ih"][:, 0])
    return [p["W_ih"], p["W_hh"], p.get("b_ih", zeros), p.get("b_hh", zeros)]
