"""Long short-term memory over a sequence, with backpropagation through time.

    shapes     x (batch, T, F): torch's `batch_first`; y (batch, T, H): every h; W_ih (4 H, F), W_hh (4 H, H),
               b_ih and b_hh (4 H,): gates in the order i, f, g, o, as in `lstm_cell`, whose steps these are
    forward    h_0 = c_0 = 0;  for t = 1 .. T:  h_t, c_t = lstm_cell(x_t, h_(t-1), c_(t-1));  y = h_1 .. h_T
    backward   for t = T .. 1:  dh_t = dy_t + what step t+1 hands back, dc_t = what step t+1 hands back
               dz_t as in `lstm_cell`, dx_t = dz_t W_ih, dh_(t-1) = dz_t W_hh, dc_(t-1) = dC_t f_t
               d[W_ih, W_hh, b_ih, b_hh] = sum over t of dz_tᵀ [x_t, h_(t-1), 1, 1]

Biases are optional, as in the cell. No kinks.
The rounding of T steps adds up inside this one operation, and its worst case grows exponentially: with 32 units, hardly
a gradient is held to anything from 16 steps on in float32, or from 64 on in float64 (such passes count as vacuous). A
network of `lstm_cell`s that share their parameters is the same function, and judged sharply at any length.
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
from reference_impls.layers.lstm_cell import step, step_back


def output_shape(inputs, params):
    """(batch, T, H)."""
    return sequence_shape(inputs, params, 4)


def param_shapes(inputs, size):
    """So many units."""
    return sequence_params(inputs, size, 4)


def numpy_forward(p, x):
    """Forward: step by step."""
    W = side_by_side(p)
    h = c = np.zeros((x.shape[0], p["W_hh"].shape[1]), x.dtype)
    hs, vs, gates = [], [], []
    for t in range(x.shape[1]):
        v = with_ones(p, x[:, t], h)
        h, c, saved = step(W, v, c)
        hs, vs, gates = [*hs, h], [*vs, v], [*gates, saved]
    return np.stack(hs, axis=1), (vs, gates)


def numpy_backward(p, saved, dy, through_tanh=by_square):
    """Backward: the steps in reverse, then the weights' gradient over all steps at once."""
    vs, gates = saved
    W, F, H = side_by_side(p), p["W_ih"].shape[1], p["W_hh"].shape[1]
    dh = dc = np.zeros_like(dy[:, 0])
    dzs, dxs = [], []
    for t in reversed(range(len(gates))):
        dz, dc = step_back(gates[t], dy[:, t] + dh, dc, through_tanh)
        dv = dz @ W
        dh = dv[:, F : F + H]
        dzs, dxs = [dz, *dzs], [dv[:, :F], *dxs]
    dW = np.concatenate(dzs, axis=0).T @ np.concatenate(vs, axis=0)
    return (np.stack(dxs, axis=1),), taken_apart(p, dW)


def backward_by_factors(p, saved, dy):
    """Backward: tanh' as jax has it."""
    return numpy_backward(p, saved, dy, by_factors)


def torch_forward(torch, p, x):
    """What `torch.nn.LSTM` calls, with batch_first and one layer."""
    zeros = x.new_zeros(1, x.shape[0], p["W_hh"].shape[1])
    weights = torch_weights(torch, p)
    return torch.lstm(x, (zeros, zeros), weights, len(weights) == 4, 1, 0.0, True, False, True)[0]


def jax_forward(jax, p, x):
    """A scan over time, which is the second axis here and has to come first there."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid

    def advance(state, x_t):
        h, c = state
        z = x_t @ p["W_ih"].T + h @ p["W_hh"].T
        for bias in ("b_ih", "b_hh"):
            z = z + p[bias] if bias in p else z
        i, f, g, o = jnp.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[0], p["W_hh"].shape[1]), x.dtype)
    return jax.lax.scan(advance, (zeros, zeros), x.swapaxes(0, 1))[1].swapaxes(0, 1)


lstm = Operation(
    name="lstm",
    kind="layer",
    summary="lstm_cell over a sequence (batch, T, features): all hidden states",
    inputs=("x",),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
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
            "no_time", "step_back(gates[t], dy[:, t] + dh, dc, through_tanh)",
            "step_back(gates[t], dy[:, t], 0 * dc, through_tanh)",
            "every step differentiated by itself: nothing is handed back through time",
        ),
        Mistake(
            "cell_not_carried", "step_back(gates[t], dy[:, t] + dh, dc, through_tanh)",
            "step_back(gates[t], dy[:, t] + dh, 0 * dc, through_tanh)",
            "dh is handed back in time, dc is not",
        ),
        Mistake(
            "only_last_output", "step_back(gates[t], dy[:, t] + dh, dc, through_tanh)",
            "step_back(gates[t], (dy[:, t] if t == len(gates) - 1 else 0) + dh, dc, through_tanh)",
            "only the last hidden state's gradient enters, though every hidden state was handed out",
        ),
        Mistake(
            "weights_of_one_step", "np.concatenate(dzs, axis=0).T @ np.concatenate(vs, axis=0)", "dzs[0].T @ vs[0]",
            "the weights' gradient is overwritten in every step, not added up",
        ),
        Mistake(
            "gradients_in_reverse", "[dz, *dzs], [dv[:, :F], *dxs]", "[dz, *dzs], [*dxs, dv[:, :F]]",
            "dx left in the order in which it was computed: last step first",
        ),
    ),
)
