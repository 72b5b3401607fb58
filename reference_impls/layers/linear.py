"""Linear layer in torch's layout: W has a row for each output. `dense` is the same with W transposed.

    shapes       x (..., in), W (out, in), b (out,), y (..., out)
    forward      y = x Wᵀ + b
    backward     dx = dy W
                 dW = dyᵀ x            summed over samples, and any other axes in front
                 db = sum of dy        over the same

The layout of `torch.nn.Linear`; flax, haiku and Keras keep W as (in, out), so a ported W has to be transposed, and a
square one can be forgotten. A W of (vocabulary, features) can be the table of an `embedding` as well: tied weights.
The bias is optional. No kinks: y is linear in each of x, W and b.
Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6. Press, Wolf, Using the Output Embedding to Improve
Language Models, EACL 2017.
"""

import math

import numpy as np

from harness.spec import Misfit, Mistake, Operation, Variant


def output_shape(inputs, params):
    """(..., out)."""
    x, W = inputs[0], params["W"]
    if len(x) < 2 or len(W) != 2 or x[-1] != W[1] or not math.prod(x):
        raise Misfit(f"needs x (..., in), not empty, and W (out, in), got x {x} and W {W}")
    if params.get("b", W[:1]) != W[:1]:
        raise Misfit(f"needs b of shape {W[:1]}, because W is {W}, got {params['b']}")
    return (*x[:-1], W[0])


def param_shapes(inputs, size):
    """W and b for so many outputs."""
    if not inputs[0]:
        raise Misfit("needs x of at least one axis, the last for the features")
    return {"W": (size, inputs[0][-1]), "b": (size,)}


def numpy_forward(p, x):
    """Forward: y = x Wᵀ + b."""
    y = x @ p["W"].T
    return y + p["b"] if "b" in p else y, x


def numpy_backward(p, x, dy):
    """Backward: every place in front of the features is a sample."""
    samples = dy.reshape(-1, dy.shape[-1])
    dparams = {"W": samples.T @ x.reshape(-1, x.shape[-1]), "b": np.sum(samples, axis=0)}
    return (dy @ p["W"],), {role: dparams[role] for role in p}


def forward_bias_first(p, x):
    """Forward: the bias as one more term of the inner product, wherever it is added: fused kernels."""
    if "b" not in p:
        return numpy_forward(p, x)
    with_one = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    return with_one @ np.concatenate([p["W"], p["b"].reshape(-1, 1)], axis=1).T, x


def torch_forward(torch, p, x):
    """The functional form of `torch.nn.Linear`."""
    return torch.nn.functional.linear(x, p["W"], p.get("b"))


def jax_forward(jax, p, x):
    """As equinox writes it, which has torch's layout too."""
    y = x @ p["W"].T
    return y + p["b"] if "b" in p else y


linear = Operation(
    name="linear",
    kind="layer",
    summary="y = x Wᵀ + b",
    inputs=("x",),
    params=("W",),
    optional_params=("b",),
    summed_params=("b",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch.addmm", numpy_forward=forward_bias_first),),
    axes=(2, 3),
    param_shapes=param_shapes,
    separable=lambda axis: axis == 0,
    mistakes=(
        Mistake(
            "transposed_on_the_way_back", 'return (dy @ p["W"],)', 'return (dy @ p["W"].T,)',
            "dy Wᵀ, which is right for the other layout: with a square W every shape fits",
        ),
        Mistake(
            "transposed_weight_gradient", "samples.T @ x.reshape(-1, x.shape[-1])",
            "x.reshape(-1, x.shape[-1]).T @ samples", "xᵀ dy, which is right for the other layout",
        ),
        Mistake(
            "bias_averaged", '"b": np.sum(samples', '"b": np.mean(samples',
            "1/m applied to the bias gradient a second time",
        ),
    ),
)
