"""Batch normalisation in evaluation: with the running statistics, which are given, so each sample for itself.

    shapes       x, y (N, C, ...); running_mean and running_var (C,), variances of at least 0; weight, bias (C,)
    forward      r = 1 / √(running_var + ε),  z = (x - running_mean) r
                 y = z weight + bias
    backward     dx = dy weight r                            nothing more: the statistics do not depend on x
                 dweight = sum of dy z,  dbias = sum of dy   over all axes but that of the channels

The statistics have no gradient: torch refuses to differentiate by them, and they are constants in flax. So a network
that was trained with `batch_norm` has another gradient in evaluation, not the training one with other numbers.
Ioffe, Szegedy, Batch Normalization, ICML 2015, algorithm 2.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from harness.stop_gradient import stop_gradient
from reference_impls.normalising import normal_as_torch, rounded


def output_shape(inputs, params, *, eps):
    """The shape of x."""
    x, mean, var = inputs
    if len(x) < 2 or not math.prod(x) or mean != x[1:2] or var != x[1:2]:
        raise Misfit(f"needs x (samples, channels, ...) and two statistics (channels,), got {x}, {mean} and {var}")
    for role, shape in params.items():
        if shape != x[1:2]:
            raise Misfit(f"needs a {role} of shape {x[1:2]}, one for each channel of x {x}, got {shape}")
    return x


def param_shapes(inputs, size, *, eps):
    """One number for each channel."""
    return {"weight": inputs[0][1:2], "bias": inputs[0][1:2]}


def by_channel(array, x):
    """(C,) beside x (N, C, ...)."""
    return array.reshape(-1, *(1,) * (x.ndim - 2))


def scaled(p, z):
    """z weight + bias."""
    y = z * by_channel(p["weight"], z) if "weight" in p else z
    return y + by_channel(p["bias"], z) if "bias" in p else y


def numpy_forward(p, x, running_mean, running_var, *, eps):
    """The forward lines of the table."""
    m = by_channel(stop_gradient(running_mean), x)
    r = 1 / np.sqrt(by_channel(stop_gradient(running_var), x) + eps)
    z = (x - m) * r
    return scaled(p, z), (z, r, x, m)


def numpy_backward(p, saved, dy, *, eps):
    """One term, and the sums over the batch."""
    z, r, _, m = saved
    axes = (0, *range(2, dy.ndim))
    g = dy * by_channel(p["weight"], dy) if "weight" in p else dy
    dparams = {"weight": np.sum(dy * z, axis=axes), "bias": np.sum(dy, axis=axes)}
    none = np.zeros_like(m.reshape(-1))
    return (g * r, none, none), {role: dparams[role] for role in p}


def forward_as_torch(p, x, running_mean, running_var, *, eps):
    """Forward: x (r weight) + (bias - m r weight)."""
    _, (_, r, _, m) = numpy_forward(p, x, running_mean, running_var, eps=eps)
    return scaled({"bias": rounded(p["bias"])} if "bias" in p else {}, weighted_normal(p, x, m, r)), None


def weighted_normal(p, x, m, r):
    """z weight, in torch's order."""
    z = normal_as_torch(x, m, r)
    return z * by_channel(p["weight"], z) if "weight" in p else z


def torch_forward(torch, p, x, running_mean, running_var, *, eps):
    """The functional form of `torch.nn.BatchNorm1d` and `BatchNorm2d` in evaluation."""
    m, v = running_mean.detach(), running_var.detach()
    return torch.nn.functional.batch_norm(x, m, v, p.get("weight"), p.get("bias"), training=False, eps=eps)


def jax_forward(jax, p, x, running_mean, running_var, *, eps):
    """As haiku writes it."""
    m, v = (by_channel(jax.lax.stop_gradient(given), x) for given in (running_mean, running_var))
    return scaled(p, (x - m) * jax.lax.rsqrt(v + eps))


batch_norm_evaluation = Operation(
    name="batch_norm_evaluation",
    kind="layer",
    summary="y = (x - running_mean) / √(running_var + ε) weight + bias",
    inputs=("x", "running_mean", "running_var"),
    optional_params=("weight", "bias"),
    summed_params=("bias",),
    hypers={"eps": HyperSpec(default=1e-5, low=0.0, typical=(1e-3,), meaning="ε, added to the variance")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch", numpy_forward=forward_as_torch),),
    axes=(2, 3, 4),
    other_inputs=lambda x: [(x[1:2], x[1:2])],
    param_shapes=param_shapes,
    domains={"running_var": "nonnegative"},
    mistakes=(
        Mistake(
            "training_backward", "return (g * r, none, none)",
            "return (r * (g - np.mean(g, axis=axes, keepdims=True)), none, none)",
            "the mean differentiated, as in training",
        ),
        Mistake(
            "deviation_for_variance", "1 / np.sqrt(by_channel(stop_gradient(running_var), x) + eps)",
            "1 / (by_channel(stop_gradient(running_var), x) + eps)", "the running variance taken for the deviation",
        ),
        Mistake("weight_forgotten", 'g = dy * by_channel(p["weight"], dy) if "weight" in p else dy', "g = dy",
                "dx without the weight"),
    ),
)
