"""A pre-norm transformer block, put together from cards: attention and a small network, each beside a residual path."""

from __future__ import annotations

import numpy as np

from harness.case import Case, Dtype, Node
from harness.spec import Array, Shape
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, sgd

BATCH, STEPS, WIDTH, INNER, HEADS = 2, 4, 8, 16, 2

SHAPES: dict[str, Shape] = {
    **{f"W_{one}": (WIDTH, WIDTH) for one in "qkvo"},
    **{f"b_{one}": (WIDTH,) for one in "qkvo"},
    "W1": (WIDTH, INNER),
    "b1": (INNER,),
    "W2": (INNER, WIDTH),
    "b2": (WIDTH,),
    "shift1": (WIDTH,),
    "shift2": (WIDTH,),
}


def _numbers(shape: Shape, stride: int) -> Array:
    """Multiples of 1/64 between -1/2 and 1/2 in an order that looks random, the same everywhere."""
    count = int(np.prod(shape))
    return np.asarray((np.arange(1, count + 1) * stride % 64 - 32) / 64).reshape(shape)


def _block(title: str, dtype: Dtype, *, causal: bool, steps: int = 0) -> Case:
    attention = {f"{kind}_{one}": f"{kind}_{one}" for kind in "Wb" for one in "qkvo"}
    return build(
        title,
        [
            Node("n1", "layer_norm", ["x"], {"weight": "scale1", "bias": "shift1"}),
            Node("a", "multi_head_attention", ["n1"], attention, {"heads": HEADS, "causal": causal}),
            apply("r", "add", "x", "a"),
            Node("n2", "layer_norm", ["r"], {"weight": "scale2", "bias": "shift2"}),
            Node("z1", "dense", ["n2"], {"W": "W1", "b": "b1"}),
            apply("g", "gelu_tanh", "z1"),
            Node("z2", "dense", ["g"], {"W": "W2", "b": "b2"}),
            apply("y", "add", "r", "z2"),
        ],
        apply("L", "squared_error", "y", "target", reduction="mean"),
        inputs={"x": 4 * _numbers((BATCH, STEPS, WIDTH), 23)},
        constants={"target": _numbers((BATCH, STEPS, WIDTH), 13)},
        params={
            **{name: _numbers(shape, 2 * place + 11) for place, (name, shape) in enumerate(SHAPES.items())},
            "scale1": np.ones(WIDTH),
            "scale2": np.ones(WIDTH),
        },
        dtype=dtype,
        optimizer=sgd(0.1) if steps else None,
        steps=steps,
    )


EXPLANATION = (
    "y = r + W2 gelu(W1 norm(r)) with r = x + attention(norm(x)). Each of x and r is used twice, so its gradient is "
    "the sum of what comes through the residual path and of what comes through the layer norm beside it."
)
NO_GRADIENT = Remark(
    kind="note",
    text="The gradient of b_k, the bias of the keys, is 0: it adds the same to all scores of a query, and the softmax "
    "ignores that. Whatever a program prints there is rounding, and optimizers that divide by its size, as Adam does, "
    "move b_k at full speed.",
    quantity=Quantity(0, "grad", "b_k"),
)

TRANSFORMER_BLOCK = WorkedExample(
    key="transformer-block",
    title="A pre-norm transformer block",
    source="Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.3; with numbers of "
    "our own",
    shows="A block of layer norm, causal attention with two heads, and a small network with GELU, put together from "
    "cards, and where gradients meet at the residual paths.",
    cases=(
        WorkedCase(
            key="causal",
            title="Causal, float64, and one SGD step",
            case=_block("pre-norm transformer block, causal, one SGD step of 0.1", "float64", causal=True, steps=1),
            explanation=EXPLANATION,
            remarks=(NO_GRADIENT,),
        ),
        WorkedCase(
            key="float32",
            title="Every step sees every other, float32",
            case=_block("pre-norm transformer block", "float32", causal=False),
            explanation=EXPLANATION,
        ),
    ),
)
