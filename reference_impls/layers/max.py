"""Maximum along an axis.

    forward      y  = largest of x along the axis  which goes, or with `keepdims` stays, with size 1
    backward     dx = dy at the largest element, 0 elsewhere

Kinks: where the two largest elements are equal, any share between them is a subgradient. Here and in torch.max(x, dim)
the first gets all; jax.numpy.max and torch.amax give the same share to each. The mask x == y, not divided by how many
it marks, gives all to each and is no subgradient.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axis, keepdims):
    """The shape of x without the axis, or with size 1 along it."""
    shape = inputs[0]
    if not -len(shape) <= axis < len(shape) or shape[axis] == 0:
        raise Misfit(f"needs an axis {axis} with something along it, got x of shape {shape}")
    axis = axis % len(shape)
    return shape[:axis] + (1,) * keepdims + shape[axis + 1 :]


def separable(sample_axis, *, axis, keepdims):
    """When the maximum is along another axis, and the samples stay where they are."""
    return axis > sample_axis or (keepdims and 0 <= axis < sample_axis)


def numpy_forward(p, x, *, axis, keepdims):
    """Forward: which element is the largest is decided here, once; the others are left out of the sum."""
    axis = axis if axis < 0 else axis - x.ndim
    places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (-1 - axis))
    chosen = places == np.expand_dims(np.argmax(x, axis=axis), axis)
    return np.sum(np.where(chosen, x, 0), axis=axis, keepdims=keepdims), chosen


def numpy_backward(p, chosen, dy, *, axis, keepdims):
    """Backward: dx = dy where chosen, else 0."""
    dy = dy if keepdims else np.expand_dims(dy, axis)
    return (np.where(chosen, dy, 0),), {}


def torch_forward(torch, p, x, *, axis, keepdims):
    """`torch.amax` has the same value, and shares the gradient where elements are equal."""
    return torch.max(x, dim=axis, keepdim=keepdims).values


def jax_forward(jax, p, x, *, axis, keepdims):
    """Shares the gradient where elements are equal."""
    return jax.numpy.max(x, axis=axis, keepdims=keepdims)


max_ = Operation(
    name="max",
    kind="layer",
    summary="y = largest of x along an axis",
    inputs=("x",),
    hypers={
        "axis": HyperSpec(typical=(-1, 0, 1, 2), meaning="the axis along which the largest is taken"),
        "keepdims": HyperSpec(default=False, choices=(False, True), meaning="whether the axis stays, with size 1"),
    },
    kinks=("the two largest elements are equal",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4, 1),
    separable=separable,
    mistakes=(
        Mistake("to_every_element", "return (np.where(chosen, dy, 0),), {}",
                "return (np.where(chosen, dy, dy),), {}", "dy spread over all elements, as of a sum"),
        Mistake("to_the_smallest", "np.argmax(x, axis=axis)", "np.argmin(x, axis=axis)", "the smallest element taken"),
        Mistake("to_the_others", "return (np.where(chosen, dy, 0),), {}",
                "return (np.where(chosen, 0, dy),), {}", "the mask inverted"),
    ),
)
