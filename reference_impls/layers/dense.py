"""Dense layer: a matrix product and a bias, in either of the layouts that textbooks use.

    layout       "rows": a sample per row        "columns": a sample per column
    shapes       x (batch, in), W (in, out)      x (in, batch), W (out, in)
                 b (out,) or (1, out)            b (out, 1)
    forward      y  = x W + b                    y  = W x + b
    backward     dx = dy Wᵀ                      dx = Wᵀ dy
                 dW = xᵀ dy                      dW = dy xᵀ
                 db = sum over samples of dy     db = sum over samples of dy

The bias is optional. Rows may have more axes in front, (batch, T, in): each of them is a sample, as in
`torch.nn.Linear` and Flax. No kinks: y is linear in each of x, W and b.
Goodfellow, Bengio, Courville, Deep Learning (2016), section 6.5.6.
"""

import math

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant


def output_shape(inputs, params, *, layout):
    """(batch, out), or (out, batch) for columns."""
    x, W = inputs[0], params["W"]
    rows = layout == "rows"
    if len(x) < 2 or (len(x) > 2 and not rows) or len(W) != 2:
        raise Misfit(f"needs x and W of two axes (x of more, where samples are rows), got x {x} and W {W}")
    features, outputs = (x[-1], W[1]) if rows else (x[0], W[0])
    needed = (features, outputs) if rows else (outputs, features)
    if needed != W:
        raise Misfit(f"needs W of shape {needed}, got {W}, because x is {x} and its samples are {layout}")
    biases = [(outputs,), (1, outputs)] if rows else [(outputs, 1)]
    if "b" in params and params["b"] not in biases:
        legal = " or ".join(map(str, biases))
        raise Misfit(f"needs b of shape {legal}, got {params['b']}, because W is {W} and samples are {layout}")
    return (*x[:-1], outputs) if rows else (outputs, x[1])


def param_shapes(inputs, size, *, layout):
    """W and b for so many outputs."""
    x = inputs[0]
    if len(x) < 2 or (len(x) > 2 and layout == "columns"):
        raise Misfit(f"needs x of two axes, or of more where samples are rows, got {x}")
    return {"W": (x[-1], size), "b": (size,)} if layout == "rows" else {"W": (size, x[0]), "b": (size, 1)}


def separable(axis, *, layout):
    """When the samples lie where the layout says."""
    return axis == (0 if layout == "rows" else 1)


def numpy_forward(p, x, *, layout):
    """Forward: y = x W + b, or W x + b."""
    y = x @ p["W"] if layout == "rows" else p["W"] @ x
    if "b" in p:
        y = y + p["b"]
    return y, x


def numpy_backward(p, x, dy, *, layout):
    """The two columns of the table above."""
    shape = x.shape
    if layout == "rows":
        x, dy = (each.reshape(math.prod(shape[:-1]), each.shape[-1]) for each in (x, dy))
        dx, dW = dy @ p["W"].T, x.T @ dy
        samples = 0
    else:
        dx, dW = p["W"].T @ dy, dy @ x.T
        samples = 1
    dx = dx.reshape(shape)
    if "b" not in p:
        return (dx,), {"W": dW}
    return (dx,), {"W": dW, "b": np.sum(dy, axis=samples).reshape(p["b"].shape)}


def forward_bias_first(p, x, *, layout):
    """Forward: the bias as one more term of the inner product, wherever it is added: `torch.addmm`, fused kernels."""
    if "b" not in p:
        return numpy_forward(p, x, layout=layout)
    if layout == "rows":
        ones, b = np.ones_like(x[..., :1]), p["b"].reshape(1, -1)
        return np.concatenate([x, ones], axis=-1) @ np.concatenate([p["W"], b], axis=0), x
    ones = np.ones_like(x[:1, :])
    return np.concatenate([p["W"], p["b"]], axis=1) @ np.concatenate([x, ones], axis=0), x


def torch_forward(torch, p, x, *, layout):
    """As on paper; `torch.nn.Linear` stores W transposed."""
    y = x @ p["W"] if layout == "rows" else p["W"] @ x
    return y + p["b"] if "b" in p else y


def jax_forward(jax, p, x, *, layout):
    """As on paper."""
    y = x @ p["W"] if layout == "rows" else p["W"] @ x
    return y + p["b"] if "b" in p else y


dense = Operation(
    name="dense",
    kind="layer",
    summary="y = x W + b (rows) or y = W x + b (columns)",
    inputs=("x",),
    params=("W",),
    optional_params=("b",),
    summed_params=("b",),
    hypers={"layout": HyperSpec(default="rows", choices=("rows", "columns"), meaning="where a sample stands")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="torch.addmm", numpy_forward=forward_bias_first),),
    param_shapes=param_shapes,
    separable=separable,
    mistakes=(
        Mistake(
            "rows_untransposed_weight", 'dx, dW = dy @ p["W"].T, x.T @ dy', 'dx, dW = dy @ p["W"], x.T @ dy',
            "Wᵀ forgotten on the way back: with a square W every shape still fits",
        ),
        Mistake(
            "columns_untransposed_weight", 'dx, dW = p["W"].T @ dy, dy @ x.T', 'dx, dW = p["W"] @ dy, dy @ x.T',
            "the same in the layout with a sample per column",
        ),
        Mistake(
            "transposed_weight_gradient", 'dx, dW = dy @ p["W"].T, x.T @ dy', 'dx, dW = dy @ p["W"].T, dy.T @ x',
            "dW = dyᵀ x instead of xᵀ dy: its transpose",
        ),
        Mistake(
            "bias_not_summed", '"b": np.sum(dy, axis=samples)', '"b": np.take(dy, 0, axis=samples)',
            "db = delta, right for one sample: the others are not summed",
        ),
        Mistake(
            "bias_averaged", '"b": np.sum(dy, axis=samples)', '"b": np.mean(dy, axis=samples)',
            "1/m applied to the bias gradient a second time",
        ),
        Mistake("bias_forgotten", 'y = y + p["b"]', "y = y + 0", "the bias is never added in the forward pass"),
    ),
)
