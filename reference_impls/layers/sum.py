"""Sum along an axis.

    forward      y  = sum of x along the axis      which goes, or with `keepdims` stays, with size 1
    backward     dx = dy, for every element that was summed

No kinks.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


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
    """Forward: y = sum of x."""
    return np.sum(x, axis=axis, keepdims=keepdims), x.shape


def numpy_backward(p, shape, dy, *, axis, keepdims):
    """Backward: dx = dy, spread over what was summed."""
    dy = dy if keepdims else np.expand_dims(dy, axis)
    return (np.broadcast_to(dy, shape),), {}


def torch_forward(torch, p, x, *, axis, keepdims):
    """As in NumPy, but for the name of the axis."""
    return torch.sum(x, dim=axis, keepdim=keepdims)


def jax_forward(jax, p, x, *, axis, keepdims):
    """As in NumPy."""
    return jax.numpy.sum(x, axis=axis, keepdims=keepdims)


sum_ = Operation(
    name="sum",
    kind="layer",
    summary="y = sum of x along an axis",
    inputs=("x",),
    hypers={
        "axis": HyperSpec(typical=(-1, 0, 1, 2), meaning="the axis that is summed over"),
        "keepdims": HyperSpec(default=False, choices=(False, True), meaning="whether the axis stays, with size 1"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4, 1),
    separable=separable,
    mistakes=(
        Mistake("averaged", "return (np.broadcast_to(dy, shape),), {}",
                "return (np.broadcast_to(dy, shape) / shape[axis],), {}", "the backward pass of a mean"),
        Mistake("summed_again", "dy = dy if keepdims else np.expand_dims(dy, axis)",
                "dy = np.sum(dy if keepdims else np.expand_dims(dy, axis))", "dy summed too, where it is to be spread"),
    ),
)
