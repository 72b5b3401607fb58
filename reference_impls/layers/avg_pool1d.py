"""Mean over sliding windows of sequences.

    shapes       x (batch, C, T), y (batch, C, T') with T' = floor((T + 2 p - kernel) / s) + 1
    forward      y[n, c, i]  = sum over k of x[n, c, i s + k - p] / m[i]
    backward     dx[n, c, t] = sum of dy[n, c, i] / m[i] over the windows i that read t

with s, p = stride, padding, x = 0 in the padding, which is at most half a window, and

    count_include_pad   True    m = kernel
                        False   m = how many places of the window lie within the sequence

True is torch's and Flax's default; TensorFlow counts as False does. No kinks: y is linear in x.
torch's default stride is the kernel's size, Flax's is 1; here it is stated.
LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition (1998), section II.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation
from reference_impls.windows import gathered, places_read, pooled, windows_reading


def output_shape(inputs, params, *, kernel, stride, padding, count_include_pad):
    """(batch, C, T')."""
    return pooled(inputs[0], 1, (kernel,), (stride,), (padding,))


def separable(axis, *, kernel, stride, padding, count_include_pad):
    """Each channel of each sequence by itself."""
    return axis in (0, 1)


def counts(length, kernel, stride, padding, count_include_pad):
    """The m of the table above, (T',)."""
    inside = places_read(length, kernel, stride, padding) < length
    return np.sum(inside | count_include_pad, axis=0)


def numpy_forward(p, x, *, kernel, stride, padding, count_include_pad):
    """Forward: y = sum over the window / m."""
    length = x.shape[2]
    m = counts(length, kernel, stride, padding, count_include_pad).astype(x.dtype)
    return np.sum(gathered(x, places_read, (length,), (kernel,), (stride,), (padding,)), axis=1) / m, (length, m)


def numpy_backward(p, saved, dy, *, kernel, stride, padding, count_include_pad):
    """Backward: dx = sum of dy / m over the windows that read the place."""
    length, m = saved
    return (np.sum(gathered(dy / m, windows_reading, (length,), (kernel,), (stride,), (padding,)), axis=1),), {}


def torch_forward(torch, p, x, *, kernel, stride, padding, count_include_pad):
    """The functional form of `torch.nn.AvgPool1d`."""
    return torch.nn.functional.avg_pool1d(x, kernel, stride, padding, count_include_pad=count_include_pad)


def jax_forward(jax, p, x, *, kernel, stride, padding, count_include_pad):
    """What `flax.linen.avg_pool` comes to, with the channels in front of the time."""
    pads = [(0, 0), (0, 0), (padding, padding)]
    y = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, kernel), (1, 1, stride), pads)
    return y / counts(x.shape[2], kernel, stride, padding, count_include_pad)


avg_pool1d = Operation(
    name="avg_pool1d",
    kind="layer",
    summary="y = the mean of each window of a sequence",
    inputs=("x",),
    hypers={
        "kernel": HyperSpec(typical=(2, 3, 4), low=1, meaning="the window's width"),
        "stride": HyperSpec(typical=(2, 1, 3), low=1, meaning="by how much windows move on"),
        "padding": HyperSpec(default=0, typical=(1, 2), low=0, meaning="zeros added on both sides"),
        "count_include_pad": HyperSpec(default=True, choices=(True, False), meaning="whether added zeros count"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(3,),
    separable=separable,
    mistakes=(
        Mistake(
            "padding_counted", "inside | count_include_pad", "inside | True",
            "count_include_pad=False forgotten: at the border the divisor is too large",
        ),
        Mistake("mean_forgotten_back", "gathered(dy / m,", "gathered(dy,", "dy goes back undivided"),
        Mistake(
            "divided_twice", "gathered(dy / m,", "gathered(dy / m / m,", "1 / m applied once more on the way back",
        ),
        Mistake(
            "stride_assumed", "windows_reading, (length,), (kernel,), (stride,)",
            "windows_reading, (length,), (kernel,), (kernel,)",
            "written for windows that do not overlap: the way back moves on by the kernel's size",
        ),
    ),
)
