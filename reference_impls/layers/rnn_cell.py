"""One step of a simple (Elman) recurrent network.

    shapes     x (batch, F), h and y (batch, H), W_ih (H, F), W_hh (H, H), b_ih and b_hh (H,)
    forward    h' = phi(W_ih x + b_ih + W_hh h + b_hh)      phi = tanh, or relu
    backward   dz = dh' (1 - h'²), or dh' where z > 0, else 0
               [dx, dh, ..] = dz [W_ih, W_hh, ..],  d[W_ih, W_hh, b_ih, b_hh] = dzᵀ [x, h, 1, 1]

Both biases are optional: torch has two, most others one. Kink, with relu: z = 0, where all three take slope 0.
Elman, Finding structure in time, Cognitive Science 14 (1990).
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.layers._recurrent import (
    by_factors,
    by_square,
    cell_params,
    cell_shape,
    samples_first,
    side_by_side,
    taken_apart,
    torch_weights,
    units_like,
    with_ones,
)

NONLINEARITY = HyperSpec(default="tanh", choices=("tanh", "relu"), meaning="what phi is")


def output_shape(inputs, params, *, nonlinearity):
    """(batch, H)."""
    return cell_shape(inputs, params, 1)


def param_shapes(inputs, size, *, nonlinearity):
    """As many units as the state has."""
    return cell_params(inputs, 1)


def step(W, v, nonlinearity):
    """From v = [x, h, 1, 1]: h', and what `step_back` needs."""
    z = v @ W.T
    if nonlinearity == "relu":
        alive = z > 0
        return np.maximum(z, 0), alive
    h = np.tanh(z)
    return h, h


def step_back(saved, dh, nonlinearity, through_tanh):
    """From dh': dz."""
    return np.where(saved, dh, 0) if nonlinearity == "relu" else through_tanh(dh, saved)


def numpy_forward(p, x, h, *, nonlinearity):
    """Forward: one step."""
    v = with_ones(p, x, h)
    h, saved = step(side_by_side(p), v, nonlinearity)
    return h, (v, saved)


def numpy_backward(p, saved, dy, *, nonlinearity, through_tanh=by_square):
    """Backward: the nonlinearity, then the product."""
    v, taken = saved
    F, H = p["W_ih"].shape[1], p["W_hh"].shape[1]
    dz = step_back(taken, dy, nonlinearity, through_tanh)
    dv, dW = dz @ side_by_side(p), dz.T @ v
    return (dv[:, :F], dv[:, F : F + H]), taken_apart(p, dW)


def backward_by_factors(p, saved, dy, *, nonlinearity):
    """Backward: tanh' as jax has it."""
    return numpy_backward(p, saved, dy, nonlinearity=nonlinearity, through_tanh=by_factors)


def torch_forward(torch, p, x, h, *, nonlinearity):
    """What `torch.nn.RNNCell` calls."""
    cell = torch.rnn_relu_cell if nonlinearity == "relu" else torch.rnn_tanh_cell
    return cell(x, h, *torch_weights(torch, p))


def jax_forward(jax, p, x, h, *, nonlinearity):
    """As on paper."""
    phi = jax.nn.relu if nonlinearity == "relu" else jax.numpy.tanh
    z = x @ p["W_ih"].T + h @ p["W_hh"].T
    for bias in ("b_ih", "b_hh"):
        z = z + p[bias] if bias in p else z
    return phi(z)


rnn_cell = Operation(
    name="rnn_cell",
    kind="layer",
    summary="h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu",
    inputs=("x", "h"),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
    hypers={"nonlinearity": NONLINEARITY},
    kinks=("z = 0, with relu",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_factors),),
    other_inputs=lambda x: units_like(x, 1),
    param_shapes=param_shapes,
    separable=samples_first,
    mistakes=(
        Mistake("slope_of_preactivation", "return h, h", "return h, z", "1 - z² instead of 1 - tanh(z)²"),
        Mistake(
            "weights_exchanged", "dv[:, F : F + H]), taken_apart", 'dz @ p["W_hh"].T), taken_apart',
            "dh = dz W_hhᵀ: the recurrent weights are square, so every shape still fits",
        ),
        Mistake(
            "relu_gate_forgotten", "return np.where(saved, dh, 0) if", "return dh if",
            "the gradient passes through dead units",
        ),
    ),
)
