"""Logarithm of the sum of exponentials along an axis: a smooth maximum.

    forward      y  = log(s)                       s = sum of exp(x) along the axis, which goes, or stays with size 1
    backward     dx = dy exp(x) / s                the softmax of x

Computed as m + log(sum of exp(x - m)) with m the largest element, which changes neither value nor slope. No kinks.
torch has the softmax of the backward pass as exp(x - y).
Blanchard, Higham, Higham, Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41 (2021).
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from harness.stop_gradient import largest


def output_shape(inputs, params, *, axis, keepdims):
    """The shape of x without the axis, or with size 1 along it."""
    shape = inputs[0]
    if not -len(shape) <= axis < len(shape):
        raise Misfit(f"needs an axis {axis} to sum along, got x of shape {shape}")
    axis = axis % len(shape)
    return shape[:axis] + (1,) * keepdims + shape[axis + 1 :]


def separable(sample_axis, *, axis, keepdims):
    """When the sum is along another axis, and the samples stay where they are."""
    return axis > sample_axis or (keepdims and 0 <= axis < sample_axis)


def numpy_forward(p, x, *, axis, keepdims):
    """Forward: y = m + log(sum of exp(x - m))."""
    m = largest(x, axis)
    e = np.exp(x - m)
    s = np.sum(e, axis=axis, keepdims=True)
    y = m + np.log(s)
    return y if keepdims else np.squeeze(y, axis=axis), (x, y, e / s)


def numpy_backward(p, saved, dy, *, axis, keepdims):
    """Backward: dx = dy softmax(x)."""
    _, _, softmax = saved
    dy = dy if keepdims else np.expand_dims(dy, axis)
    return (dy * softmax,), {}


def backward_by_exponential(p, saved, dy, *, axis, keepdims):
    """Backward: the softmax as exp(x - y), as torch has it."""
    x, y, _ = saved
    dy = dy if keepdims else np.expand_dims(dy, axis)
    return (dy * np.exp(x - y),), {}


def torch_forward(torch, p, x, *, axis, keepdims):
    """As in NumPy, but for the name of the axis."""
    return torch.logsumexp(x, dim=axis, keepdim=keepdims)


def jax_forward(jax, p, x, *, axis, keepdims):
    """As `scipy.special.logsumexp`."""
    return jax.nn.logsumexp(x, axis=axis, keepdims=keepdims)


logsumexp = Operation(
    name="logsumexp",
    kind="layer",
    summary="y = log(sum of exp(x))",
    inputs=("x",),
    hypers={
        "axis": HyperSpec(typical=(-1, 0, 1), meaning="the axis that is summed over"),
        "keepdims": HyperSpec(default=False, choices=(False, True), meaning="whether the axis stays, with size 1"),
    },
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch", numpy_backward=backward_by_exponential),),
    axes=(2, 3),
    separable=separable,
    mistakes=(
        Mistake("shift_forgotten", "y = m + np.log(s)", "y = np.log(s)", "m subtracted and never added again"),
        Mistake("not_normalised", "(x, y, e / s)", "(x, y, e)", "exp(x - m) without its sum below it"),
        Mistake("spread_evenly", "return (dy * softmax,), {}", "return (dy * softmax * 0 + dy,), {}",
                "the backward pass of a plain sum"),
    ),
)
