"""The running statistics of batch normalisation, one step on: what evaluation will normalise with.

    shapes       x (N, C, ...), running_mean and running_var (C,); the value (2, C): new mean, new variance
    forward      m = mean(x), v = sum((x - m)²) / (n - 1)    over the n numbers of one channel
                 new mean     = (1 - momentum) running_mean + momentum m
                 new variance = (1 - momentum) running_var  + momentum v
    backward     none: statistics are kept, not learned; dx = 0 and so on

Two conventions, each the source of wrong ports:

    momentum     torch: the weight of the new, 0.1; flax and Keras: the weight of the old, 0.99, which is 1 - torch's
    unbiased     torch: 1/(n - 1) for the running variance, 1/n for normalising; flax: 1/n for both

This card's momentum is torch's. A network is one step: the running statistics come in as inputs and go out as the
value, so steps in a row are nodes in a row.
Ioffe, Szegedy, Batch Normalization, ICML 2015, algorithm 2; `torch.nn.BatchNorm1d`.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation
from harness.stop_gradient import stop_gradient


def output_shape(inputs, params, *, momentum, unbiased):
    """(2, channels)."""
    x, mean, var = inputs
    if len(x) < 2 or not math.prod(x) or mean != x[1:2] or var != x[1:2]:
        raise Misfit(f"needs x (samples, channels, ...) and two statistics (channels,), got {x}, {mean} and {var}")
    if math.prod(x) == x[1]:
        raise Misfit(f"needs more than one number in each channel, got x {x}")
    return (2, x[1])


def numpy_forward(p, x, running_mean, running_var, *, momentum, unbiased):
    """The forward lines of the table."""
    axes = (0, *range(2, x.ndim))
    m = np.mean(x, axis=axes, keepdims=True)
    n = x.size // m.size
    v = np.sum(np.square(x - m), axis=axes) / (n - 1 if unbiased else n)
    mean = (1 - momentum) * running_mean + momentum * m.reshape(-1)
    var = (1 - momentum) * running_var + momentum * v
    return stop_gradient(np.stack([mean, var])), (x, running_mean, running_var)


def numpy_backward(p, saved, dy, *, momentum, unbiased):
    """Nothing flows back."""
    return tuple(np.zeros_like(given) for given in saved), {}


def torch_forward(torch, p, x, running_mean, running_var, *, momentum, unbiased):
    """torch updates its buffers in place while it normalises; the biased variance is written out."""
    x, mean, var = x.detach(), running_mean.detach().clone(), running_var.detach().clone()
    torch.nn.functional.batch_norm(x, mean, var, training=True, momentum=momentum)
    if not unbiased:
        v = torch.var(x, (0, *range(2, x.ndim)), correction=0)
        var = (1 - momentum) * running_var.detach() + momentum * v
    return torch.stack((mean, var))


def jax_forward(jax, p, x, running_mean, running_var, *, momentum, unbiased):
    """As flax keeps them, with its momentum 1 - momentum."""
    axes = (0, *range(2, x.ndim))
    m, v = jax.numpy.mean(x, axes), jax.numpy.var(x, axes, ddof=1 if unbiased else 0)
    mean = (1 - momentum) * running_mean + momentum * m
    var = (1 - momentum) * running_var + momentum * v
    return jax.lax.stop_gradient(jax.numpy.stack((mean, var)))


batch_norm_statistics = Operation(
    name="batch_norm_statistics",
    kind="layer",
    summary="running mean and variance, moved toward those of the batch; no gradient",
    inputs=("x", "running_mean", "running_var"),
    hypers={
        "momentum": HyperSpec(default=0.1, low=0.0, high=1.0, typical=(0.01,), meaning="weight of the new statistics"),
        "unbiased": HyperSpec(default=True, choices=(True, False), meaning="whether the variance is over n - 1"),
    },
    parts={"x": 3},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3, 4),
    other_inputs=lambda x: [(x[1:2], x[1:2])],
    domains={"running_var": "nonnegative"},
    mistakes=(
        Mistake(
            "momentum_of_the_old", "mean = (1 - momentum) * running_mean + momentum * m.reshape(-1)",
            "mean = momentum * running_mean + (1 - momentum) * m.reshape(-1)",
            "flax's momentum read as torch's",
        ),
        Mistake(
            "biased_and_unbiased_exchanged", "(n - 1 if unbiased else n)", "(n if unbiased else n - 1)",
            "the normalising variance kept as the running one",
        ),
        Mistake("exchanged", "np.stack([mean, var])", "np.stack([var, mean])", "mean and variance exchanged"),
        Mistake(
            "learned", "return tuple(np.zeros_like(given) for given in saved), {}",
            "return (np.zeros_like(saved[0]), (1 - momentum) * dy[0], (1 - momentum) * dy[1]), {}",
            "statistics that get a gradient",
        ),
    ),
)
