"""Mean along an axis.

    forward      y  = sum of x / n                 n elements along the axis, which goes, or with `keepdims` stays
    backward     dx = dy / n, for every element

No kinks.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axis, keepdims):
    """The shape of x without the axis, or with size 1 along it."""
    shape = inputs[0]
    if not -len(shape) <= axis < len(shape) or shape[axis] == 0:
        raise Misfit(f"needs an axis {axis} with something to average along, got x of shape {shape}")
    axis = axis % len(shape)
    return shape[:axis] + (1,) * keepdims + shape[axis + 1 :]


def separable(sample_axis, *, axis, keepdims):
    """When the mean is along another axis, and the samples stay where they are."""
    return axis > sample_axis or (keepdims and 0 <= axis < sample_axis)


def numpy_forward(p, x, *, axis, keepdims):
    """Forward: y = sum of x / n."""
    return np.sum(x, axis=axis, keepdims=keepdims) / x.shape[axis], x.shape


def numpy_backward(p, shape, dy, *, axis, keepdims):
    """Backward: dx = dy / n, spread over what was averaged."""
    dy = dy if keepdims else np.expand_dims(dy, axis)
    return (np.broadcast_to(dy / shape[axis], shape),), {}


def torch_forward(torch, p, x, *, axis, keepdims):
    """As in NumPy, but for the name of the axis."""
    return torch.mean(x, dim=axis, keepdim=keepdims)


def jax_forward(jax, p, x, *, axis, keepdims):
    """As in NumPy."""
    return jax.numpy.mean(x, axis=axis, keepdims=keepdims)


mean = Operation(
    name="mean",
    kind="layer",
    summary="y = mean of x along an axis",
    inputs=("x",),
    hypers={
        "axis": HyperSpec(typical=(-1, 0, 1, 2), meaning="the axis that is averaged over"),
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
        Mistake("not_divided", "np.broadcast_to(dy / shape[axis], shape)", "np.broadcast_to(dy, shape)",
                "the backward pass of a sum: 1/n forgotten"),
        Mistake("divided_by_another_size", "np.broadcast_to(dy / shape[axis], shape)",
                "np.broadcast_to(dy / shape[axis - 1], shape)", "divided by the size of the axis before"),
        Mistake("divided_by_everything", "np.broadcast_to(dy / shape[axis], shape)",
                "np.broadcast_to(dy / np.prod(shape), shape)", "divided by the number of all elements"),
    ),
)
