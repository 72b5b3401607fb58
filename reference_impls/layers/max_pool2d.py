"""Maximum over sliding windows of images.

    shapes       x (batch, C, H, W), y (batch, C, H', W') with H' = floor((H + 2 p - kh) / s) + 1, and W' likewise
    forward      y[n, c, i, j]  = max over k, l of x[n, c, i s + k - p, j s + l - p]
    backward     dx[n, c, u, v] = sum of dy[n, c, i, j] over the windows (i, j) whose maximum stands at (u, v)

with s, p = stride, padding of that axis. The padding is minus infinity, so it is never the maximum, and at most half a
window. Windows may overlap, so a place can be the maximum of several; where no window reads, the gradient is 0.

Kink: two equal numbers in a window. In torch and XLA, as here, the first of them, row by row, gets the whole gradient;
`jnp.max` over an axis would share it out. torch's default stride is the kernel's size, Flax's is 1; here it is stated.
Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.3.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation
from reference_impls.windows import gathered, places_read, pooled, put_back


def output_shape(inputs, params, *, kernel, stride, padding):
    """(batch, C, H', W')."""
    return pooled(inputs[0], 2, kernel, stride, padding)


def separable(axis, *, kernel, stride, padding):
    """Each channel of each image by itself."""
    return axis in (0, 1)


def numpy_forward(p, x, *, kernel, stride, padding):
    """Forward: of every window, the largest; which one that is is decided here, once."""
    windows = gathered(x, places_read, x.shape[2:], kernel, stride, padding, beyond=-np.inf)
    in_order = windows.reshape(x.shape[0], kernel[0] * kernel[1], *windows.shape[3:])
    largest = np.argmax(in_order, axis=1)[..., None, :, :, :]
    chosen = largest == np.arange(kernel[0] * kernel[1])[:, None, None, None]
    return np.sum(np.where(chosen, in_order, 0), axis=1), (chosen, x.shape[2:])


def numpy_backward(p, saved, dy, *, kernel, stride, padding):
    """Backward: dy goes back to the place that was chosen."""
    chosen, image = saved
    windows = np.where(chosen, dy[:, None], 0)
    windows = windows.reshape(dy.shape[0], *kernel, *dy.shape[1:])
    return (put_back(windows, image, kernel, stride, padding),), {}


def torch_forward(torch, p, x, *, kernel, stride, padding):
    """The functional form of `torch.nn.MaxPool2d`."""
    return torch.nn.functional.max_pool2d(x, kernel, stride, padding)


def jax_forward(jax, p, x, *, kernel, stride, padding):
    """What `flax.linen.max_pool` comes to, with the channels in front."""
    pads = [(0, 0), (0, 0), *((both, both) for both in padding)]
    return jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, (1, 1, *kernel), (1, 1, *stride), pads)


max_pool2d = Operation(
    name="max_pool2d",
    kind="layer",
    summary="y = the largest number of each window of an image",
    inputs=("x",),
    kinks=("two largest numbers in a window",),
    hypers={
        "kernel": HyperSpec(typical=((2, 2), (3, 2), (1, 3), (3, 3)), meaning="the window's height and width"),
        "stride": HyperSpec(typical=((2, 2), (1, 1), (2, 1), (1, 3)), meaning="by how much windows move on"),
        "padding": HyperSpec(default=(0, 0), typical=((1, 1), (1, 0), (0, 1)), meaning="places added on both sides"),
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
            "shared_by_ties", "chosen = largest == np.arange(kernel[0] * kernel[1])[:, None, None, None]",
            "chosen = in_order == np.max(in_order, axis=1)[:, None]",
            "the gradient goes to every number that equals the maximum, in full, and the value is their sum",
        ),
        Mistake(
            "padded_with_zeros", "stride, padding, beyond=-np.inf)", "stride, padding)",
            "where all else is negative, the padding is the maximum",
        ),
        Mistake(
            "whole_window", "np.where(chosen, dy[:, None], 0)", "np.where(chosen | True, dy[:, None], 0)",
            "every place of the window gets the gradient of its maximum",
        ),
        Mistake(
            "kernel_axes_exchanged", "reshape(dy.shape[0], *kernel, *dy.shape[1:])",
            "reshape(dy.shape[0], kernel[1], kernel[0], *dy.shape[1:]).transpose(0, 2, 1, 3, 4, 5)",
            "the number of the maximum within its window counted by columns instead of rows",
        ),
        Mistake(
            "stride_assumed", "put_back(windows, image, kernel, stride, padding)",
            "put_back(windows, image, kernel, kernel, padding)",
            "written for windows that do not overlap: the way back moves on by the kernel's size",
        ),
    ),
)
