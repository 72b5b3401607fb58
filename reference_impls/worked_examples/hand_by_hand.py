"""A 2-2-1 sigmoid net trained for 10,000 steps, and six ways to take it further."""

from __future__ import annotations

from typing import Any

from harness.case import Case, Node, OptimizerSpec
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, chain, columns, dense, sgd

X = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [-1.0, 1.0]]
Y = [[0.0], [1.0], [1.0], [0.0]]

# The tutorial draws its start without a seed. This one was drawn once, in its order, with
# numpy.random.RandomState(0).rand, and rounded to four digits; these digits are the record.
START = {
    "W1": [[0.5488, 0.7152], [0.6028, 0.5449]],
    "b1": [[0.4237, 0.6459]],
    "W2": [[0.4376], [0.8918]],
    "b2": [[0.9637]],
}
LONG_RECORD = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
NODES = chain("rows", "z{}", "a{}", "sigmoid", "sigmoid")
HALF_SQUARES = apply("L", "squared_error", "a2", "y", reduction="half_sum")
STEP = sgd(0.1)


def _net(
    title: str,
    *loss: Node,
    nodes: list[Node] = NODES,
    x: Any = X,
    y: Any = Y,
    steps: int = 0,
    optimizer: OptimizerSpec = STEP,
    record: tuple[int, ...] = (),
) -> Case:
    return build(
        title,
        nodes,
        *(loss or (HALF_SQUARES,)),
        inputs={"x": x},
        constants={"y": y},
        params=START,
        optimizer=optimizer if steps else None,
        steps=steps,
        record=record,
    )


def _single(number: int, remark: str) -> WorkedCase:
    return WorkedCase(
        key=f"batch-sample-{number}",
        title=f"Sample {number} alone",
        case=_net(f"2-2-1 sigmoid, half squared error, sample {number} alone", x=[X[number - 1]], y=[Y[number - 1]]),
        explanation=f"Row {number} of the batch: {remark}. The gradients of the four single samples add up to the "
        f"batch's.",
    )


HAND_BY_HAND = WorkedExample(
    key="hand-by-hand",
    title="A small sigmoid net and its six extensions",
    source='"Backpropagation Hand by Hand", a blog post by Karobben (2025-04-28)',
    shows="A long training run by plain gradient descent, then other losses, weight decay, batches and Adam on the "
    "same net.",
    cases=(
        WorkedCase(
            key="training",
            title="10,000 steps of gradient descent",
            case=_net("2-2-1 sigmoid, half squared error, 10,000 SGD steps of 0.1", steps=10_000, record=LONG_RECORD),
            explanation=(
                "Four samples in rows, all used in every step. The loss is half the squared error, summed over the "
                "samples. The tutorial prints nothing that could be compared and sets no seed, so the start is ours. "
                "From it the loss falls from 0.7508 to 0.001669."
            ),
            remarks=(
                Remark(
                    kind="error",
                    text="The data are called XOR and are not: the last row is (-1, 1), where XOR has (1, 1). "
                    "A straight line separates these four points, so no hidden layer is needed.",
                    evidence="3·x1 + 2·x2 - 1 is -1, 1, 2, -2 at the four rows: positive exactly where the target is "
                    "1. "
                    "No line does that for XOR.",
                ),
                Remark(
                    kind="trap",
                    text="The function called sigmoid_derivative computes x (1 - x): it wants the activation, not the "
                    "pre-activation. The code passes the activation, so it is right as used.",
                    evidence="At the first sample z2 = 1.81327 and a2 = 0.85976. Given a2 it returns 0.12058, the "
                    "slope; given z2 it would return -1.47467, and a slope of the sigmoid is never negative.",
                ),
                Remark(
                    kind="trap",
                    text="The code's loss is never summed: it is an array of four numbers, and only its gradient is "
                    "used. "
                    "That gradient is the one of the sum. The text calls it a mean; a mean would make each step a "
                    "quarter as long.",
                    evidence="The deltas are summed over the rows and not divided by 4.",
                    quantity=Quantity(0, "value", "loss"),
                ),
                Remark(
                    kind="note",
                    text="The text asks for small random weights. The code draws from 0 to 1: not small, and never "
                    "negative.",
                    evidence="It calls np.random.rand for all four parameters, without a seed.",
                ),
            ),
        ),
        WorkedCase(
            key="hidden-deltas",
            title="Extension 1: the hidden deltas",
            case=_net("2-2-1 sigmoid, half squared error, one SGD step of 0.1", steps=1),
            explanation=(
                "delta2 is the gradient of z2 and delta1 that of z1, one row per sample. "
                "delta1 = (delta2 W2ᵀ) ⊙ a1 (1 - a1)."
            ),
            remarks=(
                Remark(
                    kind="error",
                    text="In the list of steps the delta of a hidden layer is the next delta times W, not transposed. "
                    "The code, and the tutorial's own first extension, transpose W.",
                    evidence="delta2 is (4,1) and W2 is (2,1): NumPy refuses, 'shapes (4,1) and (2,1) not aligned'. "
                    "In the text's own convention z = W a + b the delta is a column and Wᵀ has to stand before it.",
                    quantity=Quantity(0, "grad", "z1"),
                ),
                Remark(
                    kind="error",
                    text="The text calls the last layer's delta the gradient with respect to the layer's output. It "
                    "is the "
                    "gradient with respect to the pre-activation, as the formula beside it says.",
                    evidence="At the first sample the gradient of a2 is 0.8597565 and delta2 is 0.1036654.",
                    quantity=Quantity(0, "grad", "z2"),
                ),
            ),
        ),
        WorkedCase(
            key="columns",
            title="Extension 1, in the text's own layout",
            case=build(
                "2-2-1 sigmoid in columns, half squared error, one SGD step of 0.1",
                chain("columns", "z{}", "a{}", "sigmoid", "sigmoid"),
                HALF_SQUARES,
                inputs={"x": columns(X)},
                constants={"y": columns(Y)},
                params={name: columns(value) for name, value in START.items()},
                optimizer=STEP,
                steps=1,
            ),
            explanation="The same net with samples in columns, z = W a + b. Every gradient is the transpose of the "
            "other layout's.",
            remarks=(
                Remark(
                    kind="trap",
                    text="The text's formulas are for columns, delta aᵀ; the code's are for rows, aᵀ delta. Each is "
                    "right in "
                    "its own layout, and mixing them is not.",
                    evidence="With the code's arrays delta1 xᵀ has shape (4,4), not (2,2).",
                    quantity=Quantity(0, "grad", "W1"),
                ),
            ),
        ),
        WorkedCase(
            key="bias-sums",
            title="Extension 2: biases sum over samples",
            case=_net("2-2-1 sigmoid, half squared error, three SGD steps of 0.1", steps=3),
            explanation="One bias serves every sample, so its gradient is the sum of the samples' deltas.",
            remarks=(
                Remark(
                    kind="error",
                    text="In the list of steps the bias update has no sum over samples. The code and the tutorial's "
                    "first "
                    "formula have it.",
                    evidence="delta1 is (4,2) and b1 is (1,2): b1 -= 0.1·delta1 raises ValueError, and "
                    "b1 = b1 - 0.1·delta1 silently makes b1 (4,2). The sum is (0.0195236, 0.0391497).",
                    quantity=Quantity(0, "grad", "b1"),
                ),
            ),
        ),
        WorkedCase(
            key="cross-entropy",
            title="Extension 3: cross-entropy on probabilities",
            case=_net(
                "2-2-1 sigmoid, binary cross-entropy on probabilities, five SGD steps of 0.1",
                apply("L", "binary_cross_entropy", "a2", "y", reduction="sum", clip=0.0),
                steps=5,
            ),
            explanation=(
                "The gradient of a2 is (a2 - y) / (a2 (1 - a2)); times the slope of the sigmoid this is delta2 = a2 - "
                "y. "
                "At the start: 0.8597565, -0.1224120, -0.1201460, 0.8561617."
            ),
            remarks=(
                Remark(
                    kind="trap",
                    text="Exact on paper, not in floating point: when a2 rounds to 1 the division is by zero. Working "
                    "on "
                    "the logit avoids it.",
                    evidence="In float64 the sigmoid of 40 is exactly 1.0.",
                    quantity=Quantity(0, "grad", "z2"),
                ),
            ),
        ),
        WorkedCase(
            key="cross-entropy-logits",
            title="Extension 3: cross-entropy on logits",
            case=_net(
                "2-2-1 sigmoid, binary cross-entropy on logits, five SGD steps of 0.1",
                apply("L", "binary_cross_entropy_with_logits", "z2", "y", reduction="sum"),
                nodes=[*chain("rows", "z{}", "a{}", "sigmoid"), dense("z2", "a1", 2, "rows")],
                steps=5,
            ),
            explanation="The same loss computed from z2 directly. The gradients equal those on probabilities to "
            "within rounding.",
        ),
        WorkedCase(
            key="weight-decay",
            title="Extension 4: weight decay in the loss",
            case=_net(
                "2-2-1 sigmoid, half squared error with L2 penalty 0.01 on the weights, five SGD steps of 0.1",
                HALF_SQUARES,
                Node("decay1", "l2_penalty", [], {"w": "W1"}, {"strength": 0.01}),
                Node("decay2", "l2_penalty", [], {"w": "W2"}, {"strength": 0.01}),
                steps=5,
            ),
            explanation="0.01/2 times the sum of squares of W1 and W2 is added to the loss, so 0.01·W is added to each "
            "weight gradient. Biases are left alone.",
            remarks=(
                Remark(
                    kind="note",
                    text="A penalty in the loss and shrinking the weights in the update are the same thing under plain "
                    "gradient descent, and not under Adam, which rescales the penalty's gradient with the rest.",
                    evidence="Gradient descent: W - 0.1·(g + 0.01·W) = (1 - 0.001)·W - 0.1·g. Adam divides g + 0.01·W "
                    "by "
                    "the root of a running mean of its square.",
                ),
            ),
        ),
        WorkedCase(
            key="batch",
            title="Extension 5: all four samples at once",
            case=_net("2-2-1 sigmoid, half squared error, the whole batch, five SGD steps of 0.1", steps=5),
            explanation=(
                "The loss is a sum over samples, so its gradient is the sum of the gradients of the four single "
                "samples, "
                "the next four cases. With a mean it would be their mean."
            ),
        ),
        _single(1, "both inputs are 0, so W1 gets no gradient at all"),
        _single(2, "the first input is 0, so only the second row of W1 gets a gradient"),
        _single(3, "the second input is 0, so only the first row of W1 gets a gradient"),
        _single(4, "the row that is not XOR's"),
        WorkedCase(
            key="adam",
            title="Extension 6: Adam",
            case=_net(
                "2-2-1 sigmoid, half squared error, 1,000 steps of Adam",
                steps=1000,
                optimizer=OptimizerSpec("adam", {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
                record=(0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            ),
            explanation=(
                "m and v are running means of the gradient and of its square, divided by 1 - beta1ᵗ and 1 - beta2ᵗ "
                "since "
                "they start at 0; eps stands outside the root. The tutorial gives no numbers: 0.01, 0.9, 0.999 and "
                "1e-8 "
                "are ours. The first step moves every parameter by almost exactly 0.01, whatever its gradient."
            ),
        ),
    ),
)
