"""Batch normalisation in training: every channel brought to mean 0 and variance 1 over the batch, scaled and shifted.

    shapes       x, y (N, C), (N, C, L) or (N, C, H, W); weight and bias (C,), each optional
    forward      m = mean(x)           over the n = N, N L or N H W numbers of one channel
                 c = x - m
                 v = mean(c²)          the biased variance, 1/n, in torch and flax alike
                 r = 1 / √(v + ε)      ε inside the root
                 z = c r,  y = z weight + bias
    backward     dx = weight r (dy - mean(dy) - z mean(dy z))          the means over the same n numbers
                 dweight = sum of dy z,  dbias = sum of dy

The three terms, step by step, for one channel. With g = dL/dz = dy weight, and z = c r depending on c in two ways:

    directly     dc = g r
    through r    dr = sum(g c),  dv = -½ r³ dr                         as dr/dv = -½ (v + ε)^(-3/2)
                 dc = 2 c dv / n = -r³ c mean(g c) = -r z mean(g z)    as v = mean(c²) and z = c r
    through m    dx = dc - mean(dc), with dc = r (g - z mean(g z))     as c = x - m and m = mean(x)
                    = r (g - mean(g) - z mean(g z))                    as mean(z) = 0

The means run over the batch, so each sample's gradient depends on all. weight is one number here and stands in front;
in `layer_norm` it stays under the means. Of a batch of two z is ±1, and almost nothing of dx is left. Of a batch of one
z = 0, y = bias, dx = 0: torch refuses that in training, and ε = 0 as well. flax takes v as mean(x²) - m² unless told
otherwise (`use_fast_variance`), which loses every digit where m is large: see `layer_norm`.
The running statistics are `batch_norm_statistics`, and `batch_norm_evaluation` uses them. ε is 1e-5 in torch and flax.
Ioffe, Szegedy, Batch Normalization, ICML 2015, algorithm 1 and section 3.
"""

import math

import numpy as np

from harness.errors import NotSupportedError
from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.normalising import backward_as_jax, normal_as_torch, rounded


def output_shape(inputs, params, *, eps):
    """The shape of x."""
    x = inputs[0]
    if len(x) < 2 or not math.prod(x):
        raise Misfit(f"needs x (samples, channels, ...), not empty, got {x}")
    for role, shape in params.items():
        if shape != x[1:2]:
            raise Misfit(f"needs a {role} of shape {x[1:2]}, one for each channel of x {x}, got {shape}")
    return x


def axes_of(x):
    """Every axis but that of the channels."""
    return (0, *range(2, x.ndim))


def weighted(p, z):
    """z weight: the channels stand along axis 1."""
    return z * p["weight"].reshape(-1, *(1,) * (z.ndim - 2)) if "weight" in p else z


def shifted(p, y):
    """The learned shift."""
    return y + p["bias"].reshape(-1, *(1,) * (y.ndim - 2)) if "bias" in p else y


def numpy_forward(p, x, *, eps):
    """The forward lines of the table."""
    axes = axes_of(x)
    m = np.mean(x, axis=axes, keepdims=True)
    c = x - m
    v = np.mean(np.square(c), axis=axes, keepdims=True)
    r = 1 / np.sqrt(v + eps)
    z = c * r
    return shifted(p, weighted(p, z)), (z, r, x, m)


def numpy_backward(p, saved, dy, *, eps):
    """The three terms, and the sums over the batch."""
    z, r, _, _ = saved
    axes = axes_of(dy)
    dz = r * (dy - np.mean(dy, axis=axes, keepdims=True) - z * np.mean(dy * z, axis=axes, keepdims=True))
    dparams = {"weight": np.sum(dy * z, axis=axes), "bias": np.sum(dy, axis=axes)}
    return (weighted(p, dz),), {role: dparams[role] for role in p}


def forward_as_torch(p, x, *, eps):
    """Forward: x (r weight) + (bias - m r weight)."""
    _, (_, r, _, m) = numpy_forward(p, x, eps=eps)
    return shifted({role: rounded(w) for role, w in p.items()}, weighted(p, normal_as_torch(x, m, r))), None


def torch_forward(torch, p, x, *, eps):
    """The functional form of `torch.nn.BatchNorm1d` and `BatchNorm2d` in training."""
    if eps == 0 or math.prod(x.shape) == x.shape[1]:
        raise NotSupportedError("torch: batch_norm refuses, in training, eps = 0 and a single number in a channel")
    return torch.nn.functional.batch_norm(x, None, None, p.get("weight"), p.get("bias"), training=True, eps=eps)


def jax_forward(jax, p, x, *, eps):
    """As haiku writes it."""
    m, v = jax.numpy.mean(x, axes_of(x), keepdims=True), jax.numpy.var(x, axes_of(x), keepdims=True)
    return shifted(p, weighted(p, (x - m) * jax.lax.rsqrt(v + eps)))


batch_norm = Operation(
    name="batch_norm",
    kind="layer",
    summary="y = (x - mean) / √(variance + ε) weight + bias, over the batch",
    inputs=("x",),
    optional_params=("weight", "bias"),
    summed_params=("bias",),
    hypers={"eps": HyperSpec(default=1e-5, low=0.0, typical=(1e-3, 1e-12), meaning="ε, added to the variance")},
    parts={"x": 4},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_as_torch),
        Variant(who="jax", numpy_backward=backward_as_jax(numpy_backward, weighted, axes_of)),
    ),
    axes=(2, 3, 4),
    param_shapes=lambda inputs, size, **hypers: dict.fromkeys(("weight", "bias"), inputs[0][1:2]),
    mistakes=(
        Mistake(
            "mean_taken_for_constant", "r * (dy - np.mean(dy, axis=axes, keepdims=True) - z", "r * (dy - z",
            "no gradient through the mean",
        ),
        Mistake(
            "variance_taken_for_constant", " - z * np.mean(dy * z, axis=axes, keepdims=True))", ")",
            "no gradient through the variance",
        ),
        Mistake(
            "unbiased_variance", "np.mean(np.square(c), axis=axes", "np.var(x, ddof=1, axis=axes",
            "1/(n - 1), which torch keeps for the running variance",
        ),
        Mistake(
            "eps_outside_the_root", "np.sqrt(v + eps)", "(np.sqrt(v) + eps)",
            "ε added to the standard deviation: 1e-5 beside it instead of 0.003",
        ),
        Mistake(
            "variance_in_one_pass", "np.mean(np.square(c), axis=axes, keepdims=True)",
            "np.mean(np.square(x), axis=axes, keepdims=True) - np.square(m)",
            "mean(x²) - m²: the same on paper, and no digit left where the mean is large",
        ),
        Mistake(
            "places_not_in_the_mean", "m = np.mean(x, axis=axes,", "m = np.mean(x, axis=0,",
            "over the samples alone, each place of an image by itself",
        ),
        Mistake("weight_forgotten", "return (weighted(p, dz),)", "return (dz,)", "dx without the weight"),
    ),
)
