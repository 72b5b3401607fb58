"""Two arrays, one after the other along an axis: skip connections of a U-Net, features side by side.

    forward      y  = [a, b]                       a, b of one shape but for the axis; their sizes there add up
    backward     da, db = dy, cut where a ends

No kinks: nothing is computed.
Ronneberger, Fischer, Brox, U-Net, MICCAI 2015.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axis):
    """The common shape, with the sizes along the axis added."""
    a, b = inputs
    if not -len(a) <= axis < len(a):
        raise Misfit(f"needs an axis {axis} to join along, got a of shape {a}")
    axis = axis % len(a)
    if len(a) != len(b) or any(one != other for k, (one, other) in enumerate(zip(a, b, strict=True)) if k != axis):
        raise Misfit(f"needs a and b of one shape but for axis {axis}, got {a} and {b}")
    return (*a[:axis], a[axis] + b[axis], *a[axis + 1 :])


def other_inputs(first):
    """Along one axis, b may have any size."""
    return [((*first[:axis], size, *first[axis + 1 :]),) for axis in range(len(first)) for size in (1, 2, 3)]


def separable(sample_axis, *, axis):
    """When they are joined along another axis, counted from the front."""
    return 0 <= axis != sample_axis


def numpy_forward(p, a, b, *, axis):
    """Forward: y = [a, b]."""
    return np.concatenate([a, b], axis=axis), a.shape[axis]


def numpy_backward(p, end, dy, *, axis):
    """Backward: what stands before the end of a, and what stands after."""
    size = dy.shape[axis]
    return (np.take(dy, np.arange(end), axis=axis), np.take(dy, np.arange(end, size), axis=axis)), {}


def torch_forward(torch, p, a, b, *, axis):
    """Also called `torch.concatenate`."""
    return torch.cat([a, b], dim=axis)


def jax_forward(jax, p, a, b, *, axis):
    """As in NumPy."""
    return jax.numpy.concatenate([a, b], axis=axis)


concatenate = Operation(
    name="concatenate",
    kind="layer",
    summary="y = [a, b]",
    inputs=("a", "b"),
    hypers={"axis": HyperSpec(default=0, typical=(0, 1, -1, 2), meaning="the axis along which they are joined")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 1, 4),
    other_inputs=other_inputs,
    separable=separable,
    mistakes=(
        Mistake("cut_in_the_middle", "size = dy.shape[axis]", "size = dy.shape[axis]; end = size // 2",
                "cut in the middle, where a and b meet only if they are of one size"),
        Mistake("from_the_start", "np.take(dy, np.arange(end, size), axis=axis)",
                "np.take(dy, np.arange(size - end), axis=axis)", "both taken from the start"),
        Mistake("other_order", "np.concatenate([a, b], axis=axis), a.shape[axis]",
                "np.concatenate([b, a], axis=axis), a.shape[axis]", "b before a"),
    ),
)
