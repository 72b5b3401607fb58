"""Transposed convolution of images: the way back through `conv2d`, as a layer that makes images larger.

    shapes       x (batch, C, H, W), W (C, O, kh, kw), b (O,), y (batch, O, H', W')
                 H' = (H - 1) s - 2 p + d (kh - 1) + 1, and W' likewise
    forward      y[n, o, u, v]  = b[o] + sum over c, k, l of W[c, o, k, l] x[n, c, (u + p - k d) / s, (v + p - l d) / s]
    backward     dx[n, c, i, j] = sum over o, k, l of W[c, o, k, l] dy[n, o, i s + k d - p, j s + l d - p]
                 dW[c, o, k, l] = sum over n, i, j of x[n, c, i, j] dy[n, o, i s + k d - p, j s + l d - p]
                 db[o]          = sum over n, u, v of dy[n, o, u, v]

with s, p, d the stride, padding, dilation of that axis in the convolution from y's shape to x's: p places are cut off
each side of y. dy is 0 outside of the image, x where there is no such window, as where a division leaves a remainder.
Each sum is a matrix product with gathered windows. No kinks: y is linear in each of x, W and b. torch's padding is p,
and its output_padding 0; `jax.lax.conv_transpose` counts what is added to x, which is d (k - 1) - p.
Dumoulin, Visin, A guide to convolution arithmetic for deep learning (2016), arXiv:1603.07285.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.windows import check_slides, gathered, in_rows, places_read, windows_reading
from reference_impls.xla import refuse_fatal_transposed


def output_shape(inputs, params, *, stride, padding, dilation):
    """(batch, O, H', W')."""
    x, W = inputs[0], params["W"]
    if len(x) != 4 or len(W) != 4 or x[1] != W[0]:
        raise Misfit(f"needs x (batch, C, H, W) and W (C, O, kh, kw), got x {x} and W {W}")
    if params.get("b", W[1:2]) != W[1:2]:
        raise Misfit(f"needs b of shape {W[1:2]}, got {params['b']}, because W is {W}")
    check_slides(2, W[2:], stride, padding, dilation)
    image = grown(x[2:], W[2:], stride, padding, dilation)
    if min(image) < 1:
        raise Misfit(f"has nothing left of y: its image would be {image}")
    return (x[0], W[1], *image)


def param_shapes(inputs, size, **hypers):
    """W and b for `size` output channels, with kernels of several shapes."""
    if len(inputs[0]) != 4:
        raise Misfit(f"needs x of four axes, got {inputs[0]}")
    return [{"W": (inputs[0][1], size, *kernel), "b": (size,)} for kernel in ((2, 2), (3, 3), (3, 2), (1, 3), (1, 1))]


def separable(axis, **hypers):
    """Each image by itself."""
    return axis == 0


def grown(*along):
    """(H', W'), of image, kernel, stride, padding and dilation."""
    return tuple((size - 1) * s - 2 * p + d * (k - 1) + 1 for size, k, s, p, d in zip(*along, strict=True))


def numpy_forward(p, x, *, stride, padding, dilation):
    """Forward: y = Wᵀ windows + b, with the windows of x that reach each place of y."""
    W = p["W"]
    image = grown(x.shape[2:], W.shape[2:], stride, padding, dilation)
    found = gathered(x.transpose(1, 0, 2, 3), windows_reading, image, W.shape[2:], stride, padding, dilation)
    windows = in_rows(found, 1)[0]
    y = W.transpose(1, 0, 2, 3).reshape(W.shape[1], windows.shape[0]) @ windows
    y = y.reshape(W.shape[1], x.shape[0], *image).transpose(1, 0, 2, 3)
    return y + p["b"][:, None, None] if "b" in p else y, (x, windows)


def numpy_backward(p, saved, dy, *, stride, padding, dilation):
    """Backward: dx is a convolution of dy, and dW = x (windows of dy)ᵀ."""
    W, (x, _) = p["W"], saved
    slope, x = dy.transpose(1, 0, 2, 3), x.transpose(1, 0, 2, 3)
    windows = in_rows(gathered(slope, places_read, dy.shape[2:], W.shape[2:], stride, padding, dilation), 1)[0]
    dx = (W.reshape(W.shape[0], windows.shape[0]) @ windows).reshape(x.shape).transpose(1, 0, 2, 3)
    dW = (x.reshape(x.shape[0], windows.shape[1]) @ windows.T).reshape(W.shape)
    return (dx,), {"W": dW, "b": np.sum(dy, axis=(0, 2, 3))} if "b" in p else {"W": dW}


def forward_bias_first(p, x, **hypers):
    """Forward: the bias as one more term of the inner product."""
    y, (x, windows) = numpy_forward({"W": p["W"]}, x, **hypers)
    if "b" in p:
        W = p["W"].transpose(1, 0, 2, 3).reshape(y.shape[1], windows.shape[0])
        product = np.concatenate([W, p["b"][:, None]], axis=1) @ np.concatenate([windows, np.ones_like(windows[:1])])
        y = product.reshape(y.shape[1], y.shape[0], *y.shape[2:]).transpose(1, 0, 2, 3)
    return y, (x, windows)


def torch_forward(torch, p, x, *, stride, padding, dilation):
    """The functional form of `torch.nn.ConvTranspose2d`."""
    return torch.nn.functional.conv_transpose2d(x, p["W"], p.get("b"), stride, padding, 0, 1, dilation)


def jax_forward(jax, p, x, *, stride, padding, dilation):
    """The kernel is that of the convolution whose transpose this is, and the padding what is added to x."""
    refuse_fatal_transposed(jax, x, p["W"], stride, padding, dilation)
    pads = [(d * (k - 1) - cut,) * 2 for k, cut, d in zip(p["W"].shape[2:], padding, dilation, strict=True)]
    y = jax.lax.conv_transpose(x, p["W"], stride, pads, dilation, ("NCHW", "OIHW", "NCHW"), transpose_kernel=True)
    return y + p["b"][:, None, None] if "b" in p else y


conv_transpose2d = Operation(
    name="conv_transpose2d",
    kind="layer",
    summary="y = the transpose of a convolution with W, applied to x, + b",
    inputs=("x",),
    params=("W",),
    optional_params=("b",),
    summed_params=("b",),
    hypers={
        "stride": HyperSpec(default=(1, 1), typical=((2, 1), (2, 2), (1, 3)), meaning="by how much windows move on"),
        "padding": HyperSpec(default=(0, 0), typical=((1, 1), (0, 1), (2, 0)), meaning="cut off each side of y"),
        "dilation": HyperSpec(default=(1, 1), typical=((2, 1), (2, 2)), meaning="how far apart a window reaches"),
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
            "kernel_flipped", "y = W.transpose(1, 0, 2, 3)", "y = W.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]",
            "the kernel rotated by 180°, though the windows of x are gathered in reverse already",
        ),
        Mistake(
            "channels_untransposed", "y = W.transpose(1, 0, 2, 3)", "y = W",
            "W instead of Wᵀ: input and output channels mixed up in a shape that fits",
        ),
        Mistake(
            "padding_forgotten_back", "dy.shape[2:], W.shape[2:], stride, padding, dilation), 1)[0]",
            "dy.shape[2:], W.shape[2:], stride, (0, 0), dilation), 1)[0][:, : x.size // x.shape[0]]",
            "what was cut off of y is not put back: the windows of dy begin at its first place",
        ),
        Mistake(
            "batch_axis_mixed_up", "slope, x = dy.transpose(1, 0, 2, 3)",
            "slope, x = dy.reshape(W.shape[1], -1, *dy.shape[2:])",
            "batch and channels exchanged by a reshape instead of a transpose",
        ),
        Mistake(
            "bias_summed_over_batch_alone", "np.sum(dy, axis=(0, 2, 3))", "np.sum(dy, axis=0)[:, 0, 0]",
            "db summed over the images, and not over the places in them",
        ),
    ),
)
