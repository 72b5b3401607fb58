"""Mean over sliding windows of images.

    shapes       x (batch, C, H, W), y (batch, C, H', W') with H' = floor((H + 2 p - kh) / s) + 1, and W' likewise
    forward      y[n, c, i, j]  = sum over k, l of x[n, c, i s + k - p, j s + l - p] / m[i, j]
    backward     dx[n, c, u, v] = sum of dy[n, c, i, j] / m[i, j] over the windows (i, j) that read (u, v)

with s, p = stride, padding of that axis, x = 0 in the padding, which is at most half a window, and

    count_include_pad   True    m = kh kw
                        False   m = how many places of the window lie within the image

True is torch's and Flax's default; TensorFlow counts as False does. No kinks: y is linear in x.
torch's default stride is the kernel's size, Flax's is 1; here it is stated.
LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition (1998), section II.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation
from reference_impls.windows import gathered, places_read, pooled, windows_reading


def output_shape(inputs, params, *, kernel, stride, padding, count_include_pad):
    """(batch, C, H', W')."""
    return pooled(inputs[0], 2, kernel, stride, padding)


def separable(axis, *, kernel, stride, padding, count_include_pad):
    """Each channel of each image by itself."""
    return axis in (0, 1)


def counts(image, kernel, stride, padding, count_include_pad):
    """The m of the table above, (H', W')."""
    tables = [places_read(*axis) for axis in zip(image, kernel, stride, padding, strict=True)]
    counted = [(table < size) | count_include_pad for table, size in zip(tables, image, strict=True)]
    return np.sum(counted[0], axis=0)[:, None] * np.sum(counted[1], axis=0)


def numpy_forward(p, x, *, kernel, stride, padding, count_include_pad):
    """Forward: y = sum over the window / m."""
    image = x.shape[2:]
    m = counts(image, kernel, stride, padding, count_include_pad).astype(x.dtype)
    return np.sum(gathered(x, places_read, image, kernel, stride, padding), axis=(1, 2)) / m, (image, m)


def numpy_backward(p, saved, dy, *, kernel, stride, padding, count_include_pad):
    """Backward: dx = sum of dy / m over the windows that read the place."""
    image, m = saved
    return (np.sum(gathered(dy / m, windows_reading, image, kernel, stride, padding), axis=(1, 2)),), {}


def torch_forward(torch, p, x, *, kernel, stride, padding, count_include_pad):
    """The functional form of `torch.nn.AvgPool2d`."""
    return torch.nn.functional.avg_pool2d(x, kernel, stride, padding, count_include_pad=count_include_pad)


def jax_forward(jax, p, x, *, kernel, stride, padding, count_include_pad):
    """What `flax.linen.avg_pool` comes to, with the channels in front."""
    pads = [(0, 0), (0, 0), *((both, both) for both in padding)]
    y = jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 1, *kernel), (1, 1, *stride), pads)
    return y / counts(x.shape[2:], kernel, stride, padding, count_include_pad)


avg_pool2d = Operation(
    name="avg_pool2d",
    kind="layer",
    summary="y = the mean of each window of an image",
    inputs=("x",),
    hypers={
        "kernel": HyperSpec(typical=((2, 2), (3, 2), (1, 3), (3, 3)), meaning="the window's height and width"),
        "stride": HyperSpec(typical=((2, 2), (1, 1), (2, 1), (1, 3)), meaning="by how much windows move on"),
        "padding": HyperSpec(default=(0, 0), typical=((1, 1), (1, 0), (0, 1)), meaning="zeros added on both sides"),
        "count_include_pad": HyperSpec(default=True, choices=(True, False), meaning="whether added zeros count"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(4,),
    separable=separable,
    mistakes=(
        Mistake(
            "padding_counted", "(table < size) | count_include_pad", "(table < size) | True",
            "count_include_pad=False forgotten: at the border the divisor is too large",
        ),
        Mistake("mean_forgotten_back", "gathered(dy / m,", "gathered(dy,", "dy goes back undivided"),
        Mistake(
            "divided_twice", "gathered(dy / m,", "gathered(dy / m / m,", "1 / m applied once more on the way back",
        ),
        Mistake(
            "stride_assumed", "windows_reading, image, kernel, stride, padding)",
            "windows_reading, image, kernel, kernel, padding)",
            "written for windows that do not overlap: the way back moves on by the kernel's size",
        ),
    ),
)
