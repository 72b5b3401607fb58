"""A gated recurrent unit over a sequence, with backpropagation through time.

    shapes     x (batch, T, F): torch's `batch_first`; y (batch, T, H): every h; W_ih (3 H, F), W_hh (3 H, H),
               b_ih and b_hh (3 H,): r, z, n on top of each other, as in `gru_cell`, whose steps these are
    forward    h_0 = 0;  for t = 1 .. T:  h_t = gru_cell(x_t, h_(t-1));  y = h_1 .. h_T
    backward   for t = T .. 1:  dh_t = dy_t + what step t+1 hands back, and the rest as in `gru_cell`
               the weights' gradients are sums over t

`reset_after` as in `gru_cell`: torch has no other than True. Biases are optional. No kinks.
The rounding of T steps adds up inside this one operation, and its worst case grows exponentially: with 32 units, hardly
a gradient is held to anything from 16 steps on in float32, or from 64 on in float64 (such passes count as vacuous). A
network of `gru_cell`s that share their parameters is the same function, and judged sharply at any length.
Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014); documentation of `torch.nn.GRU`.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import Mistake, Operation, Variant
from reference_impls.layers._recurrent import (
    samples_first,
    sequence_params,
    sequence_shape,
    steps,
    taken_apart_by_side,
    torch_weights,
    with_one,
)
from reference_impls.layers.gru_cell import RESET_AFTER, step, step_back, weights
from reference_impls.layers.gru_cell import jax_forward as cell


def output_shape(inputs, params, *, reset_after):
    """(batch, T, H)."""
    return sequence_shape(inputs, params, 3)


def param_shapes(inputs, size, *, reset_after):
    """So many units."""
    return sequence_params(inputs, size, 3)


def numpy_forward(p, x, *, reset_after, fused=False):
    """Forward: step by step."""
    W, U = weights(p)
    H = p["W_hh"].shape[1]
    h = np.zeros((x.shape[0], H), x.dtype)
    hs, saved = [], []
    for t in range(x.shape[1]):
        h, kept = step(W, U, with_one(p, x[:, t], "b_ih"), with_one(p, h, "b_hh"), reset_after, H, fused)
        hs, saved = [*hs, h], [*saved, kept]
    return np.stack(hs, axis=1), saved


def numpy_backward(p, saved, dy, *, reset_after, apart=False):
    """Backward: the steps in reverse, then the weights' gradients over all steps at once."""
    U = weights(p)[1]
    dh = np.zeros_like(dy[:, 0])
    into_xs, into_hs = [], []
    for t in reversed(range(len(saved))):
        into_x, into_h, dh = step_back(U, saved[t], dy[:, t] + dh, reset_after, apart)
        into_xs, into_hs = [into_x, *into_xs], [into_h, *into_hs]
    rows = [np.concatenate(parts, axis=0) for parts in (into_xs, into_hs, *list(zip(*saved, strict=True))[:3])]
    dx = (rows[0] @ p["W_ih"]).reshape(len(saved), dy.shape[0], p["W_ih"].shape[1])
    return (np.swapaxes(dx, 0, 1),), taken_apart_by_side(p, *rows)


def forward_fused(p, x, *, reset_after):
    """Forward: h' = n + z (h - n), as torch has it."""
    return numpy_forward(p, x, reset_after=reset_after, fused=True)


def backward_apart(p, saved, dy, *, reset_after):
    """Backward: every product differentiated by itself, and tanh' as jax has it."""
    return numpy_backward(p, saved, dy, reset_after=reset_after, apart=True)


def torch_forward(torch, p, x, *, reset_after):
    """What `torch.nn.GRU` calls, with batch_first and one layer."""
    if not reset_after:
        raise NotSupportedError("torch: its GRU resets after the product with W_hn, and has no other")
    zeros = x.new_zeros(1, x.shape[0], p["W_hh"].shape[1])
    flat = torch_weights(torch, p)
    return torch.gru(x, zeros, flat, len(flat) == 4, 1, 0.0, True, False, True)[0]


def jax_forward(jax, p, x, *, reset_after):
    """A scan over time, which is the second axis here and has to come first there."""
    def advance(h, x_t):
        h = cell(jax, p, x_t, h, reset_after=reset_after)
        return h, h

    zeros = jax.numpy.zeros((x.shape[0], p["W_hh"].shape[1]), x.dtype)
    return jax.lax.scan(advance, zeros, x.swapaxes(0, 1))[1].swapaxes(0, 1)


gru = Operation(
    name="gru",
    kind="layer",
    summary="gru_cell over a sequence (batch, T, features): all hidden states",
    inputs=("x",),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
    hypers={"reset_after": RESET_AFTER},
    parts={"W_hh": steps, "b_hh": steps},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_fused),
        Variant(who="jax", numpy_backward=backward_apart),
    ),
    axes=(3,),
    param_shapes=param_shapes,
    separable=samples_first,
    mistakes=(
        Mistake(
            "no_time", "step_back(U, saved[t], dy[:, t] + dh, reset_after, apart)",
            "step_back(U, saved[t], dy[:, t], reset_after, apart)",
            "every step differentiated by itself: nothing is handed back through time",
        ),
        Mistake(
            "only_last_output", "step_back(U, saved[t], dy[:, t] + dh, reset_after, apart)",
            "step_back(U, saved[t], (dy[:, t] if t == len(saved) - 1 else 0) + dh, reset_after, apart)",
            "only the last hidden state's gradient enters, though every hidden state was handed out",
        ),
        Mistake(
            "weights_of_one_step", "taken_apart_by_side(p, *rows)",
            "taken_apart_by_side(p, into_x, into_h, *saved[0][:3])",
            "the weights' gradients are overwritten in every step, not added up",
        ),
        Mistake(
            "gradients_in_reverse", "[into_x, *into_xs], [into_h, *into_hs]", "[*into_xs, into_x], [into_h, *into_hs]",
            "dx left in the order in which it was computed: last step first",
        ),
    ),
)
