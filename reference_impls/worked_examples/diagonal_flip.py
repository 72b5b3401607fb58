"""A 4-3-4 network with a hidden unit exactly on the kink of ReLU: all 31 gradients."""

from __future__ import annotations

from harness.case import Case, Dtype
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, dense, printed, sgd

W1 = [[0.2, -0.5, 0.1], [-0.3, 0.4, -0.2], [0.1, 0.3, 0.5], [-0.4, 0.2, -0.1]]
B1 = [0.1, -0.1, 0.0]
W2 = [[0.3, -0.2, 0.4, 0.1], [-0.1, 0.5, -0.3, 0.2], [0.2, -0.4, 0.1, -0.5]]
B2 = [0.0, 0.1, -0.1, 0.0]
DEAD_SIDE = "holds for the dead side only"


def _net(title: str, first_bias: float = 0.1, dtype: Dtype = "float64", steps: int = 0) -> Case:
    return build(
        title,
        [
            dense("z1", "x", 1, "rows"),
            apply("h", "relu", "z1"),
            dense("y_hat", "h", 2, "rows"),
        ],
        apply("L", "squared_error", "y_hat", "target", reduction="mean"),
        inputs={"x": [[1.0, 0.0, 1.0, 1.0]]},
        constants={"target": [[1.0, 1.0, 0.0, 1.0]]},
        params={"W1": W1, "b1": [first_bias, *B1[1:]], "W2": W2, "b2": B2},
        dtype=dtype,
        optimizer=sgd(0.1) if steps else None,
        steps=steps,
    )


FORWARD = (
    *printed(Quantity(0, "value", "z1"), [["0.0", "-0.1", "0.5"]]),
    *printed(Quantity(0, "value", "h"), [["0.0", "0.0", "0.5"]]),
    *printed(Quantity(0, "value", "y_hat"), [["0.1", "-0.1", "-0.05", "-0.25"]]),
    *printed(Quantity(0, "value", "loss"), "0.896", "the table of the forward pass"),
    *printed(Quantity(0, "value", "loss"), "0.8963", "the code's output"),
)
BACKWARD = (
    *printed(Quantity(0, "grad", "y_hat"), [["-0.45", "-0.55", "-0.025", "-0.625"]]),
    *printed(Quantity(0, "grad", "h"), [["-0.0975", "-0.3475", "0.44"]]),
    *printed(Quantity(0, "grad", "z1"), [["0.0"]], DEAD_SIDE),
    *printed(Quantity(0, "grad", "z1"), [["0.0", "0.0", "0.44"]])[1:],
)
# Where the source prints a gradient both as a bare 0 and with decimals, the decimals are taken: a bare 0 would
# agree with -0.0975 too.
W1_GRADIENTS = printed(
    Quantity(0, "grad", "W1"),
    [["0.00", "0.00", "0.44"], ["0.00", "0.00", "0.00"], ["0.00", "0.00", "0.44"], ["0.00", "0.00", "0.44"]],
)
W1_DEAD_SIDE = printed(Quantity(0, "grad", "W1"), [["0.00"], ["0.00"], ["0.00"], ["0.00"]], DEAD_SIDE)
ALL_31 = (
    W1_DEAD_SIDE[0],
    *W1_GRADIENTS[1:6],
    W1_DEAD_SIDE[2],
    *W1_GRADIENTS[7:9],
    W1_DEAD_SIDE[3],
    *W1_GRADIENTS[10:],
    *printed(Quantity(0, "grad", "b1"), ["0.0"], DEAD_SIDE),
    *printed(Quantity(0, "grad", "b1"), ["0.0", "0.0", "0.44"])[1:],
    *printed(
        Quantity(0, "grad", "W2"),
        [
            ["0.000", "0.000", "0.000", "0.000"],
            ["0.000", "0.000", "0.000", "0.000"],
            ["-0.225", "-0.275", "-0.0125", "-0.3125"],
        ],
    ),
    *printed(Quantity(0, "grad", "b2"), ["-0.45", "-0.55", "-0.025", "-0.625"]),
)
THREE_DECIMALS = printed(
    Quantity(0, "grad", "W2"),
    [["0.000"] * 4, ["0.000"] * 4, ["-0.225", "-0.275", "-0.013", "-0.313"]],
    "the matrix in three decimals",
)[-2:]

KINK = Remark(
    kind="trap",
    text="The first hidden pre-activation is exactly 0, on paper and for the stored numbers alike. Which side of the "
    "kink "
    "the computed one falls on depends on the order of the additions, and with it the gradients of W1 (the first "
    "column, "
    "where the input is 1) and of b1[0]: 0 on one side, -0.0975 on the other. Both are right to within rounding.",
    evidence="0.2 + 0.1 - 0.4 + 0.1 = 0. float64: NumPy's x @ W1 + b1 gives -2.8e-17 (dead), PyTorch and JAX +2.8e-17 "
    "(alive); NumPy's own einsum gives +2.8e-17 and torch.addmm exactly 0. Seen with NumPy 2.4.6, PyTorch 2.13.0 "
    "(CPU) and JAX 0.10.2.",
    quantity=Quantity(0, "grad", "z1"),
)

WHICH_ARE_ZERO = (
    "Of 31 gradients 12 are not zero: three in W1 (column 2, where the input is 1), b1[2], row 2 of W2, and all of b2. "
    "The other 19 are zero:\n"
    "8 in W2, rows 0 and 1: hidden units 0 and 1 put out 0, and a weight's gradient is a multiple of what it carries.\n"
    "5 into hidden unit 1 (W1 column 1, b1[1]): its pre-activation is -0.1, so ReLU lets no gradient through.\n"
    "5 into hidden unit 0 (W1 column 0, b1[0]): its pre-activation is 0, on the kink. Zero if the derivative there is "
    "taken as 0. W1[1][0] is zero either way, since its input is 0.\n"
    "1 more in W1, at [1][2]: the unit is alive, but the input x[1] is 0."
)

DIAGONAL_FLIP = WorkedExample(
    key="diagonal-flip",
    title="A 4-3-4 net that transposes a 2 x 2 image",
    source='"Backpropagation Algorithm", chapter 8 (section 25 of 65) of an online course; its author is not stated',
    shows="Every one of 31 gradients by hand, and a hidden unit exactly on the kink of ReLU, where correct programs "
    "differ.",
    cases=(
        WorkedCase(
            key="float64",
            title="All 31 gradients",
            case=_net("4-3-4 ReLU, mean squared error, float64"),
            explanation=WHICH_ARE_ZERO,
            printed=(*FORWARD, *BACKWARD, *ALL_31, *THREE_DECIMALS),
            remarks=(
                KINK,
                Remark(
                    kind="error",
                    text="The tutorial rounds the pre-activations to 10 digits before ReLU. This hides that the first "
                    "one is "
                    "undetermined, and the code no longer computes the network it describes: rounding has derivative "
                    "0.",
                    evidence="z1 = np.round(x @ W1 + b1, 10). The comment gives the noise as about 2.8e-17 without its "
                    "sign; NumPy here gives -2.8e-17, and rounding leaves -0.0.",
                    quantity=Quantity(0, "value", "z1"),
                ),
                Remark(
                    kind="error",
                    text="The tutorial counts 11 parameters that change and 20 that do not. It is 12 and 19.",
                    evidence="Its own table marks W1 3, b1 1, W2 4 and b2 4 as changing: 12. On the other side of the "
                    "kink it "
                    "would be 16: W1[0][0], W1[2][0], W1[3][0] and b1[0] as well. The 8 of 12 in W2 and 3 of 12 in W1 "
                    "are right.",
                    quantity=Quantity(0, "grad", "W1"),
                ),
                Remark(
                    kind="error",
                    text="One explanation of the factor 0.5 has a division by 2 too many: (2/N)(ŷ - y)/2. "
                    "The factor is 2/N = 2/4.",
                    evidence="(2/4)/2 is 0.25, which would make the first gradient -0.225. It is -0.45, as printed.",
                    quantity=Quantity(0, "grad", "y_hat"),
                ),
                Remark(
                    kind="error",
                    text="The outputs shown are not what the code prints: it prints negative zeros.",
                    evidence="-0.3475 · 0.0 is -0.0, so dL/dz1 prints as [-0.   -0.    0.44], not [0. 0. 0.44]; "
                    "likewise "
                    "dL/dW1 and dL/db1. Comparisons treat -0.0 and 0.0 as equal.",
                    quantity=Quantity(0, "grad", "b1"),
                ),
                Remark(
                    kind="trap",
                    text="The loss lies halfway between two numbers of four digits, so its last digit is decided by "
                    "rounding errors.",
                    evidence="3.585 / 4 = 0.89625. NumPy computes 0.8962500000000001, which rounds to 0.8963; "
                    "half to even on the exact value would give 0.8962.",
                    quantity=Quantity(0, "value", "loss"),
                ),
                Remark(
                    kind="note",
                    text="In the matrix with three decimals the last entry is rounded away from zero; Python's own "
                    "formatting rounds it to even.",
                    evidence="-0.3125 is exact in binary. It is shown as -0.313; format(-0.3125, '.3f') is -0.312.",
                    quantity=Quantity(0, "grad", "W2"),
                ),
                Remark(
                    kind="trap",
                    text="The tutorial says that biases always get a gradient. Only those of the last layer do.",
                    evidence="Its own result: the gradients of b1[0] and b1[1] are 0.",
                    quantity=Quantity(0, "grad", "b1"),
                ),
                Remark(
                    kind="trap",
                    text="Unit 0 is called dead, and one line says that it is blocked for good. It is blocked for "
                    "this one "
                    "input, and only by a choice of derivative at 0.",
                    evidence="With b1[0] larger by 2^-10 the gradient of b1[0] is -0.0974; see the case on the living "
                    "side.",
                    quantity=Quantity(0, "grad", "h"),
                ),
                Remark(
                    kind="note",
                    text="The tutorial promises to go all the way back to the input and stops at b1. The gradient of "
                    "the input "
                    "is column 2 of W1 times 0.44, with the dead side's choice.",
                    evidence="(0.044, -0.088, 0.22, -0.044).",
                    quantity=Quantity(0, "grad", "x"),
                ),
            ),
        ),
        WorkedCase(
            key="float32",
            title="The same in float32",
            case=_net("4-3-4 ReLU, mean squared error, float32", dtype="float32"),
            explanation="Single precision lands on both sides of the kink too, 2^28 times further out.",
            printed=(*FORWARD[:-1], *BACKWARD, *ALL_31),
            remarks=(
                Remark(
                    kind="trap",
                    text="The pre-activation of unit 0 is undetermined in float32 as well.",
                    evidence="NumPy gives -7.45e-9 (dead), PyTorch and JAX +7.45e-9 (alive), torch.addmm exactly 0.",
                    quantity=Quantity(0, "grad", "z1"),
                ),
            ),
        ),
        WorkedCase(
            key="one-step",
            title="One update from the kink",
            case=_net("4-3-4 ReLU, mean squared error, one SGD step of 0.1", steps=1),
            explanation=(
                "The side of the kink now decides where training goes. On the dead side unit 0 stays where it was and "
                "the loss after the step is 0.725753. On the living side its pre-activation becomes 0.039 and the "
                "loss 0.721839."
            ),
            remarks=(KINK,),
        ),
        WorkedCase(
            key="dead-side",
            title="Just below the kink",
            case=_net("4-3-4 ReLU with b1[0] lower by 2^-10, one SGD step of 0.1", 0.0990234375, steps=1),
            explanation=(
                "b1[0] is 0.1 - 2^-10, far enough from the kink for every program to agree: unit 0 is off. Outputs, "
                "loss "
                "and all 31 gradients are the printed ones."
            ),
            printed=(*FORWARD[3:], *BACKWARD, *ALL_31),
        ),
        WorkedCase(
            key="living-side",
            title="Just above the kink",
            case=_net("4-3-4 ReLU with b1[0] higher by 2^-10, one SGD step of 0.1", 0.1009765625, steps=1),
            explanation=(
                "b1[0] is 0.1 + 2^-10: unit 0 is on for every program. It adds little to the outputs (the loss is "
                "0.896155), but "
                "W1[0][0], W1[2][0], W1[3][0] and b1[0] now have the gradient -0.097354, and row 0 of W2 a small one."
            ),
        ),
    ),
)
