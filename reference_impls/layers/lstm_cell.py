"""One step of long short-term memory.

    shapes     x (batch, F), state and y (batch, 2 H): [h, c] and [h', c'] side by side
               W_ih (4 H, F), W_hh (4 H, H), b_ih and b_hh (4 H,): i, f, g, o on top of each other
    forward    i, f, g, o = W_ih x + b_ih + W_hh h + b_hh, cut into four;  i, f, o through sigmoid, g through tanh
               c' = f c + i g
               h' = o tanh(c')
    backward   do  = dh' tanh(c')                     through sigmoid: times o (1 - o)
               dC  = dc' + dh' o (1 - tanh(c')²)      what reaches c' in all
               df  = dC c,  di = dC g,  dg = dC i     through sigmoid: times f (1 - f), ...; tanh: times 1 - g²
               dc  = dC f
               [dx, dh, ..] = dz [W_ih, W_hh, ..],  d[W_ih, W_hh, b_ih, b_hh] = dzᵀ [x, h, 1, 1], dz being those four

The order of the gates is torch's, cuDNN's and equinox's; TensorFlow 1 has i, g, f, o, and with another order the same
numbers are another network. Both biases are optional: torch has two, flax and equinox have b_hh or b_ih alone.
With two, each gets the whole gradient, so a step of the optimizer moves their sum twice as far. No kinks.
Hochreiter, Schmidhuber, Long Short-Term Memory (1997); Gers, Schmidhuber, Cummins, Learning to Forget (2000).
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant
from reference_impls.layers._recurrent import (
    by_factors,
    by_square,
    cell_params,
    cell_shape,
    samples_first,
    side_by_side,
    sigmoid,
    taken_apart,
    torch_weights,
    units_like,
    with_ones,
)


def output_shape(inputs, params):
    """(batch, 2 H)."""
    return cell_shape(inputs, params, 4, 2)


def param_shapes(inputs, size):
    """As many units as the state has."""
    return cell_params(inputs, 4, 2)


def step(W, v, c):
    """From v = [x, h, 1, 1] and c: h', c', and what `step_back` needs."""
    H = c.shape[1]
    z = v @ W.T
    i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 3 * H :])
    g = np.tanh(z[:, 2 * H : 3 * H])
    c_new = f * c + i * g
    squashed = np.tanh(c_new)
    return o * squashed, c_new, (i, f, g, o, c, squashed)


def step_back(saved, dh, dc, through_tanh):
    """From dh' and dc': dz of the four gates, and dc."""
    i, f, g, o, c, squashed = saved
    dc = dc + through_tanh(dh * o, squashed)
    di, df, do = dc * g * i * (1 - i), dc * c * f * (1 - f), dh * squashed * o * (1 - o)
    dg = through_tanh(dc * i, g)
    return np.concatenate([di, df, dg, do], axis=1), dc * f


def numpy_forward(p, x, state):
    """Forward: one step."""
    H = p["W_hh"].shape[1]
    v = with_ones(p, x, state[:, :H])
    h, c, saved = step(side_by_side(p), v, state[:, H:])
    return np.concatenate([h, c], axis=1), (v, saved)


def numpy_backward(p, saved, dy, through_tanh=by_square):
    """Backward: the gates, then the product."""
    v, gates = saved
    F, H = p["W_ih"].shape[1], p["W_hh"].shape[1]
    dz, dc = step_back(gates, dy[:, :H], dy[:, H:], through_tanh)
    dv, dW = dz @ side_by_side(p), dz.T @ v
    return (dv[:, :F], np.concatenate([dv[:, F : F + H], dc], axis=1)), taken_apart(p, dW)


def backward_by_factors(p, saved, dy):
    """Backward: tanh' as jax has it."""
    return numpy_backward(p, saved, dy, by_factors)


def torch_forward(torch, p, x, state):
    """What `torch.nn.LSTMCell` calls."""
    h, c = torch.chunk(state, 2, dim=1)
    return torch.cat(torch.lstm_cell(x, (h, c), *torch_weights(torch, p)), dim=1)


def jax_forward(jax, p, x, state):
    """As on paper."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    h, c = jnp.split(state, 2, axis=1)
    z = x @ p["W_ih"].T + h @ p["W_hh"].T
    for bias in ("b_ih", "b_hh"):
        z = z + p[bias] if bias in p else z
    i, f, g, o = jnp.split(z, 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
    return jnp.concatenate([sigmoid(o) * jnp.tanh(c), c], axis=1)


lstm_cell = Operation(
    name="lstm_cell",
    kind="layer",
    summary="c' = f c + i g, h' = o tanh(c'), with gates i, f, g, o of x and h",
    inputs=("x", "state"),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_factors),),
    other_inputs=lambda x: units_like(x, 2),
    param_shapes=param_shapes,
    separable=samples_first,
    mistakes=(
        Mistake(
            "gates_in_another_order", "np.concatenate([di, df, dg, do], axis=1)",
            "np.concatenate([di, df, do, dg], axis=1)", "the gradients stacked as i, f, o, g",
        ),
        Mistake(
            "cell_forgets_output_path", "dc = dc + through_tanh(dh * o, squashed)", "dc = dc + 0 * dh",
            "what h' hands back to c' is left out: only the next step's dc counts",
        ),
        Mistake(
            "slope_of_squashing_forgotten", "dc = dc + through_tanh(dh * o, squashed)", "dc = dc + dh * o",
            "h' = o tanh(c') differentiated as if it were o c'",
        ),
        Mistake(
            "cell_gradient_past_the_gate", "axis=1), dc * f", "axis=1), dc",
            "dc handed on without the forget gate",
        ),
        Mistake(
            "candidate_through_sigmoid", "dg = through_tanh(dc * i, g)", "dg = dc * i * g * (1 - g)",
            "the candidate g is a tanh, differentiated as if it were a sigmoid like its neighbours",
        ),
        Mistake(
            "new_cell_in_forget_gate", "return o * squashed, c_new, (i, f, g, o, c, squashed)",
            "return o * squashed, c_new, (i, f, g, o, c_new, squashed)",
            "df taken with the new cell instead of the old one",
        ),
    ),
)
