"""Root-mean-square normalisation: layer normalisation without the mean, and without a shift.

    shapes       x, y (samples, ..., features); weight as the last k axes of x, optional
    forward      s = mean(x²)                                over the n numbers along the last axes
                 z = x r,  r = 1 / √(s + ε)                  ε inside the root
                 y = z weight
    backward     dx = r (g - z mean(g z))                    with g = dL/dz = dy weight
                 dweight = sum over samples of dy z

Step by step. z = x r depends on x directly, and through r, which is one number for all n:

    directly     dx = g r
    through r    dr = sum(g x),  ds = -½ r³ dr               as dr/ds = -½ (s + ε)^(-3/2)
                 dx = 2 x ds / n = -r³ x mean(g x)           as s = mean(x²)
                                 = -r z mean(g z)            as z = x r
    together     dx = r (g - z mean(g z))

A stretch of x changes nothing, but for ε, so dx has no part along z; of one feature z is ±1 and almost nothing is left.
Nothing is centred, so there is nothing that cancels in the forward pass.

ε: `torch.nn.functional.rms_norm` adds the dtype's own epsilon unless told otherwise, 2⁻²³ or 2⁻⁵²; flax 1e-6; Llama
1e-5. So the same network with the defaults differs in its third digit where x is about 0.01. A case states its ε.
Zhang, Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019, equation 4.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant


def output_shape(inputs, params, *, last_axes, eps):
    """The shape of x."""
    x = inputs[0]
    if len(x) <= last_axes or not math.prod(x):
        raise Misfit(f"needs x of more than {last_axes} axes, the first for the samples, and not empty, got {x}")
    if params.get("weight", x[-last_axes:]) != x[-last_axes:]:
        needed = f"{x[-last_axes:]}, as the last {last_axes} of x {x}"
        raise Misfit(f"needs a weight of shape {needed}, got {params['weight']}")
    return x


def param_shapes(inputs, size, *, last_axes, eps):
    """The weight as the last axes."""
    return {"weight": inputs[0][-last_axes:]}


def weighted(p, z):
    """z weight, or dy weight on the way back."""
    return z * p["weight"] if "weight" in p else z


def numpy_forward(p, x, *, last_axes, eps):
    """The forward lines of the table."""
    axes = tuple(range(-last_axes, 0))
    s = np.mean(np.square(x), axis=axes, keepdims=True)
    r = 1 / np.sqrt(s + eps)
    z = x * r
    return weighted(p, z), (x, z, r)


def numpy_backward(p, saved, dy, *, last_axes, eps):
    """The two terms, and the sum over the samples."""
    _, z, r = saved
    axes, samples = tuple(range(-last_axes, 0)), tuple(range(dy.ndim - last_axes))
    g = weighted(p, dy)
    dx = r * (g - z * np.mean(g * z, axis=axes, keepdims=True))
    return (dx,), {"weight": np.sum(dy * z, axis=samples)} if "weight" in p else {}


def backward_by_parts(p, saved, dy, *, last_axes, eps):
    """Backward: the two uses of x, one after the other, as automatic differentiation has them."""
    x, _, r = saved
    axes, g = tuple(range(-last_axes, 0)), weighted(p, dy)
    ds = -0.5 * r * r * r * np.sum(g * x, axis=axes, keepdims=True)
    _, dparams = numpy_backward(p, saved, dy, last_axes=last_axes, eps=eps)
    return ((g * r, 2 * x * ds / (x.size // r.size)),), dparams


def torch_forward(torch, p, x, *, last_axes, eps):
    """The functional form of `torch.nn.RMSNorm`, with ε stated."""
    return torch.nn.functional.rms_norm(x, x.shape[-last_axes:], p.get("weight"), eps)


def jax_forward(jax, p, x, *, last_axes, eps):
    """As equinox and haiku write it."""
    s = jax.numpy.mean(jax.numpy.square(x), tuple(range(-last_axes, 0)), keepdims=True)
    return weighted(p, x * jax.lax.rsqrt(s + eps))


rms_norm = Operation(
    name="rms_norm",
    kind="layer",
    summary="y = x / √(mean(x²) + ε) weight, over the last axes",
    inputs=("x",),
    optional_params=("weight",),
    hypers={
        "last_axes": HyperSpec(default=1, choices=(1, 2, 3), meaning="how many of the last axes are normalised over"),
        "eps": HyperSpec(default=1e-6, low=0.0, typical=(2.0**-23, 1e-3), meaning="ε, added to the mean square"),
    },
    parts={"x": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch and jax", numpy_backward=backward_by_parts),),
    axes=(2, 3, 4),
    param_shapes=param_shapes,
    separable=lambda axis, **hypers: axis == 0,  # it is never normalised over
    mistakes=(
        Mistake(
            "root_taken_for_constant", "r * (g - z * np.mean(g * z, axis=axes, keepdims=True))", "r * g",
            "no gradient through the root mean square",
        ),
        Mistake(
            "centred", "np.mean(np.square(x), axis=axes", "np.var(x, axis=axes",
            "the variance where the mean square belongs: layer normalisation by half",
        ),
        Mistake(
            "eps_outside_the_root", "np.sqrt(s + eps)", "(np.sqrt(s) + eps)",
            "ε added to the root: 1e-6 beside it instead of 0.001",
        ),
        Mistake(
            "weight_forgotten_under_the_mean", "z * np.mean(g * z", "z * np.mean(dy * z",
            "dy where g = dy weight belongs: right as long as every weight is 1, as at the start",
        ),
    ),
)
