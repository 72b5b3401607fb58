"""One input, one hidden unit, one output: two losses that look alike in print."""

from __future__ import annotations

from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, chain, dense, printed, sgd

X, Y = [[0.5]], [[1.0]]
START = {"W1": [[0.4]], "b1": [[0.3]], "W2": [[0.7]], "b2": [[0.2]]}

SCALAR_NET = WorkedExample(
    key="scalar-net",
    title="A 1-1-1 sigmoid net",
    source='an untitled notebook whose first section is "1. Backpropagation"; its author is not stated',
    shows="Every number of one update with four parameters, and that a - y belongs to cross-entropy, not to squared "
    "error.",
    cases=(
        WorkedCase(
            key="code",
            title="Half squared error, as the code has it",
            case=build(
                "1-1-1 sigmoid, half squared error, one SGD step of 0.1",
                chain("rows", "z{}", "a{}", "sigmoid", "sigmoid"),
                apply("L", "squared_error", "a2", "y", reduction="half_sum"),
                inputs={"x": X},
                constants={"y": Y},
                params=START,
                optimizer=sgd(0.1),
                steps=1,
            ),
            explanation=(
                "delta2 = (a2 - y) a2 (1 - a2) is the gradient of z2 and of b2; times a1 it is that of W2. Times W2 "
                "and a1 (1 - a1) it becomes delta1, the gradient of z1 and b1; times x, that of W1."
            ),
            printed=(
                *printed(Quantity(0, "value", "a2"), [["0.653786"]]),
                *printed(Quantity(0, "value", "loss"), "0.059932"),
                *printed(Quantity(1, "param", "W1"), [["0.4006445672678901"]]),
                *printed(Quantity(1, "param", "b1"), [["0.3012891345357802"]]),
                *printed(Quantity(1, "param", "W2"), [["0.7048779400938787"]]),
                *printed(Quantity(1, "param", "b2"), [["0.20783656031705777"]]),
            ),
            remarks=(
                Remark(
                    kind="trap",
                    text="The updated parameters are printed with all the digits of a double. The last one or two are "
                    "rounding, which another correct program may get differently.",
                    evidence="Around 0.4 neighbouring doubles are 5.6e-17 apart.",
                    quantity=Quantity(1, "param", "W1"),
                ),
            ),
        ),
        WorkedCase(
            key="text",
            title="Cross-entropy, as the text has it",
            case=build(
                "1-1-1 sigmoid, binary cross-entropy, one SGD step of 0.1",
                [
                    *chain("rows", "z{}", "a{}", "sigmoid"),
                    dense("z2", "a1", 2, "rows"),
                ],
                apply("L", "binary_cross_entropy_with_logits", "z2", "y", reduction="sum"),
                inputs={"x": X},
                constants={"y": Y},
                params=START,
                optimizer=sgd(0.1),
                steps=1,
            ),
            explanation=(
                "The same net with the output delta of the tutorial's text, a2 - y. That is the gradient of binary "
                "cross-entropy with respect to z2; the slope of the sigmoid cancels."
            ),
            remarks=(
                Remark(
                    kind="error",
                    text="Text and code use different losses: the text's delta2 = a2 - y is cross-entropy's, the code "
                    "differentiates half the squared error. The text names no loss, so neither is wrong alone, but the "
                    "printed numbers do not follow from the text.",
                    evidence="delta2 is -0.3462143 by the text and -0.0783656 by the code, a factor 4.418 = "
                    "1 / (a2 (1 - a2)). After one step b2 would be 0.2346214, not the printed 0.2078366.",
                    quantity=Quantity(0, "grad", "z2"),
                ),
                Remark(
                    kind="error",
                    text="For z = W a + b, as the text writes it, the delta of the hidden layer needs W2 transposed, "
                    "and the gradient of W is delta times aᵀ. The text leaves out the first transpose and gives the "
                    "gradient of W the other way round. With one unit per layer nobody can tell.",
                    evidence="With 4 hidden units W2 is (1,4): W2 times a (1,1) delta has no meaning, and a1 times "
                    "delta2ᵀ is (4,1), the transpose of W2's shape.",
                    quantity=Quantity(0, "grad", "W2"),
                ),
            ),
        ),
    ),
)
