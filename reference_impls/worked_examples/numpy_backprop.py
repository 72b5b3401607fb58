"""A 2-2-1 network for one sample, one step by hand, and the recursion for any depth."""

from __future__ import annotations

from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, chain, printed, sgd

SMALL = {"W1": [[0.4, -0.2], [0.1, 0.6]], "b1": [[0.0], [0.0]], "W2": [[0.7, -0.3]], "b2": [[0.0]]}
SMALL_NODES = chain("columns", "Z{}", "A{}", "relu", "sigmoid")
LOSS = apply("L", "squared_error", "A2", "y", reduction="sum")
DEAD_SIDE = "holds on the dead side of the kink only"

# The three deeper networks: drawn once with numpy.random.default_rng(11) (weights normal, biases normal / 2,
# targets uniform), rounded to four digits and written down; these digits are the record.
DEPTH_3 = {
    "W1": [[1.2247, -0.5103], [-0.298, -0.5274], [0.5697, -0.0561]],
    "b1": [[0.3734], [-0.9237], [0.7833]],
    "W2": [[-0.0964, 0.6804, -0.1366], [-0.3791, 0.4631, 0.8245]],
    "b2": [[-0.1013], [-0.0764]],
    "W3": [[0.6857, -0.8703]],
    "b3": [[-0.7572]],
}
DEPTH_4 = {
    "W1": [[-0.4676, -1.1932, -1.4925], [0.0366, 0.8972, -0.2331], [-0.7436, 0.385, 0.7172], [-0.3, 0.5447, 1.0429]],
    "b1": [[-0.1035], [-0.4068], [0.1738], [0.1238]],
    "W2": [[1.0988, -1.2846, -0.6616, -0.8382], [-1.734, 0.1264, 0.5278, -0.7388], [1.3856, 0.8219, 0.6274, 0.4017]],
    "b2": [[0.4778], [-0.666], [0.307]],
    "W3": [[0.6028, -1.7677, 0.347], [-0.2504, 0.7815, -0.4391]],
    "b3": [[-0.0091], [0.1714]],
    "W4": [[-0.8763, 0.5986], [-0.105, 0.4925]],
    "b4": [[-0.2609], [0.5431]],
}
DEPTH_5 = {
    "W1": [[-0.0939, -1.0067], [1.2572, -1.2617], [0.5669, 1.3019]],
    "b1": [[-0.7998], [-0.1513], [-0.6546]],
    "W2": [[0.2441, 1.5144, 2.0236], [-1.7781, -0.5749, 0.7035], [1.5794, 0.4212, -0.7462]],
    "b2": [[0.1486], [-0.0083], [-0.1019]],
    "W3": [[-0.7345, 0.3873, 0.3079], [-0.093, -0.2217, -1.2849], [-0.4862, 1.2064, -0.1906]],
    "b3": [[-0.7198], [0.6672], [0.2651]],
    "W4": [[2.1081, 0.0625, -0.4614], [-1.4476, 1.3238, 2.5695]],
    "b4": [[-0.4105], [-0.3235]],
    "W5": [[0.5962, -0.8303]],
    "b5": [[-0.1353]],
}

NUMPY_BACKPROP = WorkedExample(
    key="numpy-backprop",
    title="Two inputs, two ReLU units, one sigmoid output",
    source='"Day 11: Backpropagation in NumPy", a Kaggle notebook by Mostafizur Rahman',
    shows="One forward pass, one backward pass and one update on a single sample, then the same recursion at any "
    "depth.",
    cases=(
        WorkedCase(
            key="one-step",
            title="One sample, one step",
            case=build(
                "2-2-1 ReLU/sigmoid, squared error, one SGD step of 0.1",
                SMALL_NODES,
                LOSS,
                inputs={"x": [[1.0], [2.0]]},
                constants={"y": [[1.0]]},
                params=SMALL,
                optimizer=sgd(0.1),
                steps=1,
            ),
            explanation=(
                "Samples stand in columns, so a layer is W x + b. The loss is (A2 - y)² without a half, hence the 2 in "
                "its derivative. Backwards: dZ2 = 2 (A2 - y) A2 (1 - A2); dW2 = dZ2 A1ᵀ; dA1 = W2ᵀ dZ2; dZ1 keeps dA1 "
                "where Z1 is positive; dW1 = dZ1 Xᵀ. The tutorial prints no gradients; they show in the updated "
                "weights. NumPy prints up to 8 decimals and drops trailing zeros."
            ),
            printed=(
                *printed(Quantity(0, "value", "Z1"), [["0."], ["1.3"]]),
                *printed(Quantity(0, "value", "A1"), [["0."], ["1.3"]]),
                *printed(Quantity(0, "value", "Z2"), [["-0.39"]]),
                *printed(Quantity(0, "value", "A2"), [["0.4037173"]]),
                *printed(Quantity(0, "value", "loss"), "0.35555306"),
                *printed(Quantity(1, "param", "W1"), [["0.4", "-0.2"]], DEAD_SIDE),
                *printed(Quantity(1, "param", "W1"), [["0.4", "-0.2"], ["0.09138742", "0.58277485"]])[2:],
                *printed(Quantity(1, "param", "W2"), [["0.7", "-0.26267884"]]),
                *printed(Quantity(1, "value", "loss"), "0.32975951", DEAD_SIDE),
            ),
            remarks=(
                Remark(
                    kind="trap",
                    text="The first hidden unit sits exactly on the kink of ReLU, where the derivative is a choice. "
                    "The tutorial takes 0; with 1 the first row of W1 and the loss after the step are different.",
                    evidence="0.4·1 − 0.2·2 = 0 on paper and 0.0 in NumPy. With derivative 1: the first row of dW1 is "
                    "(-0.20096009, -0.40192018), W1 becomes (0.42009601, -0.15980798) and the next loss 0.30635521, "
                    "not 0.32975951. At 0, torch.relu and jax.nn.relu give 0; torch.maximum(z, 0) and "
                    "jnp.maximum(z, 0) give 0.5; torch.clamp(z, min=0) gives 1.",
                    quantity=Quantity(0, "grad", "Z1"),
                ),
                Remark(
                    kind="error",
                    text="Written out as one product, the gradient of W1 has factors whose shapes cannot be multiplied "
                    "in that order; the derivations of dW2 and dW1 drop the transposes too. The code has them.",
                    evidence="The factors are (1,1), (1,1), (2,1), (2,1), (2,1). The code multiplies element by "
                    "element at the ReLU and by the transposed input at the end, which gives (2,2).",
                    quantity=Quantity(0, "grad", "W1"),
                ),
                Remark(
                    kind="note",
                    text="The step called a gradient check compares shapes only. A wrong sign would pass it.",
                    evidence="It shows dW1.shape and the three others, and no finite differences.",
                ),
            ),
        ),
        WorkedCase(
            key="two-samples",
            title="The same network on two samples",
            case=build(
                "2-2-1 ReLU/sigmoid on a batch of two, one SGD step of 0.1",
                SMALL_NODES,
                LOSS,
                inputs={"x": [[1.0, 3.0], [2.0, -1.0]]},
                constants={"y": [[1.0, 0.0]]},
                params=SMALL,
                optimizer=sgd(0.1),
                steps=1,
            ),
            explanation=(
                "A second sample (3, -1) with target 0 stands beside the first. The weight formulas stay as they are: "
                "the product with A1ᵀ sums over samples by itself. For a bias the sum has to be written."
            ),
            remarks=(
                Remark(
                    kind="trap",
                    text="The tutorial's bias gradient, db = dZ, is right for one sample only. For a batch it is the "
                    "sum of dZ over the samples.",
                    evidence="Here dZ2 = (-0.28708584, 0.28854833), of shape (1,2), while b2 has shape (1,1). The "
                    "gradient is their sum, 0.00146249. Subtracting dZ2 itself would turn b2 into two numbers.",
                    quantity=Quantity(0, "grad", "b2"),
                ),
            ),
        ),
        WorkedCase(
            key="depth-3",
            title="Depth 3: tanh, ReLU, sigmoid",
            case=build(
                "2-3-2-1 tanh/ReLU/sigmoid, one sample, three SGD steps of 0.1",
                chain("columns", "Z{}", "A{}", "tanh", "relu", "sigmoid"),
                apply("L", "squared_error", "A3", "y", reduction="sum"),
                inputs={"x": [[0.0342], [1.3597]]},
                constants={"y": [[0.5537]]},
                params=DEPTH_3,
                optimizer=sgd(0.1),
                steps=3,
            ),
            explanation=(
                "The general rule: start with the loss's derivative times the last activation's slope, then go down, "
                "each time times Wᵀ of the layer above and times this layer's slope. These checkpoints are the "
                "gradients of Z3, Z2, Z1."
            ),
        ),
        WorkedCase(
            key="depth-4",
            title="Depth 4: ReLU, tanh, sigmoid, tanh, two outputs",
            case=build(
                "3-4-3-2-2 ReLU/tanh/sigmoid/tanh, one sample, three SGD steps of 0.1",
                chain("columns", "Z{}", "A{}", "relu", "tanh", "sigmoid", "tanh"),
                apply("L", "squared_error", "A4", "y", reduction="sum"),
                inputs={"x": [[-0.6706], [-1.9203], [-0.8141]]},
                constants={"y": [[0.0929], [0.018]]},
                params=DEPTH_4,
                optimizer=sgd(0.1),
                steps=3,
            ),
            explanation=(
                "Three of the four ReLU units are off. The tanh layer above is nearly flat at this sample (Z2 is about "
                "4.6, -7.1 and 5.5), so little gradient gets through it: a vanishing gradient in a small net."
            ),
        ),
        WorkedCase(
            key="depth-5",
            title="Depth 5 on three samples",
            case=build(
                "2-3-3-3-2-1 tanh/sigmoid/ReLU/tanh/sigmoid, batch of three, three SGD steps of 0.1",
                chain("columns", "Z{}", "A{}", "tanh", "sigmoid", "relu", "tanh", "sigmoid"),
                apply("L", "squared_error", "A5", "y", reduction="sum"),
                inputs={"x": [[0.632, 1.2598, 1.7912], [-1.5736, 0.8831, 0.4651]]},
                constants={"y": [[0.3248, 0.6435, 0.3521]]},
                params=DEPTH_5,
                optimizer=sgd(0.1),
                steps=3,
            ),
            explanation=(
                "A batch, so each bias gradient is a sum over columns. For the first sample the whole ReLU layer is "
                "off: nothing below it learns from that sample, and only b4, W5 and b5 hear of it."
            ),
        ),
    ),
)
