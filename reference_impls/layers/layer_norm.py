"""Layer normalisation: every sample brought to mean 0 and variance 1 over its last axes, then scaled and shifted.

    shapes       x, y (samples, ..., features); weight and bias as the last axes of x, each optional
    forward      m = mean(x)           over the n numbers along the last axes, for each sample
                 c = x - m
                 v = mean(c²)          the biased variance, 1/n
                 r = 1 / √(v + ε)      ε inside the root
                 z = c r               of mean 0 and, but for ε, variance 1
                 y = z weight + bias
    backward     dx = r (g - mean(g) - z mean(g z))          with g = dL/dz = dy weight
                 dweight = sum over samples of dy z          dbias = sum over samples of dy

The three terms, step by step. z = c r depends on c directly, and through r, which is one number for all n:

    directly     dc = g r
    through r    dr = sum(g c),  dv = -½ r³ dr               as dr/dv = -½ (v + ε)^(-3/2)
                 dc = 2 c dv / n = -r³ c mean(g c)           as v = mean(c²)
                                 = -r z mean(g z)            as z = c r
    together     dc = r (g - z mean(g z))
    through m    dx = dc - mean(dc)                          as c = x - m and m = mean(x)
                    = r (g - z mean(g z) - mean(g))          as mean(z) = 0

A shift of x changes nothing, so dx has no mean: hence -mean(g). A stretch of x about its mean changes nothing either,
but for ε, so dx has no part along z: hence -z mean(g z). Of two features z is ±1, and almost nothing of dx is left.
Of equal features v = 0 and z = 0: with ε = 0 there is no value, and otherwise dx = (g - mean(g)) / √ε.

v = mean(x²) - m², in one pass, is no variant: in float32 it leaves no digit of x = 10001, ..., 10004, which flax takes
to ±1500 and ±500 (`use_fast_variance`, its default) instead of ±1.34 and ±0.45. Such numbers are called wrong.
ε is 1e-5 in torch and equinox, 1e-6 in flax. Ba, Kiros, Hinton, Layer Normalization (2016), equations 3 and 4.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation
from reference_impls.normalising import variants


def output_shape(inputs, params, *, last_axes, eps):
    """The shape of x."""
    x = inputs[0]
    if len(x) <= last_axes or not math.prod(x):
        raise Misfit(f"needs x of more than {last_axes} axes, the first for the samples, and not empty, got {x}")
    for role, shape in params.items():
        if shape != x[-last_axes:]:
            raise Misfit(f"needs a {role} of shape {x[-last_axes:]}, as the last {last_axes} of x {x}, got {shape}")
    return x


def weighted(p, z):
    """z weight, or dy weight on the way back."""
    return z * p["weight"] if "weight" in p else z


def shifted(p, y):
    """The learned shift."""
    return y + p["bias"] if "bias" in p else y


def axes_of(x, *, last_axes):
    """The axes that are normalised over."""
    return tuple(range(-last_axes, 0))


def numpy_forward(p, x, *, last_axes, eps):
    """The forward lines of the table."""
    axes = tuple(range(-last_axes, 0))
    m = np.mean(x, axis=axes, keepdims=True)
    c = x - m
    v = np.mean(np.square(c), axis=axes, keepdims=True)
    r = 1 / np.sqrt(v + eps)
    z = c * r
    return shifted(p, weighted(p, z)), (z, r, x, m)


def numpy_backward(p, saved, dy, *, last_axes, eps):
    """The three terms, and the sums over the samples."""
    z, r, _, _ = saved
    axes, samples = tuple(range(-last_axes, 0)), tuple(range(dy.ndim - last_axes))
    g = weighted(p, dy)
    dx = r * (g - np.mean(g, axis=axes, keepdims=True) - z * np.mean(g * z, axis=axes, keepdims=True))
    dparams = {"weight": np.sum(dy * z, axis=samples), "bias": np.sum(dy, axis=samples)}
    return (dx,), {role: dparams[role] for role in p}


def torch_forward(torch, p, x, *, last_axes, eps):
    """The functional form of `torch.nn.LayerNorm`."""
    return torch.nn.functional.layer_norm(x, x.shape[-last_axes:], p.get("weight"), p.get("bias"), eps)


def jax_forward(jax, p, x, *, last_axes, eps):
    """As equinox and haiku write it."""
    axes = tuple(range(-last_axes, 0))
    m, v = jax.numpy.mean(x, axes, keepdims=True), jax.numpy.var(x, axes, keepdims=True)
    return shifted(p, weighted(p, (x - m) * jax.lax.rsqrt(v + eps)))


layer_norm = Operation(
    name="layer_norm",
    kind="layer",
    summary="y = (x - mean) / √(variance + ε) weight + bias, over the last axes",
    inputs=("x",),
    optional_params=("weight", "bias"),
    summed_params=("bias",),
    hypers={
        "last_axes": HyperSpec(default=1, choices=(1, 2, 3), meaning="how many of the last axes are normalised over"),
        "eps": HyperSpec(default=1e-5, low=0.0, typical=(1e-3,), meaning="ε, added to the variance"),
    },
    parts={"x": 4},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=variants(numpy_forward, numpy_backward, weighted, shifted, axes_of),
    axes=(2, 3, 4),
    param_shapes=lambda inputs, size, **h: dict.fromkeys(("weight", "bias"), inputs[0][-h["last_axes"] :]),
    separable=lambda axis, **hypers: axis == 0,  # it is never normalised over
    mistakes=(
        Mistake(
            "mean_taken_for_constant", "r * (g - np.mean(g, axis=axes, keepdims=True) - z", "r * (g - z",
            "no gradient through the mean",
        ),
        Mistake(
            "variance_taken_for_constant", " - z * np.mean(g * z, axis=axes, keepdims=True))", ")",
            "no gradient through the variance",
        ),
        Mistake(
            "weight_forgotten_under_the_mean", "z * np.mean(g * z", "z * np.mean(dy * z",
            "dy where g = dy weight belongs: right as long as every weight is 1, as at the start",
        ),
        Mistake(
            "eps_outside_the_root", "np.sqrt(v + eps)", "(np.sqrt(v) + eps)",
            "ε added to the standard deviation: 1e-5 beside it instead of 0.003",
        ),
        Mistake(
            "unbiased_variance", "np.mean(np.square(c), axis=axes", "np.var(x, ddof=1, axis=axes",
            "1/(n - 1), the default of torch.var",
        ),
        Mistake(
            "variance_in_one_pass", "np.mean(np.square(c), axis=axes, keepdims=True)",
            "np.mean(np.square(x), axis=axes, keepdims=True) - np.square(m)",
            "mean(x²) - m²: the same on paper, and no digit left where the mean is large",
        ),
        Mistake(
            "samples_normalised", "m = np.mean(x, axis=axes,", "m = np.mean(x, axis=0,",
            "the mean of the batch, as in batch normalisation",
        ),
        Mistake(
            "weight_gradient_averaged", '"weight": np.sum(dy * z', '"weight": np.mean(dy * z',
            "1/m applied to the gradient of the weight",
        ),
    ),
)
