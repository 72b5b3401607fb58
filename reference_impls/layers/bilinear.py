"""Bilinear layer: each output is a form in two inputs.

    shapes       x1 (..., m), x2 (..., n), A (out, m, n), b (out,), y (..., out)
    forward      y_k = x1ᵀ A_k x2 + b_k        for each sample: the sum over i, j of x1_i A_kij x2_j
    backward     dx1_i  = sum over k, j of dy_k A_kij x2_j
                 dx2_j  = sum over k, i of dy_k A_kij x1_i
                 dA_kij = sum over samples of dy_k x1_i x2_j
                 db_k   = sum over samples of dy_k

Each derivative is the sum of the forward pass with one factor exchanged for dy. The bias is optional. No kinks.
The layout of `torch.nn.Bilinear`. Socher, Chen, Manning, Ng, Reasoning With Neural Tensor Networks, NeurIPS 2013.
"""

import math

import numpy as np

from harness.spec import Misfit, Mistake, Operation


def output_shape(inputs, params):
    """(..., out)."""
    (x1, x2), A = inputs, params["A"]
    if len(x1) < 2 or x1[:-1] != x2[:-1] or A[1:] != (*x1[-1:], *x2[-1:]) or not math.prod(x1 + x2):
        raise Misfit(f"needs x1 (..., m), x2 (..., n), not empty, and A (out, m, n), got {x1}, {x2} and {A}")
    if params.get("b", A[:1]) != A[:1]:
        raise Misfit(f"needs b of shape {A[:1]}, because A is {A}, got {params['b']}")
    return (*x1[:-1], A[0])


def param_shapes(inputs, size):
    """A and b for so many outputs."""
    x1, x2 = inputs
    if not x1 or not x2:
        raise Misfit(f"needs inputs with axes, got {x1} and {x2}")
    return {"A": (size, x1[-1], x2[-1]), "b": (size,)}


def numpy_forward(p, x1, x2):
    """Forward: the places in front of the features are samples s."""
    rows1, rows2 = x1.reshape(-1, x1.shape[-1]), x2.reshape(-1, x2.shape[-1])
    y = np.einsum("si,kij,sj->sk", rows1, p["A"], rows2)
    y = y + p["b"] if "b" in p else y
    return y.reshape(*x1.shape[:-1], -1), (x1, x2, rows1, rows2)


def numpy_backward(p, saved, dy):
    """Backward: dy for the factor whose derivative it is."""
    x1, x2, rows1, rows2 = saved
    rows = dy.reshape(-1, dy.shape[-1])
    dx1 = np.einsum("sk,kij,sj->si", rows, p["A"], rows2).reshape(x1.shape)
    dx2 = np.einsum("sk,kij,si->sj", rows, p["A"], rows1).reshape(x2.shape)
    dparams = {"A": np.einsum("sk,si,sj->kij", rows, rows1, rows2), "b": np.sum(rows, axis=0)}
    return (dx1, dx2), {role: dparams[role] for role in p}


def torch_forward(torch, p, x1, x2):
    """The functional form of `torch.nn.Bilinear`."""
    return torch.nn.functional.bilinear(x1, x2, p["A"], p.get("b"))


def jax_forward(jax, p, x1, x2):
    """As on paper; einsum contracts two at a time."""
    y = jax.numpy.einsum("...i,kij,...j->...k", x1, p["A"], x2)
    return y + p["b"] if "b" in p else y


bilinear = Operation(
    name="bilinear",
    kind="layer",
    summary="y_k = x1ᵀ A_k x2 + b_k",
    inputs=("x1", "x2"),
    params=("A",),
    optional_params=("b",),
    summed_params=("b",),
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    axes=(2, 3),
    other_inputs=lambda x1: [((*x1[:-1], size),) for size in (2, 3)],
    param_shapes=param_shapes,
    separable=lambda axis: axis == 0,
    mistakes=(
        Mistake(
            "matrix_transposed", "si,kij,sj->sk", "sj,kij,si->sk",
            "x2ᵀ A_k x1: with inputs of one size every shape fits",
        ),
        Mistake(
            "one_input_forgotten", "np.einsum(\"sk,kij,si->sj\", rows, p[\"A\"], rows1)",
            "np.einsum(\"sk,kij->sj\", rows, p[\"A\"])", "dx2 without the factor x1",
        ),
        Mistake(
            "symmetric_matrix", "np.einsum(\"sk,kij,sj->si\", rows, p[\"A\"], rows2)",
            "2 * np.einsum(\"sk,kij,sj->si\", rows, p[\"A\"], rows2)", "2 A x, the gradient of xᵀ A x",
        ),
    ),
)
