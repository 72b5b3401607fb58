"""Logarithm of the softmax along an axis, without taking the logarithm of what has underflowed.

    forward      y  = x - log(s)                   x, y of one shape; s = sum of exp(x) along the axis
    backward     dx = dy - exp(y) (sum of dy)      the sum along the axis; exp(y) is the softmax

Computed as z - log(sum of exp z) with z = x - m and m the largest element, which changes neither value nor slope.
No kinks. jax has the softmax of the backward pass as exp(z) / (sum of exp z).
Goodfellow, Bengio, Courville, Deep Learning (2016), equation 6.30.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from harness.stop_gradient import largest


def output_shape(inputs, params, *, axis):
    """The shape of x."""
    if not -len(inputs[0]) <= axis < len(inputs[0]):
        raise Misfit(f"needs an axis {axis} to sum along, got x of shape {inputs[0]}")
    return inputs[0]


def separable(sample_axis, *, axis):
    """When the sum is along another axis, counted from the front."""
    return 0 <= axis != sample_axis


def numpy_forward(p, x, *, axis):
    """Forward: y = z - log(sum of exp z), z = x - m."""
    z = x - largest(x, axis)
    y = z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))
    return y, (y, z)


def numpy_backward(p, saved, dy, *, axis):
    """Backward: dx = dy - exp(y) (sum of dy)."""
    y, _ = saved
    return (dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True),), {}


def backward_by_quotient(p, saved, dy, *, axis):
    """Backward: the softmax as exp(z) / (sum of exp z), as jax has it."""
    e = np.exp(saved[1])
    total = np.sum(dy, axis=axis, keepdims=True) / np.sum(e, axis=axis, keepdims=True)
    return ((dy, -(e * total)),), {}


def torch_forward(torch, p, x, *, axis):
    """The functional form of `torch.nn.LogSoftmax`."""
    return torch.log_softmax(x, dim=axis)


def jax_forward(jax, p, x, *, axis):
    """As in torch."""
    return jax.nn.log_softmax(x, axis=axis)


log_softmax = Operation(
    name="log_softmax",
    kind="layer",
    summary="y = x - log(sum of exp(x))",
    inputs=("x",),
    hypers={"axis": HyperSpec(default=-1, typical=(-1, 0, 1), meaning="the axis along which exp(y) sums to 1")},
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_quotient),),
    axes=(2, 3),
    separable=separable,
    mistakes=(
        Mistake("not_summed", "(dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True),)", "(dy - np.exp(y) * dy,)",
                "the Jacobian's diagonal alone: dy not summed"),
        Mistake("log_probability_for_probability", "dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True)",
                "dy - y * np.sum(dy, axis=axis, keepdims=True)", "y used where the softmax is needed"),
        Mistake("softmax_slope", "(dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True),)",
                "(np.exp(y) * (dy - np.sum(dy * np.exp(y), axis=axis, keepdims=True)),)",
                "the backward pass of the softmax itself"),
    ),
)
