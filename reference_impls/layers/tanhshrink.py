"""Tanhshrink: what tanh leaves of x.

    forward      y  = x - tanh(x)                  x, y of any shape
    backward     dx = dy tanh²(x)                  because 1 - (1 - tanh²) = tanh²

No kinks. Near 0 y is x³/3, and the difference has lost its digits: in every implementation, and the bound knows it.
jax has no function of this name. Documentation of `torch.nn.Tanhshrink`.
"""

import numpy as np

from harness.spec import Mistake, Operation, Variant, elementwise


def output_shape(inputs, params):
    """The shape of x."""
    return inputs[0]


def numpy_forward(p, x):
    """Forward: y = x - t with t = tanh(x)."""
    t = np.tanh(x)
    return x - t, t


def numpy_backward(p, t, dy):
    """Backward: dx = dy t²."""
    return (dy * np.square(t),), {}


def backward_by_difference(p, t, dy):
    """Backward: dy - dy (1 - t²) in two parts, as torch adds up the two paths; near 0 they cancel."""
    return ((dy, -dy * (1 - np.square(t))),), {}


def backward_by_factors(p, t, dy):
    """Backward: dy - (dy + dy t)(1 - t) in two parts, as jax multiplies tanh's slope out."""
    return ((dy, -(dy + dy * t) * (1 - t)),), {}


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Tanhshrink`."""
    return torch.nn.functional.tanhshrink(x)


def jax_forward(jax, p, x):
    """As on paper."""
    return x - jax.numpy.tanh(x)


tanhshrink = Operation(
    name="tanhshrink",
    kind="layer",
    summary="y = x - tanh(x)",
    inputs=("x",),
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_backward=backward_by_difference),
        Variant(who="jax", numpy_backward=backward_by_factors),
    ),
    separable=elementwise,
    mistakes=(
        Mistake("slope_of_tanh", "dy * np.square(t)", "dy * (1 - np.square(t))", "tanh's own slope: x is forgotten"),
        Mistake("slope_without_square", "dy * np.square(t)", "dy * t", "1 - (1 - tanh) instead of 1 - (1 - tanh²)"),
        Mistake("slope_of_preactivation", "return x - t, t", "return x - t, x", "x² taken where tanh(x)² is meant"),
    ),
)
