"""How torch and jax compute what layer, group and batch normalisation have in common: variants of these cards.

Of x, m and v are the mean and the biased variance of n numbers, r = 1 / √(v + ε), z = (x - m) r, and g is dL/dz. What
the cards write as r (g - mean(g) - z mean(g z)) is here in the order of the frameworks.
"""

import math

import numpy as np

from harness.spec import Variant


def rounded(x, roundings=4):
    """x times a 1 that is computed as 3 (1/3): it stays the same number, and the bound learns of so many roundings."""
    return x * (3 * (1 / np.full_like(x, 3.0))) ** math.ceil(roundings / 4)


def moments_as_torch(x, axes, eps):
    """m and r by Welford's updates m + (x - m) / k, which round even where a sum rounds nothing.

    From the second on, an update rounds (x - m) / k three times and m once. Over K updates that is at most
    u sum(|x|) / n times K - 1 + 3 (1 + 1/2 + ... + 1/(K - 1)), of which a sum has the K - 1 too. torch has 3 chains,
    of up to 16 registers, of what fills none, and of the lanes of a register.
    """
    n = math.prod(x.shape[axis] for axis in axes)
    chains = [(min(n // lanes, 16), n % lanes, lanes + 1 if n >= lanes else 0) for lanes in (2, 4, 8, 16)]
    roundings = max(sum(3 / k for length in three for k in range(1, length)) for three in chains)
    m = np.mean(rounded(x, roundings), axis=axes, keepdims=True)
    return m, 1 / np.sqrt(np.mean(np.square(x - m), axis=axes, keepdims=True) + eps)


def normal_as_torch(x, m, r, roundings=4):
    """z = x r + (-m r): the roundings of the two products stay, where the mean is large beside the deviation.

    The error of r cancels, which a bound over the two products would not know.
    """
    return (rounded(x, roundings) - rounded(m, roundings)) * r


def slope_as_torch(g, x, m, r, axes):
    """dx = r g + B x + C, with B = (m sum(g) - sum(g x)) r³ / n and C = -B m - sum(g) r / n."""
    n, sum_g = x.size // r.size, np.sum(g, axis=axes, keepdims=True)
    slope = (sum_g * m - np.sum(g * x, axis=axes, keepdims=True)) * r * r * r / n
    return r * g + slope * (rounded(x) - rounded(m)) - sum_g * r / n


def slope_by_parts(g, x, m, r, axes):
    """Back through z = c r, v = mean(c²) and c = x - m, one after the other, as automatic differentiation does it.

    jax's line uses x four times, in the mean, beside it, and in the variance again: four parts, added in any order.
    """
    n, c = x.size // r.size, x - m
    dv = -0.5 * r * r * r * np.sum(g * c, axis=axes, keepdims=True)
    direct, through_v = g * r, 2 * c * dv / n
    through_m = (np.broadcast_to(-np.mean(dc, axis=axes, keepdims=True), x.shape) for dc in (direct, through_v))
    return (direct, through_v, *through_m)


def backward_as_jax(numpy_backward, weighted, axes_of):
    """The backward pass of a card that saves (z, r, x, m), with dx by parts. `weighted(p, z)` is the card's scale.

    x and z are saved in a shape whose axes `axes_of(x, **h)` are normalised over.
    """

    def backward(p, saved, dy, *, eps, **h):
        _, r, x, m = saved
        _, dparams = numpy_backward(p, saved, dy, eps=eps, **h)
        g = weighted(p, dy).reshape(x.shape)
        parts = slope_by_parts(g, x, m, r, axes_of(x, **h))
        return (tuple(part.reshape(dy.shape) for part in parts),), dparams

    return backward


def variants(numpy_forward, numpy_backward, weighted, shifted, axes_of, places=lambda dy: 0):
    """Layer and group normalisation in torch's kernels, and in jax; `shifted(p, y)` is the card's shift.

    For dweight = sum(dy z) torch first sums dy x and dy over so many `places`, and then takes m out, and r.
    """

    def forward_as_torch(p, x, *, eps, **h):
        _, (_, _, rows, _) = numpy_forward(p, x, eps=eps, **h)
        m, r = moments_as_torch(rows, axes_of(rows, **h), eps)
        y = weighted(p, normal_as_torch(rows, m, r).reshape(x.shape))
        return shifted({role: rounded(array) for role, array in p.items()}, y), None  # the shift may join -m r weight

    def backward_as_torch(p, saved, dy, *, eps, **h):
        x = saved[2]
        m, r = moments_as_torch(x, axes_of(x, **h), eps)
        z = normal_as_torch(x, m, r, 4 + places(dy))
        _, dparams = numpy_backward(p, (z, r, x, m), dy, eps=eps, **h)
        g = weighted(p, dy).reshape(x.shape)
        return (slope_as_torch(g, x, m, r, axes_of(x, **h)).reshape(dy.shape),), dparams

    return (
        Variant(who="torch", numpy_forward=forward_as_torch, numpy_backward=backward_as_torch),
        Variant(who="jax", numpy_backward=backward_as_jax(numpy_backward, weighted, axes_of)),
    )
