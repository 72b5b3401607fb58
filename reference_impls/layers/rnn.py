"""A simple (Elman) recurrent network over a sequence, with backpropagation through time.

    shapes     x (batch, T, F): torch's `batch_first`; y (batch, T, H): every h;
               W_ih (H, F), W_hh (H, H), b_ih and b_hh (H,), as in `rnn_cell`, whose steps these are
    forward    h_0 = 0;  for t = 1 .. T:  z_t = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh, h_t = phi(z_t);  y = h_1 .. h_T
    backward   for t = T .. 1:  dz_t = (dy_t + W_hhᵀ dz_(t+1)) phi'(z_t), dx_t = dz_t W_ih
               d[W_ih, W_hh, b_ih, b_hh] = sum over t of dz_tᵀ [x_t, h_(t-1), 1, 1]

phi is tanh or relu. Biases are optional. Kink, with relu: z = 0, where all three take slope 0.
The rounding of T steps adds up inside this one operation, and its worst case grows exponentially: with 32 units, hardly
a gradient is held to anything from 16 steps on in float32, or from 64 on in float64 (such passes count as vacuous). A
network of `rnn_cell`s that share their parameters is the same function, and judged sharply at any length.
Werbos, Backpropagation through time: what it does and how to do it, Proceedings of the IEEE 78 (1990).
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant
from reference_impls.layers._recurrent import (
    by_factors,
    by_square,
    samples_first,
    sequence_params,
    sequence_shape,
    side_by_side,
    steps,
    taken_apart,
    torch_weights,
    with_ones,
)
from reference_impls.layers.rnn_cell import NONLINEARITY, step, step_back


def output_shape(inputs, params, *, nonlinearity):
    """(batch, T, H)."""
    return sequence_shape(inputs, params, 1)


def param_shapes(inputs, size, *, nonlinearity):
    """So many units."""
    return sequence_params(inputs, size, 1)


def numpy_forward(p, x, *, nonlinearity):
    """Forward: step by step."""
    W = side_by_side(p)
    h = np.zeros((x.shape[0], p["W_hh"].shape[1]), x.dtype)
    hs, vs, taken = [], [], []
    for t in range(x.shape[1]):
        v = with_ones(p, x[:, t], h)
        h, saved = step(W, v, nonlinearity)
        hs, vs, taken = [*hs, h], [*vs, v], [*taken, saved]
    return np.stack(hs, axis=1), (vs, taken)


def numpy_backward(p, saved, dy, *, nonlinearity, through_tanh=by_square):
    """Backward: the steps in reverse, then the weights' gradient over all steps at once."""
    vs, taken = saved
    W, F, H = side_by_side(p), p["W_ih"].shape[1], p["W_hh"].shape[1]
    dh = np.zeros_like(dy[:, 0])
    dzs, dxs = [], []
    for t in reversed(range(len(vs))):
        dz = step_back(taken[t], dy[:, t] + dh, nonlinearity, through_tanh)
        dv = dz @ W
        dh = dv[:, F : F + H]
        dzs, dxs = [dz, *dzs], [dv[:, :F], *dxs]
    dW = np.concatenate(dzs, axis=0).T @ np.concatenate(vs, axis=0)
    return (np.stack(dxs, axis=1),), taken_apart(p, dW)


def backward_by_factors(p, saved, dy, *, nonlinearity):
    """Backward: tanh' as jax has it."""
    return numpy_backward(p, saved, dy, nonlinearity=nonlinearity, through_tanh=by_factors)


def torch_forward(torch, p, x, *, nonlinearity):
    """What `torch.nn.RNN` calls, with batch_first and one layer."""
    zeros = x.new_zeros(1, x.shape[0], p["W_hh"].shape[1])
    weights = torch_weights(torch, p)
    run = torch.rnn_relu if nonlinearity == "relu" else torch.rnn_tanh
    return run(x, zeros, weights, len(weights) == 4, 1, 0.0, True, False, True)[0]


def jax_forward(jax, p, x, *, nonlinearity):
    """A scan over time, which is the second axis here and has to come first there."""
    phi = jax.nn.relu if nonlinearity == "relu" else jax.numpy.tanh

    def advance(h, x_t):
        z = x_t @ p["W_ih"].T + h @ p["W_hh"].T
        for bias in ("b_ih", "b_hh"):
            z = z + p[bias] if bias in p else z
        h = phi(z)
        return h, h

    zeros = jax.numpy.zeros((x.shape[0], p["W_hh"].shape[1]), x.dtype)
    return jax.lax.scan(advance, zeros, x.swapaxes(0, 1))[1].swapaxes(0, 1)


rnn = Operation(
    name="rnn",
    kind="layer",
    summary="rnn_cell over a sequence (batch, T, features): all hidden states",
    inputs=("x",),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
    hypers={"nonlinearity": NONLINEARITY},
    kinks=("z = 0, with relu",),
    parts={"W_hh": steps, "b_hh": steps},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_factors),),
    axes=(3,),
    param_shapes=param_shapes,
    separable=samples_first,
    mistakes=(
        Mistake(
            "no_time", "step_back(taken[t], dy[:, t] + dh, nonlinearity, through_tanh)",
            "step_back(taken[t], dy[:, t], nonlinearity, through_tanh)",
            "every step differentiated by itself: nothing is handed back through time",
        ),
        Mistake(
            "only_last_output", "step_back(taken[t], dy[:, t] + dh, nonlinearity, through_tanh)",
            "step_back(taken[t], (dy[:, t] if t == len(vs) - 1 else 0) + dh, nonlinearity, through_tanh)",
            "only the last hidden state's gradient enters, though every hidden state was handed out",
        ),
        Mistake(
            "untransposed_recurrent_weight", "dh = dv[:, F : F + H]", 'dh = dz @ p["W_hh"].T',
            "the recurrent weights are square, so every shape still fits",
        ),
        Mistake(
            "weights_of_one_step", "np.concatenate(dzs, axis=0).T @ np.concatenate(vs, axis=0)", "dzs[0].T @ vs[0]",
            "the weights' gradient is overwritten in every step, not added up",
        ),
        Mistake(
            "step_off_by_one", "np.concatenate(dzs, axis=0).T @ np.concatenate(vs, axis=0)",
            "np.concatenate(dzs, axis=0).T @ np.concatenate([*vs[1:], vs[0]], axis=0)",
            "dW_hh = sum of dz_tᵀ h_t instead of dz_tᵀ h_(t-1)",
        ),
    ),
)
