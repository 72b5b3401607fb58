"""Gated linear unit: one half of x, gated by the sigmoid of the other half.

    forward      y  = a σ(b)                       x = [a, b], cut in the middle of `axis`, whose size is even
    backward     da = dy σ                         σ(b) = 1 / (1 + exp(-b))
                 db = dy a σ (1 - σ)
                 dx = [da, db]

No kinks. Which half is the gate is a convention: the second here, in torch and in jax; some code gates by the first.
Dauphin, Fan, Auli, Grangier, Language Modeling with Gated Convolutional Networks, ICML 2017, section 2.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axis):
    """The shape of x, with half the size along the axis."""
    shape = inputs[0]
    if not -len(shape) <= axis < len(shape):
        raise Misfit(f"needs an axis {axis} to cut x along, got x of shape {shape}")
    if shape[axis] % 2:
        raise Misfit(f"needs an even size along axis {axis}, got x of shape {shape}")
    axis = axis % len(shape)
    return (*shape[:axis], shape[axis] // 2, *shape[axis + 1 :])


def separable(sample_axis, *, axis):
    """When the cut is along another axis, counted from the front."""
    return 0 <= axis != sample_axis


def numpy_forward(p, x, *, axis):
    """Forward: y = a σ(b)."""
    half = x.shape[axis] // 2
    a, b = np.take(x, np.arange(half), axis=axis), np.take(x, np.arange(half, 2 * half), axis=axis)
    sigma = 1 / (1 + np.exp(-b))
    return a * sigma, (a, sigma)


def numpy_backward(p, saved, dy, *, axis):
    """Backward: dx = [dy σ, dy a σ (1 - σ)]."""
    a, sigma = saved
    da, db = dy * sigma, dy * a * sigma * (1 - sigma)
    return (np.concatenate([da, db], axis=axis),), {}


def torch_forward(torch, p, x, *, axis):
    """The functional form of `torch.nn.GLU`."""
    return torch.nn.functional.glu(x, dim=axis)


def jax_forward(jax, p, x, *, axis):
    """As in torch."""
    return jax.nn.glu(x, axis=axis)


glu = Operation(
    name="glu",
    kind="layer",
    summary="y = a σ(b), with x = [a, b]",
    inputs=("x",),
    hypers={"axis": HyperSpec(default=-1, typical=(-1, 0, 1), meaning="the axis along which x is cut")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3),
    separable=separable,
    mistakes=(
        Mistake("gate_first", "return a * sigma, (a, sigma)", "return b / (1 + np.exp(-a)), (a, sigma)",
                "the halves exchanged: gated by the first"),
        Mistake("halves_exchanged", "np.concatenate([da, db], axis=axis)", "np.concatenate([db, da], axis=axis)",
                "the gradients joined in the wrong order"),
        Mistake("gate_slope", "dy * a * sigma * (1 - sigma)", "dy * a * sigma", "the gate's slope taken for σ"),
    ),
)
