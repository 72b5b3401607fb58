"""Maximum over sliding windows of sequences.

    shapes       x (batch, C, T), y (batch, C, T') with T' = floor((T + 2 p - kernel) / s) + 1
    forward      y[n, c, i]  = max over k of x[n, c, i s + k - p]
    backward     dx[n, c, t] = sum of dy[n, c, i] over the windows i whose maximum stands at t

with s, p = stride, padding. The padding is minus infinity, so it is never the maximum, and at most half a window.
Windows may overlap, so a place can be the maximum of several; where no window reads, the gradient is 0.

Kink: two equal numbers in a window. In torch and XLA, as here, the first of them gets the whole gradient; `jnp.max`
over an axis would share it out. torch's default stride is the kernel's size, Flax's is 1; here it is stated.
Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.3.
"""

import numpy as np

from harness.spec import HyperSpec, Mistake, Operation
from reference_impls.windows import gathered, places_read, pooled, put_back


def output_shape(inputs, params, *, kernel, stride, padding):
    """(batch, C, T')."""
    return pooled(inputs[0], 1, (kernel,), (stride,), (padding,))


def separable(axis, *, kernel, stride, padding):
    """Each channel of each sequence by itself."""
    return axis in (0, 1)


def numpy_forward(p, x, *, kernel, stride, padding):
    """Forward: of every window, the largest; which one that is is decided here, once."""
    windows = gathered(x, places_read, x.shape[2:], (kernel,), (stride,), (padding,), beyond=-np.inf)
    largest = np.argmax(windows, axis=1)[..., None, :, :]
    chosen = largest == np.arange(kernel)[:, None, None]
    return np.sum(np.where(chosen, windows, 0), axis=1), (chosen, x.shape[2:])


def numpy_backward(p, saved, dy, *, kernel, stride, padding):
    """Backward: dy goes back to the place that was chosen."""
    chosen, length = saved
    windows = np.where(chosen, dy[:, None], 0)
    return (put_back(windows, length, (kernel,), (stride,), (padding,)),), {}


def torch_forward(torch, p, x, *, kernel, stride, padding):
    """The functional form of `torch.nn.MaxPool1d`."""
    return torch.nn.functional.max_pool1d(x, kernel, stride, padding)


def jax_forward(jax, p, x, *, kernel, stride, padding):
    """What `flax.linen.max_pool` comes to, with the channels in front of the time."""
    pads = [(0, 0), (0, 0), (padding, padding)]
    return jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, (1, 1, kernel), (1, 1, stride), pads)


max_pool1d = Operation(
    name="max_pool1d",
    kind="layer",
    summary="y = the largest number of each window of a sequence",
    inputs=("x",),
    kinks=("two largest numbers in a window",),
    hypers={
        "kernel": HyperSpec(typical=(2, 3, 4), low=1, meaning="the window's width"),
        "stride": HyperSpec(typical=(2, 1, 3), low=1, meaning="by how much windows move on"),
        "padding": HyperSpec(default=0, typical=(1, 2), low=0, meaning="places added on both sides"),
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
            "shared_by_ties", "chosen = largest == np.arange(kernel)[:, None, None]",
            "chosen = windows == np.max(windows, axis=1)[:, None]",
            "the gradient goes to every number that equals the maximum, in full, and the value is their sum",
        ),
        Mistake(
            "padded_with_zeros", "(padding,), beyond=-np.inf)", "(padding,))",
            "where all else is negative, the padding is the maximum",
        ),
        Mistake(
            "whole_window", "np.where(chosen, dy[:, None], 0)", "np.where(chosen | True, dy[:, None], 0)",
            "every place of the window gets the gradient of its maximum",
        ),
        Mistake(
            "stride_assumed", "length, (kernel,), (stride,)", "length, (kernel,), (kernel,)",
            "written for windows that do not overlap: the way back moves on by the kernel's size",
        ),
    ),
)
