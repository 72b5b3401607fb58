"""Convolution of images: every output is a weighted sum of what a sliding window sees.

    shapes       x (batch, C, H, W), W (O, C / groups, kh, kw), b (O,), y (batch, O, H', W')
                 H' = floor((H + 2 p - d (kh - 1) - 1) / s) + 1, and W' likewise
    forward      y[n, o, i, j]  = b[o] + sum over c, k, l of W[o, c, k, l] x[n, c, i s + k d - p, j s + l d - p]
    backward     dx[n, c, u, v] = sum over o, k, l of W[o, c, k, l] dy[n, o, (u + p - k d) / s, (v + p - l d) / s]
                 dW[o, c, k, l] = sum over n, i, j of dy[n, o, i, j] x[n, c, i s + k d - p, j s + l d - p]
                 db[o]          = sum over n, i, j of dy[n, o, i, j]

with s, p, d the stride, padding, dilation of that axis; x is 0 outside of the image, dy where there is no such window,
as where a division leaves a remainder. With groups, the c and o of one sum are those of one group. Each sum is a
matrix product with gathered windows (im2col).

torch, JAX and this card mean cross-correlation: the kernel is not flipped, as `np.convolve` flips it. torch and JAX's
default keep W as here (OIHW); Flax keeps HWIO, and images NHWC. No kinks: y is linear in each of x, W and b.
Dumoulin, Visin, A guide to convolution arithmetic for deep learning (2016), arXiv:1603.07285.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.windows import gathered, in_rows, places_read, windows_reading, windows_that_fit
from reference_impls.xla import refuse_fatal


def output_shape(inputs, params, *, stride, padding, dilation, groups):
    """(batch, O, H', W')."""
    x, W = inputs[0], params["W"]
    if len(x) != 4 or len(W) != 4:
        raise Misfit(f"needs x and W of four axes, got x {x} and W {W}")
    if x[1] != W[1] * groups or W[0] % groups:
        raise Misfit(f"needs W of shape (multiple of {groups}, {x[1]} / {groups}, kh, kw), got {W}, because x is {x}")
    if params.get("b", W[:1]) != W[:1]:
        raise Misfit(f"needs b of shape {W[:1]}, got {params['b']}, because W is {W}")
    return (x[0], W[0], *windows_that_fit(x[2:], W[2:], stride, padding, dilation))


def param_shapes(inputs, size, *, stride, padding, dilation, groups):
    """W and b for `size` output channels in each group, with kernels of several shapes."""
    x = inputs[0]
    if len(x) != 4 or x[1] % groups:
        raise Misfit(f"needs x of four axes, and channels that make {groups} groups, got {x}")
    kernels = ((2, 2), (3, 3), (3, 2), (1, 3), (2, 4), (1, 1))
    return [{"W": (groups * size, x[1] // groups, *kernel), "b": (groups * size,)} for kernel in kernels]


def separable(axis, *, stride, padding, dilation, groups):
    """Each image by itself."""
    return axis == 0


def numpy_forward(p, x, *, stride, padding, dilation, groups):
    """Forward: y = W windows + b, a matrix product for each group."""
    W = p["W"]
    found = gathered(x.transpose(1, 0, 2, 3), places_read, x.shape[2:], W.shape[2:], stride, padding, dilation)
    windows = in_rows(found, groups)
    y = W.reshape(groups, W.shape[0] // groups, windows.shape[1]) @ windows
    y = y.reshape(W.shape[0], *found.shape[3:]).transpose(1, 0, 2, 3)
    return y + p["b"][:, None, None] if "b" in p else y, (windows, x.shape)


def numpy_backward(p, saved, dy, *, stride, padding, dilation, groups):
    """Backward: dW = dy windowsᵀ, and dx = Wᵀ times the windows of dy that read each place."""
    W, (windows, (batch, channels, *image)) = p["W"], saved
    O = W.shape[0] // groups  # noqa: E741 - output channels of one group
    slope = dy.transpose(1, 0, 2, 3)
    dW = slope.reshape(groups, O, windows.shape[2]) @ np.swapaxes(windows, 1, 2)
    found = in_rows(gathered(slope, windows_reading, image, W.shape[2:], stride, padding, dilation), groups)
    back = np.swapaxes(W.reshape(groups, O, *W.shape[1:]), 1, 2).reshape(groups, W.shape[1], found.shape[1])
    dx = (back @ found).reshape(channels, batch, *image).transpose(1, 0, 2, 3)
    db = {"b": np.sum(dy, axis=(0, 2, 3))} if "b" in p else {}
    return (dx,), {"W": dW.reshape(W.shape), **db}


def forward_bias_first(p, x, *, groups, **slides):
    """Forward: the bias as one more term of the inner product, with which torch's matrix product begins."""
    y, (windows, shape) = numpy_forward({"W": p["W"]}, x, groups=groups, **slides)
    if "b" in p:
        W = np.concatenate([p["W"].reshape(groups, -1, windows.shape[1]), p["b"].reshape(groups, -1, 1)], axis=2)
        product = W @ np.concatenate([windows, np.ones_like(windows[:, :1])], axis=1)
        y = product.reshape(y.shape[1], y.shape[0], *y.shape[2:]).transpose(1, 0, 2, 3)
    return y, (windows, shape)


def torch_forward(torch, p, x, *, stride, padding, dilation, groups):
    """The functional form of `torch.nn.Conv2d`."""
    return torch.nn.functional.conv2d(x, p["W"], p.get("b"), stride, padding, dilation, groups)


def jax_forward(jax, p, x, *, stride, padding, dilation, groups):
    """The bias is the user's to add; lhs_dilation would be that of a transposed convolution."""
    refuse_fatal(jax, x, p["W"], stride, padding, dilation, groups)
    conv, pads = jax.lax.conv_general_dilated, [(both, both) for both in padding]
    y = conv(x, p["W"], stride, pads, rhs_dilation=dilation, feature_group_count=groups)
    return y + p["b"][:, None, None] if "b" in p else y


conv2d = Operation(
    name="conv2d",
    kind="layer",
    summary="y = W ⋆ x + b over images (batch, channels, height, width)",
    inputs=("x",),
    params=("W",),
    optional_params=("b",),
    summed_params=("b",),
    hypers={
        "stride": HyperSpec(default=(1, 1), typical=((2, 1), (2, 2), (1, 3)), meaning="by how much windows move on"),
        "padding": HyperSpec(default=(0, 0), typical=((1, 1), (0, 1), (2, 0)), meaning="zeros on both sides"),
        "dilation": HyperSpec(default=(1, 1), typical=((2, 1), (2, 2)), meaning="how far apart a window reads"),
        "groups": HyperSpec(default=1, typical=(2,), low=1, meaning="channels are convolved in so many groups"),
    },
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch", numpy_forward=forward_bias_first),),
    axes=(4,),
    param_shapes=param_shapes,
    separable=separable,
    mistakes=(
        Mistake(
            "kernel_flipped", "y = W.reshape(groups", "y = W[:, :, ::-1, ::-1].reshape(groups",
            "a convolution as in signal processing, where cross-correlation is meant",
        ),
        Mistake(
            "channels_untransposed", "np.swapaxes(W.reshape(groups, O, *W.shape[1:]), 1, 2)", "W",
            "W instead of Wᵀ on the way back: input and output channels mixed up in a shape that fits",
        ),
        Mistake(
            "kernel_flipped_back", "*W.shape[1:]), 1, 2)", "*W.shape[1:]), 1, 2)[..., ::-1, ::-1]",
            "the kernel rotated by 180° on the way back, though the windows of dy are gathered in reverse already",
        ),
        Mistake(
            "padding_forgotten", "windows_reading, image, W.shape[2:], stride, padding, dilation)",
            "windows_reading, image, W.shape[2:], stride, (0, 0), dilation)",
            "dx is that of the upper left part of the padded image",
        ),
        Mistake(
            "groups_interleaved", "W.reshape(groups, O, *W.shape[1:])",
            "np.swapaxes(W.reshape(O, groups, *W.shape[1:]), 0, 1)",
            "on the way back, every `groups`-th output channel is taken for one group's, and not neighbouring ones",
        ),
        Mistake(
            "channels_last_mixed_up", "reshape(channels, batch, *image).transpose(1, 0, 2, 3)",
            "reshape(batch, channels, *image)", "batch and channels exchanged by a reshape instead of a transpose",
        ),
        Mistake(
            "bias_summed_over_batch_alone", "np.sum(dy, axis=(0, 2, 3))", "np.sum(dy, axis=0)[:, 0, 0]",
            "db summed over the images, and not over the places in them",
        ),
    ),
)
