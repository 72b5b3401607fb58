"""Embedding: rows of a table, looked up by whole numbers.

    shapes       indices (...), whole numbers from 0 to V - 1; W (V, features); y (..., features)
    forward      y[s] = W[indices[s]]
    backward     dW[v] = sum of dy[s] over all places s with indices[s] = v        0 where v does not occur

It is a product with a matrix of ones and zeros, y = H W with H[s, v] = 1 where indices[s] = v, so dW = Hᵀ dy: a row
that is looked up three times gets three contributions. ``dW[indices] = dy`` keeps the last one alone.

`padding_index` is a row that is looked up like any other and gets no gradient, for what fills short sentences up; -1
means that there is none. It is torch's `padding_idx`, where -1 would count from the end; jax has none, and its users
stop the gradient. Out of range, torch and NumPy raise, and jax reads the last row and drops its gradient: here an index
is checked before anything runs. torch draws W from N(0, 1), flax from N(0, 1 / features).
Bengio, Ducharme, Vincent, Janvin, A Neural Probabilistic Language Model, JMLR 2003, section 2.
"""

import numpy as np

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from harness.stop_gradient import stop_gradient

VOCABULARY = 3
"""The rows of a generated table: few, so that indices repeat."""


def output_shape(inputs, params, *, padding_index):
    """(..., features)."""
    W = params["W"]
    if len(W) != 2 or not W[0]:
        raise Misfit(f"needs W (vocabulary, features) of at least one row, got {W}")
    if padding_index >= W[0]:
        raise Misfit(f"needs a padding index below {W[0]}, the rows of W {W}, got {padding_index}")
    return (*inputs[0], W[1])


def numpy_forward(p, indices, *, padding_index):
    """Forward: the padding row is a constant, the others are not."""
    W = p["W"]
    padding = np.arange(W.shape[0]) == padding_index
    return np.where(padding[:, None], stop_gradient(W), W)[indices], indices


def numpy_backward(p, indices, dy, *, padding_index):
    """Backward: dW = Hᵀ dy, with no column of H for the padding row."""
    W = p["W"]
    rows = np.arange(W.shape[0])
    H = (indices.reshape(-1, 1) == rows) & (rows != padding_index)
    dW = H.T.astype(dy.dtype) @ dy.reshape(-1, dy.shape[-1])
    return (None,), {"W": dW}


def backward_one_by_one(p, indices, dy, *, padding_index):
    """Backward: a scatter adds every look-up by itself to what is there; the k-th of each row are one part."""
    flat = indices.reshape(-1)
    turn = np.array([np.sum(flat[:place] == index) for place, index in enumerate(flat)], dtype=np.int64)
    parts = []
    for k in range(max(1, *turn + 1)):
        chosen = np.where(turn == k, flat, -1)  # a row that there is not
        parts.append(numpy_backward(p, chosen, dy, padding_index=padding_index)[1]["W"])
    return (None,), {"W": tuple(parts)}


def torch_forward(torch, p, indices, *, padding_index):
    """The functional form of `torch.nn.Embedding`."""
    padding = None if padding_index < 0 else padding_index
    return torch.nn.functional.embedding(indices, p["W"], padding_idx=padding)


def jax_forward(jax, p, indices, *, padding_index):
    """A look-up, as flax and equinox write it."""
    W = p["W"]
    if padding_index >= 0:
        W = W.at[padding_index].set(jax.lax.stop_gradient(W[padding_index]))
    return W[indices]


embedding = Operation(
    name="embedding",
    kind="layer",
    summary="y = W[indices]",
    inputs=("indices",),
    params=("W",),
    integers={"indices": lambda inputs, params, **hypers: (0, params["W"][0])},
    hypers={
        "padding_index": HyperSpec(default=-1, low=-1, typical=(0, 1), meaning="the row without gradient; -1: none"),
    },
    parts={"W": 2},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(Variant(who="jax", numpy_backward=backward_one_by_one),),
    axes=(2, 1),
    param_shapes=lambda inputs, size, **hypers: {"W": (VOCABULARY, size)},
    separable=lambda axis, **hypers: True,
    mistakes=(
        Mistake(
            "last_one_wins", "H = (indices.reshape(-1, 1) == rows)",
            "H = (indices.reshape(-1, 1) == rows) & (indices.reshape(-1, 1) != np.roll(indices.reshape(-1, 1), -1, 0))",
            "repeated indices in a row are written over and not added up",
        ),
        Mistake("padding_learned", " & (rows != padding_index)", "", "the padding row gets a gradient"),
        Mistake("averaged", "dW = H.T.astype(dy.dtype) @", "dW = (H / H.shape[0]).T.astype(dy.dtype) @",
                "1/m applied to the gradient of the table"),
    ),
)
