"""Group normalisation: the channels of a sample in groups, each group brought to mean 0 and variance 1.

    shapes       x, y (samples, channels, ...); weight and bias (channels,), each optional
    forward      m = mean(x), v = mean((x - m)²)             over the channels and places of one group, n numbers
                 z = (x - m) r,  r = 1 / √(v + ε)
                 y = z weight + bias                         one weight for each channel, not for each group
    backward     dx = r (g - mean(g) - z mean(g z))          with g = dy weight; the means over the group again
                 dweight = sum of dy z                       over samples and places
                 dbias   = sum of dy

The three terms are derived in `layer_norm`: this is the same, along other axes. With one group it is layer
normalisation over all axes but the first, and with as many as there are channels, instance normalisation.

torch's kernel takes the variance in two passes; for an input in the memory format `channels_last`, in one. Of
x = 10001, ..., 10004 that makes ±474 and ±158 instead of ±1.34 and ±0.45 (float32, torch 2.13). ε is 1e-5 in torch,
1e-6 in flax.
Wu, He, Group Normalization, ECCV 2018, equations 1, 2 and 7.
"""

import math

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Misfit, Mistake, Operation
from reference_impls.normalising import variants


def output_shape(inputs, params, *, groups, eps):
    """The shape of x."""
    x = inputs[0]
    if len(x) < 2 or not math.prod(x):
        raise Misfit(f"needs x of samples, channels and any other axes, and not empty, got {x}")
    if groups < 1 or x[1] % groups:
        raise Misfit(f"needs a number of groups that divides the channels, got {groups} groups of {x[1]}, as x is {x}")
    for role, shape in params.items():
        if shape != (x[1],):
            raise Misfit(f"needs a {role} of shape {(x[1],)}, one for each channel of x {x}, got {shape}")
    return x


def param_shapes(inputs, size, *, groups, eps):
    """One number for each channel."""
    return {"weight": inputs[0][1:2], "bias": inputs[0][1:2]}


def weighted(p, z):
    """z weight, or dy weight on the way back: the channels stand along axis 1."""
    return z * p["weight"].reshape(-1, *(1,) * (z.ndim - 2)) if "weight" in p else z


def shifted(p, y):
    """The learned shift."""
    return y + p["bias"].reshape(-1, *(1,) * (y.ndim - 2)) if "bias" in p else y


def numpy_forward(p, x, *, groups, eps):
    """Each group becomes one row of n numbers, and the rows are normalised."""
    rows = x.reshape(x.shape[0], groups, -1)
    m = np.mean(rows, axis=-1, keepdims=True)
    c = rows - m
    r = 1 / np.sqrt(np.mean(np.square(c), axis=-1, keepdims=True) + eps)
    z = c * r
    return shifted(p, weighted(p, z.reshape(x.shape))), (z, r, rows, m)


def numpy_backward(p, saved, dy, *, groups, eps):
    """The three terms for each row; weight and bias sum over everything but their channel."""
    z, r, _, _ = saved
    g = weighted(p, dy).reshape(z.shape)
    dx = r * (g - np.mean(g, axis=-1, keepdims=True) - z * np.mean(g * z, axis=-1, keepdims=True))
    others = (0, *range(2, dy.ndim))
    dparams = {"weight": np.sum(dy * z.reshape(dy.shape), axis=others), "bias": np.sum(dy, axis=others)}
    return (dx.reshape(dy.shape),), {role: dparams[role] for role in p}


def torch_forward(torch, p, x, *, groups, eps):
    """The functional form of `torch.nn.GroupNorm`; a bias without a weight fails in torch 2.13, on the way back."""
    if x.numel() == groups:
        raise NotSupportedError("torch: group_norm refuses a single number in a group, when there is no other sample")
    weight = torch.ones_like(p["bias"]) if "bias" in p and "weight" not in p else p.get("weight")
    return torch.nn.functional.group_norm(x, groups, weight, p.get("bias"), eps)


def jax_forward(jax, p, x, *, groups, eps):
    """As on paper."""
    rows = jax.numpy.reshape(x, (x.shape[0], groups, -1))
    m, v = jax.numpy.mean(rows, -1, keepdims=True), jax.numpy.var(rows, -1, keepdims=True)
    return shifted(p, weighted(p, ((rows - m) * jax.lax.rsqrt(v + eps)).reshape(x.shape)))


group_norm = Operation(
    name="group_norm",
    kind="layer",
    summary="y = (x - mean) / √(variance + ε) weight + bias, over groups of channels",
    inputs=("x",),
    optional_params=("weight", "bias"),
    summed_params=("bias",),
    hypers={
        "groups": HyperSpec(default=1, low=1, typical=(2, 3), meaning="into how many groups the channels are divided"),
        "eps": HyperSpec(default=1e-5, low=0.0, typical=(1e-3,), meaning="ε, added to the variance"),
    },
    parts={"x": 4},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=variants(
        numpy_forward, numpy_backward, weighted, shifted, lambda x, **h: (-1,), lambda dy: math.prod(dy.shape[2:])
    ),
    axes=(3, 2, 4),
    param_shapes=param_shapes,
    separable=lambda axis, **hypers: axis == 0,
    mistakes=(
        Mistake(
            "channels_interleaved", "rows = x.reshape(x.shape[0], groups, -1)",
            "rows = np.swapaxes(x.reshape(x.shape[0], -1, groups), 1, 2)",
            "every so many-th channel in a group, instead of neighbours",
        ),
        Mistake(
            "mean_taken_for_constant", "r * (g - np.mean(g, axis=-1, keepdims=True) - z", "r * (g - z",
            "no gradient through the mean",
        ),
        Mistake(
            "weight_forgotten_under_the_mean", "z * np.mean(g * z", "z * np.mean(dy.reshape(z.shape) * z",
            "dy where g = dy weight belongs: right as long as every weight is 1, as at the start",
        ),
        Mistake(
            "weight_gradient_averaged", '"weight": np.sum(dy * z', '"weight": np.mean(dy * z',
            "1/m applied to the gradient of the weight",
        ),
        Mistake(
            "unbiased_variance", "np.mean(np.square(c), axis=-1", "np.var(rows, ddof=1, axis=-1",
            "1/(n - 1), the default of torch.var",
        ),
    ),
)
