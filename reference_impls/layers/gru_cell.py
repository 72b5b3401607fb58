"""One step of a gated recurrent unit.

    shapes     x (batch, F), h and y (batch, H); W_ih (3 H, F), W_hh (3 H, H), b_ih and b_hh (3 H,): two gates and the
               candidate on top of each other, in the order r, z, n
    forward    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh), the first two blocks
               n = tanh(W_in x + b_in + r (W_hn h + b_hn))     reset_after = True
               n = tanh(W_in x + b_in + W_hn (r h) + b_hn)     reset_after = False
               h' = (1 - z) n + z h
    backward   da = dh' (1 - z) (1 - n²)                       what reaches the candidate's sum
               dz = dh' (h - n) z (1 - z)
               dr = da (W_hn h + b_hn) r (1 - r)               reset_after = True;  dh through n: (da r) W_hn
               dr = (da W_hn) h r (1 - r)                      reset_after = False; dh through n: (da W_hn) r
               dh = dh' z + [dr, dz] W_h + that;  dx = [dr, dz, da] W_ih

True is torch, cuDNN, Flax, Keras in TensorFlow 2, and the paper's first version; False is the paper's third version and
Keras in TensorFlow 1, which torch does not have: there a case is not implemented. Other sources exchange z and 1 - z.
Biases are optional. No kinks.
Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), arXiv:1406.1078; documentation of
`torch.nn.GRU` and `flax.linen.GRUCell`.
"""

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Mistake, Operation, Variant
from reference_impls.layers._recurrent import (
    by_factors,
    by_square,
    cell_params,
    cell_shape,
    samples_first,
    sigmoid,
    taken_apart_by_side,
    torch_weights,
    units_like,
    with_bias,
    with_one,
)

RESET_AFTER = HyperSpec(default=True, choices=(True, False), meaning="whether r multiplies W_hn h + b_hn, or h itself")


def output_shape(inputs, params, *, reset_after):
    """(batch, H)."""
    return cell_shape(inputs, params, 3)


def param_shapes(inputs, size, *, reset_after):
    """As many units as the state has."""
    return cell_params(inputs, 3)


def weights(p):
    """[W_ih, b_ih] and [W_hh, b_hh]."""
    return with_bias(p, "W_ih", "b_ih"), with_bias(p, "W_hh", "b_hh")


def step(W, U, x, h, reset_after, H, fused=False):
    """From [x, 1] and [h, 1]: h', and what `step_back` needs; W and U are the `weights`."""
    old = h[:, :H]
    gates = sigmoid(np.concatenate([x, h], axis=1) @ np.concatenate([W[: 2 * H], U[: 2 * H]], axis=1).T)
    r, z = gates[:, :H], gates[:, H:]
    if reset_after:
        seen, inner = h, h @ U[2 * H :].T
        n = np.tanh(x @ W[2 * H :].T + r * inner)
    else:
        seen, inner = np.concatenate([r * old, h[:, H:]], axis=1), old
        n = np.tanh(np.concatenate([x, seen], axis=1) @ np.concatenate([W[2 * H :], U[2 * H :]], axis=1).T)
    new = n + z * (old - n) if fused else (1 - z) * n + z * old
    return new, (x, h, seen, inner, r, z, n)


def step_back(U, saved, dh, reset_after, apart=False):
    """From dh': what flows into the products with W and with U, and dh; `apart` as a chain rule multiplies it out."""
    _, h, _, inner, r, z, n = saved
    H = n.shape[1]
    old = h[:, :H]
    dn, dz = (dh - dh * z, dh * old - dh * n) if apart else (dh * (1 - z), dh * (old - n))
    da = by_factors(dn, n) if apart else by_square(dn, n)
    dz = dz * z * (1 - z)
    through = da * r if reset_after else (da @ U[2 * H :, :H]) * r
    dr = (da if reset_after else da @ U[2 * H :, :H]) * inner * r * (1 - r)
    into_x = np.concatenate([dr, dz, da], axis=1)
    if reset_after:
        into_h = np.concatenate([dr, dz, through], axis=1)
        parts = [dh * z, into_h @ U[:, :H]]
    else:
        into_h = into_x
        parts = [dh * z, into_h[:, : 2 * H] @ U[: 2 * H, :H], through]
    return into_x, into_h, np.sum(np.stack(parts), axis=0)


def numpy_forward(p, x, h, *, reset_after, fused=False):
    """Forward: one step."""
    W, U = weights(p)
    return step(W, U, with_one(p, x, "b_ih"), with_one(p, h, "b_hh"), reset_after, h.shape[1], fused)


def numpy_backward(p, saved, dy, *, reset_after, apart=False):
    """Backward: the gates, then the products."""
    into_x, into_h, dh = step_back(weights(p)[1], saved, dy, reset_after, apart)
    return (into_x @ p["W_ih"], dh), taken_apart_by_side(p, into_x, into_h, *saved[:3])


def forward_fused(p, x, h, *, reset_after):
    """Forward: h' = n + z (h - n), as torch has it."""
    return numpy_forward(p, x, h, reset_after=reset_after, fused=True)


def backward_apart(p, saved, dy, *, reset_after):
    """Backward: every product differentiated by itself, and tanh' as jax has it."""
    return numpy_backward(p, saved, dy, reset_after=reset_after, apart=True)


def torch_forward(torch, p, x, h, *, reset_after):
    """What `torch.nn.GRUCell` calls."""
    if not reset_after:
        raise NotSupportedError("torch: its GRU resets after the product with W_hn, and has no other")
    return torch.gru_cell(x, h, *torch_weights(torch, p))


def jax_forward(jax, p, x, h, *, reset_after):
    """As on paper."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    ax = x @ p["W_ih"].T + p.get("b_ih", 0)
    b = p.get("b_hh", jnp.zeros(ax.shape[-1], x.dtype))
    if reset_after:
        xr, xz, xn = jnp.split(ax, 3, axis=1)
        hr, hz, hn = jnp.split(h @ p["W_hh"].T + b, 3, axis=1)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        n = jnp.tanh(xn + r * hn)
    else:
        H = h.shape[1]
        r, z = jnp.split(sigmoid(ax[:, : 2 * H] + h @ p["W_hh"][: 2 * H].T + b[: 2 * H]), 2, axis=1)
        n = jnp.tanh(ax[:, 2 * H :] + (r * h) @ p["W_hh"][2 * H :].T + b[2 * H :])
    return (1 - z) * n + z * h


gru_cell = Operation(
    name="gru_cell",
    kind="layer",
    summary="h' = (1 - z) n + z h, with gates r, z and a candidate n of x and h",
    inputs=("x", "h"),
    params=("W_ih", "W_hh"),
    optional_params=("b_ih", "b_hh"),
    hypers={"reset_after": RESET_AFTER},
    parts={"h": 3, "W_hh": 2, "b_hh": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_fused),
        Variant(who="jax", numpy_backward=backward_apart),
    ),
    other_inputs=lambda x: units_like(x, 1),
    param_shapes=param_shapes,
    separable=samples_first,
    mistakes=(
        Mistake(
            "update_gate_inverted", "(1 - z) * n + z * old", "z * n + (1 - z) * old",
            "z and 1 - z exchanged, as half of the sources have it",
        ),
        Mistake(
            "reset_gate_before_instead_of_after", "x @ W[2 * H :].T + r * inner",
            "x @ W[2 * H :].T + (r * old) @ U[2 * H :, :H].T",
            "the paper's reset gate with the weights of a framework that resets after the product",
        ),
        Mistake(
            "old_state_past_the_gate", "parts = [dh * z, into_h @", "parts = [dh * 0, into_h @",
            "the path h' = z h is left out of dh",
        ),
        Mistake(
            "reset_gate_left_out_on_the_way_back", "through = da * r if", "through = da if",
            "dh through the candidate without the factor r",
        ),
        Mistake(
            "slope_of_reset_gate_forgotten", "inner * r * (1 - r)", "inner",
            "dr without the slope of its sigmoid",
        ),
    ),
)
