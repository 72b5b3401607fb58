"""Scaled dot-product attention in which a mask says which query sees which key.

    shapes     q (.., T, d), k (.., S, d), v (.., S, e), y (.., T, e); .. is (batch, heads), torch's order, or (batch,)
               mask of whole numbers, 1 for seen and 0 for not: (T, S), or with as many axes as q, each as long or 1
    forward    s = q kᵀ / √d,  w = softmax of s over the keys that are seen, 0 elsewhere,  y = w v
    backward   as in `attention`; ds is 0 where the key is not seen

    unseeing   a query that sees no key at all: a padded row, 0 / 0
    "zero"     w = 0, y = 0: torch's scaled_dot_product_attention, and `jax.nn.softmax(s, where=mask)`
    "mean"     w = 1 / S, y = mean of all values: a score of the most negative number in place of minus infinity, as in
               `jax.nn.dot_product_attention`, Flax, and many tutorials. Padding leaks into y and dv.
    With minus infinity and a plain softmax such a query gives NaN, in torch and jax alike.

No kinks. Vaswani et al., Attention Is All You Need (2017), section 3.2.3.
"""

from harness.spec import HyperSpec, Misfit, Mistake, Operation, Variant
from reference_impls.layers._attention import (
    attend_back_apart,
    attend_back_from_output,
    attend_divided_last,
    keys_and_values,
    scores_shape,
)
from reference_impls.layers.attention import attend, attend_back


def output_shape(inputs, params, *, unseeing):
    """(.., T, e)."""
    q, k, v, mask = inputs
    scores = scores_shape(q, k, v)
    whole = len(mask) == len(scores) and all(size in (1, full) for size, full in zip(mask, scores, strict=True))
    if mask != scores[-2:] and not whole:
        raise Misfit(f"needs a mask of shape {scores[-2:]}, or {scores} with any axis of length 1, got {mask}")
    return (*scores[:-1], v[-1])


def other_inputs(q):
    """Keys and values, and a mask for all samples or for each."""
    return [
        (k, v, mask)
        for k, v in keys_and_values(q)
        for mask in ((q[-2], k[-2]), (q[0], *(1,) * (len(q) - 3), q[-2], k[-2]))
    ]


def numpy_forward(p, q, k, v, mask, *, unseeing):
    """Forward: the table above."""
    return attend(q, k, v, mask != 0, unseeing)


def numpy_backward(p, saved, dy, *, unseeing):
    """Backward: the table above."""
    return (*attend_back(saved, dy), None), {}


def backward_apart(p, saved, dy, *, unseeing):
    """Backward: as jax has it."""
    return (*attend_back_apart(saved, dy), None), {}


def forward_divided_last(p, q, k, v, mask, *, unseeing):
    """Forward: as torch has it where queries that see nothing give 0."""
    if unseeing == "mean":
        return numpy_forward(p, q, k, v, mask, unseeing=unseeing)
    return attend_divided_last(q, k, v, mask != 0)


def backward_from_output(p, saved, dy, *, unseeing):
    """Backward: as torch has it where queries that see nothing give 0."""
    if unseeing == "mean":
        return numpy_backward(p, saved, dy, unseeing=unseeing)
    return (*attend_back_from_output(saved, dy), None), {}


def torch_forward(torch, p, q, k, v, mask, *, unseeing):
    """One call for "zero"; for "mean" the formula, which is how it is written where that comes about."""
    if unseeing == "zero":
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask != 0)
    s = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return torch.softmax(s.masked_fill(mask == 0, torch.finfo(s.dtype).min), dim=-1) @ v


def jax_forward(jax, p, q, k, v, mask, *, unseeing):
    """As on paper; the most negative number is what Flax puts in."""
    jnp = jax.numpy
    s = jnp.einsum("...td,...sd->...ts", q, k) / jnp.sqrt(q.shape[-1])
    if unseeing == "zero":
        w = jax.nn.softmax(s, axis=-1, where=mask != 0)
    else:
        w = jax.nn.softmax(jnp.where(mask != 0, s, jnp.finfo(s.dtype).min), axis=-1)
    return jnp.einsum("...ts,...se->...te", w, v)


masked_attention = Operation(
    name="masked_attention",
    kind="layer",
    summary="y = softmax(q kᵀ / √d) v over the keys that a mask shows",
    inputs=("q", "k", "v", "mask"),
    hypers={"unseeing": HyperSpec(default="zero", choices=("zero", "mean"), meaning="what a query without keys gives")},
    output_shape=output_shape,
    numpy_forward=numpy_forward,
    numpy_backward=numpy_backward,
    torch_forward=torch_forward,
    jax_forward=jax_forward,
    variants=(
        Variant(who="torch", numpy_forward=forward_divided_last),
        Variant(who="torch", numpy_backward=backward_from_output),
        Variant(who="jax", numpy_backward=backward_apart),
    ),
    integers={"mask": lambda inputs, params, **hypers: (0, 2)},
    axes=(4, 3),
    other_inputs=other_inputs,
    mistakes=(
        Mistake(
            "mask_inverted", "attend(q, k, v, mask != 0, unseeing)", "attend(q, k, v, mask == 0, unseeing)",
            "1 taken for hidden, as torch's key_padding_mask has it",
        ),
        Mistake(
            "mask_forgotten", "attend(q, k, v, mask != 0, unseeing)", "attend(q, k, v, mask >= 0, unseeing)",
            "every query sees every key",
        ),
        Mistake(
            "other_convention", "attend(q, k, v, mask != 0, unseeing)",
            'attend(q, k, v, mask != 0, "mean" if unseeing == "zero" else "zero")',
            "a query that sees nothing gives the mean of all values where 0 is meant, and the other way round",
        ),
        Mistake(
            "mask_transposed", "attend(q, k, v, mask != 0, unseeing)",
            "attend(q, k, v, mask.swapaxes(-1, -2) != 0, unseeing)",
            "the mask read as (key, query): with as many of both, every shape fits",
        ),
    ),
)
