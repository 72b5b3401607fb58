"""The axes in another order: axis k of y is axis axes[k] of x.

    forward      y  = x with its axes in the given order
    backward     dx = dy with its axes back in theirs      the inverse order, by which axes[k] comes to k again

No kinks: nothing is computed.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axes):
    """The sizes in the given order."""
    if sorted(axes) != list(range(len(inputs[0]))):
        raise Misfit(f"needs every axis from 0 to {len(inputs[0]) - 1} once, got {axes}, because x is {inputs[0]}")
    return tuple(inputs[0][axis] for axis in axes)


def separable(sample_axis, *, axes):
    """When the samples stay along their axis."""
    return sample_axis < len(axes) and axes[sample_axis] == sample_axis


def numpy_forward(p, x, *, axes):
    """Forward: the axes in the given order."""
    return np.transpose(x, axes), None


def numpy_backward(p, saved, dy, *, axes):
    """Backward: the axes in the inverse order."""
    return (np.transpose(dy, np.argsort(axes).tolist()),), {}


def torch_forward(torch, p, x, *, axes):
    """A view of x; torch's own `transpose` exchanges two axes."""
    return torch.permute(x, axes)


def jax_forward(jax, p, x, *, axes):
    """As in NumPy."""
    return jax.numpy.transpose(x, axes)


ORDERS = ((1, 0), (0, 2, 1), (2, 0, 1), (1, 2, 0), (0, 3, 1, 2), (0, 2, 3, 1), (3, 1, 0, 2), (0, 1), (0,))

transpose = Operation(
    name="transpose",
    kind="layer",
    summary="y = x with its axes in another order",
    inputs=("x",),
    hypers={"axes": HyperSpec(typical=ORDERS, meaning="by axis of y, the axis of x")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4),
    separable=separable,
    mistakes=(
        Mistake("same_order_again", "np.transpose(dy, np.argsort(axes).tolist())", "np.transpose(dy, axes)",
                "the same order on the way back: right for two axes, wrong where three change places"),
        Mistake("reshaped", "np.transpose(x, axes), None", "np.reshape(x, [x.shape[axis] for axis in axes]), None",
                "the right shape by a reshape, and the elements in the wrong places"),
    ),
)
