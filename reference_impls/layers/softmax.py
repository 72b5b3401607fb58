"""Softmax along an axis.

    forward      y  = exp(x) / s                   x, y of one shape; s = sum of exp(x) along the axis
    backward     dx = y (dy - sum of dy y)         the sum along the axis; y_i (δ_ij - y_j) is the Jacobian

Computed as exp(x - m) / sum of exp(x - m) with m the largest element, which keeps exp from overflowing and changes
neither value nor slope. No kinks.
jax has the default axis -1; torch wants one, and without it takes axis 0 of one or three axes and axis 1 of others.
Bridle, Probabilistic interpretation of feedforward classification network outputs (1990); Goodfellow, Bengio,
Courville, Deep Learning (2016), equation 6.29.
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
    """Forward: y = exp(x - m) / sum of exp(x - m)."""
    e = np.exp(x - largest(x, axis))
    y = e / np.sum(e, axis=axis, keepdims=True)
    return y, y


def numpy_backward(p, y, dy, *, axis):
    """Backward: dx = y (dy - sum of dy y)."""
    return (y * (dy - np.sum(dy * y, axis=axis, keepdims=True)),), {}


def backward_by_terms(p, y, dy, *, axis):
    """Backward: y dy - y (sum of y dy), as jax multiplies it out."""
    return ((y * dy, -(y * np.sum(y * dy, axis=axis, keepdims=True))),), {}


def torch_forward(torch, p, x, *, axis):
    """The functional form of `torch.nn.Softmax`."""
    return torch.softmax(x, dim=axis)


def jax_forward(jax, p, x, *, axis):
    """As in torch."""
    return jax.nn.softmax(x, axis=axis)


softmax = Operation(
    name="softmax",
    kind="layer",
    summary="y = exp(x) / sum of exp(x)",
    inputs=("x",),
    hypers={"axis": HyperSpec(default=-1, typical=(-1, 0, 1), meaning="the axis along which y sums to 1")},
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_by_terms),),
    axes=(2, 3),
    range="probability",
    separable=separable,
    mistakes=(
        Mistake("diagonal_alone", "(y * (dy - np.sum(dy * y, axis=axis, keepdims=True)),)", "(dy * y * (1 - y),)",
                "the Jacobian's diagonal alone, as if each element were a sigmoid"),
        Mistake("sum_over_everything", "(dy - np.sum(dy * y, axis=axis, keepdims=True))", "(dy - np.sum(dy * y))",
                "the samples of a batch summed together"),
        Mistake("unweighted_sum", "(dy - np.sum(dy * y, axis=axis, keepdims=True))",
                "(dy - np.sum(dy, axis=axis, keepdims=True))", "the upstream gradient not weighted by y in the sum"),
    ),
)
