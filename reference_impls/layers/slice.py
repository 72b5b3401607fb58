"""A part of x along an axis, every step-th element from start to before stop, as Python slices.

    forward      y  = x[start:stop:step]           along the axis; negative numbers count from the end
    backward     dx = dy where it came from, 0 elsewhere

No kinks: nothing is computed. A stop beyond the end is the end, in all three. The step is 1 at least: torch has no
negative ones.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation


def output_shape(inputs, params, *, axis, start, stop, step):
    """The shape of x, with as many places along the axis as are taken."""
    shape = inputs[0]
    if not -len(shape) <= axis < len(shape):
        raise Misfit(f"needs an axis {axis} to take a part along, got x of shape {shape}")
    axis = axis % len(shape)
    taken = len(range(shape[axis])[start:stop:step])
    if not taken:
        raise Misfit(f"needs at least one of the {shape[axis]} elements along axis {axis}, got {start}:{stop}:{step}")
    return (*shape[:axis], taken, *shape[axis + 1 :])


def separable(sample_axis, *, axis, start, stop, step):
    """When the part is taken along another axis, counted from the front."""
    return 0 <= axis != sample_axis


def numpy_forward(p, x, *, axis, start, stop, step):
    """Forward: the places are numbered first, and then taken."""
    size = x.shape[axis]
    places = np.arange(size)[start:stop:step]
    return np.take(x, places, axis=axis), (size, places)


def numpy_backward(p, saved, dy, *, axis, start, stop, step):
    """Backward: place places[k] gets dy[k], and every other place gets the 0 that is appended to dy."""
    size, places = saved
    appended = np.concatenate([dy, np.take(np.zeros_like(dy), [0], axis=axis)], axis=axis)
    source = np.full(size, len(places))
    source[places] = np.arange(len(places))
    return (np.take(appended, source, axis=axis),), {}


def torch_forward(torch, p, x, *, axis, start, stop, step):
    """For two axes it is x[start:stop:step] or x[:, start:stop:step]."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop, step),)]


def jax_forward(jax, p, x, *, axis, start, stop, step):
    """As in torch."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop, step),)]


slice_ = Operation(
    name="slice",
    kind="layer",
    summary="y = x[start:stop:step] along an axis",
    inputs=("x",),
    hypers={
        "axis": HyperSpec(default=-1, typical=(-1, 0, 1), meaning="the axis along which a part is taken"),
        "start": HyperSpec(default=0, typical=(0, 1, -1), meaning="the first place"),
        "stop": HyperSpec(typical=(9, 2, -1), meaning="the place before which it ends"),
        "step": HyperSpec(default=1, typical=(1, 2), low=1, meaning="from one place to the next"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4, 1),
    separable=separable,
    mistakes=(
        Mistake("placed_at_the_front", "source[places] = np.arange(len(places))",
                "source[: len(places)] = np.arange(len(places))", "placed at the front, wherever it came from"),
        Mistake("start_off_by_one", "places = np.arange(size)[start:stop:step]",
                "places = (np.arange(size)[start:stop:step] + 1) % size", "counted from 1"),
    ),
)
