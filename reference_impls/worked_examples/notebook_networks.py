"""The notebook's networks: XOR under two losses, gradient checking, gradient flow, and the exercises with nets."""

from __future__ import annotations

from typing import Any

from harness.case import Case, Dtype, Node
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase
from reference_impls.worked_examples.networks import apply, build, chain, columns, dense, sgd
from reference_impls.worked_examples.notebook_starts import (
    LINEAR_FRESH,
    LINEAR_RUN_ORDER,
    NUMPY_SEED_42,
    THREE_LAYERS,
    TORCH_SEED_42,
)

XOR_X, XOR_Y = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]
LONG_RECORD = (0, 1, 2, 5, 10, 20, 50, 100, 200, 399, 799, 1199, 1599, 1999, 2000)

KINK_AT_ORIGIN = Remark(
    kind="trap",
    text="The biases start at 0 and one sample is (0, 0), so all four ReLU units sit exactly on their kink for that "
    "sample. "
    "The gradient of b1 depends on the derivative chosen there.",
    evidence="With derivative 0 at 0, the gradient of b1 is (0.0000206, -0.0067899, 0, 0.0058284); with 1 it is "
    "(-0.0058479, -0.0000079, -0.0057927, 0.0000067). Unit 2 never leaves the kink in 2,000 steps: b1[2] stays 0.",
    quantity=Quantity(0, "grad", "b1"),
)


def _xor(
    title: str,
    loss: Node,
    params: dict[str, Any],
    lr: float = 0.5,
    steps: int = 0,
    dtype: Dtype = "float64",
    activations: tuple[str, ...] = ("relu", "sigmoid"),
) -> Case:
    return build(
        title,
        chain("columns", "Z{}", "A{}", *activations),
        loss,
        inputs={"x": XOR_X},
        constants={"y": XOR_Y},
        params=params,
        dtype=dtype,
        optimizer=sgd(lr) if steps else None,
        steps=steps,
        record=LONG_RECORD if steps == LONG_RECORD[-1] else (),
    )


def _cross_entropy(probability: str) -> Node:
    return apply("L", "binary_cross_entropy", probability, "y", reduction="sample_mean", samples_axis=1, clip=1e-15)


def _gradient_flow(title: str, params: dict[str, Any], dtype: Dtype = "float32") -> Case:
    return build(
        title,
        [
            dense("z1", "x", 1, "rows"),
            apply("a1", "relu", "z1"),
            dense("z2", "a1", 2, "rows"),
            apply("a2", "relu", "z2"),
            dense("z3", "a2", 3, "rows"),
            apply("a3", "sigmoid", "z3"),
        ],
        apply("L", "binary_cross_entropy", "a3", "y", reduction="mean", clip=0.0),
        inputs={"x": columns(XOR_X)},
        constants={"y": columns(XOR_Y)},
        params=params,
        dtype=dtype,
    )


NETWORKS = (
    WorkedCase(
        key="xor-cross-entropy",
        title="XOR by cross-entropy, 2,000 steps",
        case=_xor(
            "2-4-1 ReLU/sigmoid on XOR, cross-entropy, 2,000 SGD steps of 0.5",
            _cross_entropy("A2"),
            NUMPY_SEED_42,
            steps=2000,
        ),
        explanation=(
            "Samples in columns, the loss a mean over four samples, the start drawn from NumPy's seed 42 as the "
            "notebook "
            "does. The notebook stores no outputs; run here, it ends with all four answers right and prints a "
            "loss of 0.0022. "
            "It prints each loss before the update, so its iteration 400 is step 399 here."
        ),
        remarks=(
            Remark(
                kind="error",
                text="The text gives dZ2 = A2 - Y for mean squared error. It belongs to cross-entropy with a "
                "sigmoid, which "
                "is what the code trains. For squared error the slope of the sigmoid stays in.",
                evidence="At the start A2 - Y is (0.5, -0.49882771, -0.50154317, 0.4997914). For (A2 - Y)², "
                "without the "
                "1/m, it is 2 (A2 - Y) A2 (1 - A2): (0.25, -0.24941248, -0.2507692, 0.24989565). The gradient of "
                "b2 is "
                "-0.00014487 under cross-entropy and -0.00007151 under mean squared error.",
                quantity=Quantity(0, "grad", "Z2"),
            ),
            KINK_AT_ORIGIN,
            Remark(
                kind="trap",
                text="What the notebook calls dZ2 is not the gradient of its loss: the 1/m of the mean comes in "
                "only "
                "with dW2 and db2. Here the gradient of Z2 includes it.",
                evidence="The first element of A2 - Y is 0.5, that of the gradient 0.125.",
                quantity=Quantity(0, "grad", "Z2"),
            ),
            Remark(
                kind="trap",
                text="The formulas of the text have a sigmoid in the hidden layer, the code has ReLU.",
                evidence="Text: A1 = σ(Z1). Code: A1 = self.relu(Z1).",
                quantity=Quantity(0, "value", "A1"),
            ),
            Remark(
                kind="note",
                text="The code clips Z2 to ±500 before the sigmoid, against overflow. It is left out here.",
                evidence="At the start |Z2| is below 0.01, and at the end below 10.",
                quantity=Quantity(0, "value", "Z2"),
            ),
        ),
    ),
    WorkedCase(
        key="gradient-check",
        title="Gradient check at the start",
        case=_xor("2-4-1 ReLU/sigmoid on XOR, cross-entropy, at the start", _cross_entropy("A2"), NUMPY_SEED_42),
        explanation=(
            "Central differences for every element. For b1 they must disagree: moving a bias up or down by ε "
            "moves the "
            "sample (0, 0) to different sides of the kink, and the difference is the mean of both slopes."
        ),
        remarks=(
            Remark(
                kind="error",
                text="The notebook's own check fails on b1 when it is run, though its backward pass is right. "
                "The cause is the kink at (0, 0), not the code.",
                evidence="Run here with NumPy 2.4.6, its relative differences are W1 1.02e-07, b1 4.05e-01 "
                "(FAIL), W2 2.36e-07, "
                "b2 1.33e-06. The gradient of b1 is (0.0000206, -0.0067899, 0, 0.0058284), the differences are "
                "(-0.0029137, -0.0033989, -0.0028964, 0.0029176). With derivative 1/2 at 0, b1 gives 7.8e-08.",
                quantity=Quantity(0, "grad", "b1"),
            ),
            Remark(
                kind="trap",
                text="The text asks for a difference below 1e-7, the code for one below 1e-5. With its step of "
                "1e-7 the first "
                "is not met.",
                evidence="W1, W2 and b2 all miss 1e-7 and pass 1e-5. With a step of 1e-5 they come to 6.8e-10, "
                "8.5e-10 and 9.1e-09.",
                quantity=Quantity(0, "grad", "b2"),
            ),
            Remark(
                kind="note",
                text="The check samples up to 10 elements per parameter at random. No parameter of this net has "
                "more than 8, "
                "so it checks all of them, as is done here.",
                evidence="W1 has 8 elements, b1 4, W2 4, b2 1; the sample is drawn without replacement.",
            ),
        ),
        gradient_check=True,
    ),
    WorkedCase(
        key="gradient-check-off-kink",
        title="Gradient check away from the kink",
        case=_xor(
            "2-4-1 ReLU/sigmoid on XOR, cross-entropy, hidden biases 0.02",
            _cross_entropy("A2"),
            {**NUMPY_SEED_42, "b1": [[0.02], [0.02], [0.02], [0.02]]},
        ),
        explanation="The same net with hidden biases of 0.02. No unit is near its kink, and every element agrees.",
        gradient_check=True,
    ),
    WorkedCase(
        key="xor-squared-error",
        title="XOR by squared error, float32",
        case=_xor(
            "2-4-1 ReLU/sigmoid on XOR, mean squared error, 2,000 SGD steps of 0.5, float32",
            apply("L", "squared_error", "A2", "y", reduction="mean"),
            TORCH_SEED_42,
            steps=2000,
            dtype="float32",
        ),
        explanation=(
            "The start is what PyTorch's seed 42 gives in the notebook's order, in float32. Repaired as the remark "
            "says, it learns XOR: the loss falls from 0.24969 to 0.00062."
        ),
        remarks=(
            Remark(
                kind="error",
                text="The notebook's loop stops with an error in its first round. W1 is a random array times 0.1, "
                "so it is a "
                "result and not a leaf, and PyTorch stores no gradient on it. Taking the product first and asking "
                "for its "
                "gradient afterwards repairs it.",
                evidence="After backward(), W1.is_leaf is False and W1.grad is None; 0.5 times it raises "
                "TypeError: unsupported "
                "operand type(s) for *: 'float' and 'NoneType' (PyTorch 2.13.0). The same holds for W2.",
                quantity=Quantity(0, "grad", "W1"),
            ),
            Remark(
                kind="trap",
                text="Here too the biases start at 0, so for the sample (0, 0) all hidden units sit on their kink.",
                evidence="Z1 is exactly 0 in the first column.",
                quantity=Quantity(0, "grad", "b1"),
            ),
        ),
    ),
    WorkedCase(
        key="xor-squared-error-float64",
        title="XOR by squared error, float64",
        case=_xor(
            "2-4-1 ReLU/sigmoid on XOR, mean squared error, 2,000 SGD steps of 0.5, float64",
            apply("L", "squared_error", "A2", "y", reduction="mean"),
            TORCH_SEED_42,
            steps=2000,
        ),
        explanation="The same start and the same 2,000 steps in double precision.",
    ),
    WorkedCase(
        key="gradient-flow",
        title="Gradient size per layer, fresh seed",
        case=_gradient_flow("2-8-4-1 ReLU/ReLU/sigmoid on XOR, float32, layers drawn from a fresh seed", LINEAR_FRESH),
        explanation=(
            "The notebook compares the mean |gradient| of three weight matrices. The layers are PyTorch's, drawn "
            "from a fresh "
            "seed 42; nn.Linear keeps W as (out, in), here it is transposed. "
            "Layers 1 to 3 come to 0.001816, 0.002913 and 0.003108: smaller towards the input."
        ),
        draw_flow=True,
    ),
    WorkedCase(
        key="gradient-flow-run-order",
        title="Gradient size per layer, in the notebook's order",
        case=_gradient_flow(
            "2-8-4-1 ReLU/ReLU/sigmoid on XOR, float32, layers drawn in the notebook's order", LINEAR_RUN_ORDER
        ),
        explanation=(
            "The cells run in order, going on after the one that fails: seed 42, then the twelve numbers of that "
            "cell's W1 and W2, then these layers."
        ),
        remarks=(
            Remark(
                kind="error",
                text="Under its numbers the notebook prints that gradients often get smaller towards the input. "
                "In its own "
                "run they get larger.",
                evidence="Run here with PyTorch 2.13.0, layers 1 to 3 print 0.002202, 0.001611 and 0.001493.",
                quantity=Quantity(0, "grad", "W1"),
            ),
        ),
        draw_flow=True,
    ),
    WorkedCase(
        key="gradient-flow-float64",
        title="Gradient size per layer, float64",
        case=_gradient_flow(
            "2-8-4-1 ReLU/ReLU/sigmoid on XOR, float64, layers drawn from a fresh seed", LINEAR_FRESH, "float64"
        ),
        explanation="The first of these nets in double precision, starting from the same numbers.",
        draw_flow=True,
    ),
    WorkedCase(
        key="exercise-1",
        title="Exercise 1: three layers",
        case=_xor(
            "2-4-3-1 ReLU/ReLU/sigmoid on XOR, cross-entropy, five SGD steps of 0.5",
            _cross_entropy("A3"),
            THREE_LAYERS,
            steps=5,
            activations=("relu", "relu", "sigmoid"),
        ),
        explanation=(
            "One layer more is one round more of the same rule: dZ3 = (A3 - Y)/4; dZ2 = W3ᵀ dZ3 where Z2 is "
            "positive; "
            "dZ1 = W2ᵀ dZ2 where Z1 is positive; each dW is dZ times the activation below, transposed; each db is "
            "the sum of dZ "
            "over samples. The start is ours."
        ),
    ),
    WorkedCase(
        key="exercise-3",
        title="Exercise 3: a full gradient check",
        case=_xor(
            "2-4-3-1 ReLU/ReLU/sigmoid on XOR, cross-entropy, at the start",
            _cross_entropy("A3"),
            THREE_LAYERS,
            activations=("relu", "relu", "sigmoid"),
        ),
        explanation="Every one of the 31 parameters of the three-layer net against central differences. "
        "The biases are not zero, so no sample sits on a kink.",
        gradient_check=True,
    ),
)
