"""From (2x + 1)³ to a three-layer net: the networks of a notebook that stores no outputs."""

from __future__ import annotations

from typing import Any

from harness.case import Case, Dtype, Node
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase, WorkedExample
from reference_impls.worked_examples.networks import apply, build, chain, columns, dense, printed, sgd

BY_HAND = "worked out by hand; the notebook stores no outputs"

XOR_X, XOR_Y = [[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]
LONG_RECORD = (0, 1, 2, 5, 10, 20, 50, 100, 200, 399, 799, 1199, 1599, 1999, 2000)

# numpy.random.seed(42); W1 = randn(4, 2) * 0.1; W2 = randn(1, 4) * 0.1; biases 0: as the notebook draws them.
NUMPY_SEED_42: dict[str, Any] = {
    "W1": [
        [0.04967141530112327, -0.013826430117118467],
        [0.06476885381006925, 0.15230298564080255],
        [-0.023415337472333597, -0.023413695694918055],
        [0.15792128155073915, 0.07674347291529088],
    ],
    "b1": [[0.0], [0.0], [0.0], [0.0]],
    "W2": [[-0.04694743859349521, 0.05425600435859647, -0.046341769281246226, -0.04657297535702569]],
    "b2": [[0.0]],
}
# torch.manual_seed(42); W1 = randn(4, 2) * 0.1; W2 = randn(1, 4) * 0.1, in float32.
TORCH_SEED_42: dict[str, Any] = {
    "W1": [
        [0.033669036, 0.012880941],
        [0.023446238, 0.023033304],
        [-0.11228564, -0.01863283],
        [0.22082014, -0.0637997],
    ],
    "b1": [[0.0], [0.0], [0.0], [0.0]],
    "W2": [[0.046165723, 0.026735088, 0.053490467, 0.080935724]],
    "b2": [[0.0]],
}
# torch.manual_seed(42); torch.nn.Linear(2, 8), (8, 4), (4, 1), in float32; weights transposed to (in, out).
LINEAR_FRESH = {
    "W1": [
        [0.5406104, -0.16565566, -0.15492962, -0.3442585, 0.62334496, 0.6146145, 0.5224168, 0.34095848],
        [0.5869042, 0.6495563, 0.14268756, 0.41527155, -0.5187534, 0.13234161, 0.09576388, -0.09983712],
    ],
    "b1": [0.5450986, 0.10451668, -0.33010566, 0.18024032, -0.32579, -0.082924426, -0.2871973, 0.4690741],
    "W2": [
        [-0.2790845, 0.27295288, 0.09499402, 0.17954679],
        [-0.16299176, 0.058838055, -0.09587641, -0.21549258],
        [-0.09983455, -0.114800386, 0.1487956, -0.34998548],
        [-0.21258192, 0.2184783, 0.3156603, -0.13659908],
        [0.03336947, 0.055101566, 0.20437491, -0.27118352],
        [-0.3491973, 0.28565818, -0.15456383, 0.2901043],
        [0.31929728, 0.038650345, 0.20409387, 0.10183445],
        [-0.30033237, -0.111501254, 0.063259974, 0.1464466],
    ],
    "b2": [0.11181521, -0.0061504054, 0.2766938, -0.2512045],
    "W3": [[0.031481862], [-0.3412701], [0.154176], [-0.17219114]],
    "b3": [0.15320814],
}
# The same, after the draws of the cell before it: manual_seed(42); randn(4, 2); randn(1, 4); then the layers.
LINEAR_RUN_ORDER = {
    "W1": [
        [-0.558169, -0.1996691, 0.06673894, 0.63859457, 0.54590577, -0.22960077, 0.11020313, 0.07730069],
        [-0.32598352, -0.42516384, -0.6983946, -0.60066473, 0.11767611, 0.4369566, 0.57131636, -0.22300251],
    ],
    "b1": [0.18998805, -0.19175282, 0.2975912, 0.6313206, 0.40874982, -0.30912766, 0.40818775, 0.12651995],
    "W2": [
        [0.17954679, 0.11181521, 0.10833451, 0.34020698],
        [-0.21549258, -0.0061504054, -0.07365984, -0.29177922],
        [-0.34998548, 0.2766938, 0.2932343, -0.35068116],
        [-0.13659908, -0.2512045, -0.20955177, -0.27660736],
        [-0.27118352, 0.022261038, -0.21085852, -0.2378315],
        [0.2901043, -0.2413144, -0.21087126, 0.14320332],
        [0.10183445, 0.10901889, 0.31800103, 0.12659892],
        [0.1464466, -0.12175752, 0.11782206, 0.29377612],
    ],
    "b2": [-0.18258394, -0.24102151, 0.1875877, -0.14290786],
    "W3": [[0.3034619], [-0.11865032], [0.28602296], [-0.388484]],
    "b3": [-0.25232488],
}
# Our own start for the exercises: drawn once with numpy.random.default_rng(42) (weights normal, biases normal / 2),
# rounded to four digits; these digits are the record.
THREE_LAYERS = {
    "W1": [[0.3047, -1.04], [0.7505, 0.9406], [-1.951, -1.3022], [0.1278, -0.3162]],
    "b1": [[-0.0084], [-0.4265], [0.4397], [0.3889]],
    "W2": [[0.066, 1.1272, 0.4675, -0.8593], [0.3688, -0.9589, 0.8785, -0.0499], [-0.1849, -0.6809, 1.2225, -0.1545]],
    "b2": [[-0.2142], [-0.1761], [0.2662]],
    "W3": [[0.3654, 0.4127, 0.4308]],
    "b3": [[1.0708]],
}

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


def _saturated(title: str, loss: Node, nodes: list[Node]) -> Case:
    return build(
        title, nodes, loss, inputs={"x": [[1.0]]}, constants={"y": [[0.0]]}, params={"W1": [[40.0]], "b1": [[0.0]]}
    )


def _line_squared(title: str, one: Any, two: Any, three: Any, dtype: Dtype = "float64") -> Case:
    return build(
        title,
        [apply("a", "multiply", "w", "x"), apply("z", "add", "a", "b"), apply("squared", "square", "z")],
        apply("L", "value", "squared"),
        inputs={"w": two, "x": three, "b": one},
        dtype=dtype,
    )


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


NOTEBOOK = WorkedExample(
    key="notebook",
    title="From the chain rule to a three-layer net",
    source='"Backpropagation: The Heart of Deep Learning", a notebook; its author is not stated',
    shows="Single expressions with exact derivatives, XOR under two losses, gradient checking, gradient flow, and the "
    "notebook's three exercises solved. The notebook stores no outputs; digits listed here are worked out by hand.",
    cases=(
        WorkedCase(
            key="cube",
            title="(2x + 1)³ at x = 2",
            case=build(
                "(2x + 1)^3 at 2",
                [
                    apply("2x", "multiply", "two", "x"),
                    apply("u", "add", "2x", "one"),
                    apply("f", "power", "u", exponent=3.0),
                ],
                apply("L", "value", "f"),
                inputs={"x": 2.0},
                constants={"two": 2.0, "one": 1.0},
            ),
            explanation="u = 2x + 1 = 5, f = u³ = 125. df/du = 3u² = 75 and du/dx = 2, so df/dx = 150.",
            printed=(
                *printed(Quantity(0, "value", "u"), "5", BY_HAND),
                *printed(Quantity(0, "value", "f"), "125", BY_HAND),
                *printed(Quantity(0, "grad", "u"), "75", BY_HAND),
                *printed(Quantity(0, "grad", "x"), "150", BY_HAND),
            ),
        ),
        WorkedCase(
            key="line-squared",
            title="(wx + b)² at w = 2, x = 3, b = 1",
            case=_line_squared("(wx + b)^2 at 2, 3, 1", 1.0, 2.0, 3.0),
            explanation="z = 7 and L = 49. dL/dz = 2z = 14, which b receives as it is, w times x = 3, and x times w = "
            "2.",
            printed=(
                *printed(Quantity(0, "value", "a"), "6", BY_HAND),
                *printed(Quantity(0, "value", "z"), "7", BY_HAND),
                *printed(Quantity(0, "value", "loss"), "49", BY_HAND),
                *printed(Quantity(0, "grad", "z"), "14", BY_HAND),
                *printed(Quantity(0, "grad", "b"), "14", BY_HAND),
                *printed(Quantity(0, "grad", "w"), "42", BY_HAND),
                *printed(Quantity(0, "grad", "x"), "28", BY_HAND),
            ),
        ),
        WorkedCase(
            key="neuron",
            title="One sigmoid neuron with three inputs",
            case=build(
                "one sigmoid neuron, half squared error",
                chain("rows", "z", "a", "sigmoid"),
                apply("L", "squared_error", "a", "y", reduction="half_sum"),
                inputs={"x": [[1.0, 2.0, 3.0]]},
                constants={"y": [[1.0]]},
                params={"W1": [[0.5], [-0.2], [0.1]], "b1": [0.3]},
            ),
            explanation=(
                "z = 0.5 - 0.4 + 0.3 + 0.3 = 0.7 and a = 0.6682. dL/da = a - y; times the slope 0.2217 it is dL/dz, "
                "which b receives as it is and each weight times its input."
            ),
            printed=(
                *printed(Quantity(0, "value", "z"), [["0.7000"]], BY_HAND),
                *printed(Quantity(0, "value", "a"), [["0.6682"]], BY_HAND),
                *printed(Quantity(0, "value", "loss"), "0.0550", BY_HAND),
                *printed(Quantity(0, "grad", "a"), [["-0.3318"]], BY_HAND),
                *printed(Quantity(0, "grad", "z"), [["-0.0736"]], BY_HAND),
                *printed(Quantity(0, "grad", "W1"), [["-0.0736"], ["-0.1471"], ["-0.2207"]], BY_HAND),
                *printed(Quantity(0, "grad", "b1"), ["-0.0736"], BY_HAND),
            ),
        ),
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
            key="saturated-clip",
            title="Where the clip cuts the gradient off",
            case=_saturated(
                "one sigmoid at 40, cross-entropy clipped at 1e-15",
                apply("L", "binary_cross_entropy", "a1", "y", reduction="sample_mean", samples_axis=1, clip=1e-15),
                chain("columns", "z{}", "a{}", "sigmoid"),
            ),
            explanation="A confident wrong answer: z = 40, target 0. The probability lies above 1 - 1e-15, so the "
            "clip replaces it "
            "by a constant, and the derivative of the loss as written is 0.",
            remarks=(
                Remark(
                    kind="trap",
                    text="The hand-written dZ = A - Y ignores the clip in the loss. Where the clip acts, it is not "
                    "the gradient "
                    "of the loss that is reported (it is still what one wants for training).",
                    evidence="A - Y is 1. Autograd through the clip gives 0.",
                    quantity=Quantity(0, "grad", "z1"),
                ),
                Remark(
                    kind="trap",
                    text="The clipped loss is sensitive to rounding: 1 - 1e-15 is not a double.",
                    evidence="-log(1e-15) is 34.538776; float64 gives 34.539576.",
                    quantity=Quantity(0, "value", "loss"),
                ),
            ),
        ),
        WorkedCase(
            key="saturated-logit",
            title="The same on the logit, without a clip",
            case=_saturated(
                "one sigmoid at 40, cross-entropy on the logit",
                apply("L", "binary_cross_entropy_with_logits", "z1", "y", reduction="sample_mean", samples_axis=1),
                [dense("z1", "x", 1, "columns")],
            ),
            explanation="The loss is 40 and its gradient 1 (to within 1e-17): what A - Y gives.",
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
            key="autograd-line",
            title="wx + b at x = 2, w = 3, b = 1",
            case=build(
                "wx + b at 3, 2, 1, float32",
                [apply("wx", "multiply", "w", "x"), apply("y", "add", "wx", "b")],
                apply("L", "value", "y"),
                inputs={"x": [2.0], "w": [3.0], "b": [1.0]},
                dtype="float32",
            ),
            explanation="y = 7. Its derivative in x is w, in w it is x, in b it is 1.",
            printed=(
                *printed(Quantity(0, "value", "y"), ["7"], BY_HAND),
                *printed(Quantity(0, "grad", "x"), ["3"], BY_HAND),
                *printed(Quantity(0, "grad", "w"), ["2"], BY_HAND),
                *printed(Quantity(0, "grad", "b"), ["1"], BY_HAND),
            ),
        ),
        WorkedCase(
            key="autograd-line-squared",
            title="(wx + b)² again, as one-element arrays",
            case=_line_squared("(wx + b)^2 at 2, 3, 1, float32", [1.0], [2.0], [3.0], "float32"),
            explanation="The same numbers as before, now float32 arrays of one element: 49, and 42, 28, 14.",
            printed=(
                *printed(Quantity(0, "value", "loss"), "49", BY_HAND),
                *printed(Quantity(0, "grad", "w"), ["42"], BY_HAND),
                *printed(Quantity(0, "grad", "x"), ["28"], BY_HAND),
                *printed(Quantity(0, "grad", "b"), ["14"], BY_HAND),
            ),
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
            case=_gradient_flow(
                "2-8-4-1 ReLU/ReLU/sigmoid on XOR, float32, layers drawn from a fresh seed", LINEAR_FRESH
            ),
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
            key="exercise-2",
            title="Exercise 2: a sum and a difference, squared",
            case=build(
                "(w1 x1 + w2 x2)^2 + (w1 x1 - w2 x2)^2",
                [
                    apply("p", "multiply", "w1", "x1"),
                    apply("q", "multiply", "w2", "x2"),
                    apply("s", "add", "p", "q"),
                    apply("d", "subtract", "p", "q"),
                    apply("s2", "square", "s"),
                    apply("d2", "square", "d"),
                    apply("total", "add", "s2", "d2"),
                ],
                apply("L", "value", "total"),
                inputs={"w1": 0.5, "w2": -1.0, "x1": 3.0, "x2": 2.0},
            ),
            explanation=(
                "With p = w1 x1 and q = w2 x2 the mixed terms cancel: L = 2p² + 2q². So dL/dw1 = 4 w1 x1² and "
                "dL/dw2 = 4 w2 x2². We take w1 = 0.5, w2 = -1, x1 = 3, x2 = 2: 4·0.5·9 = 18 and 4·(-1)·4 = -16."
            ),
            printed=(
                *printed(Quantity(0, "value", "loss"), "12.5", BY_HAND),
                *printed(Quantity(0, "grad", "w1"), "18", BY_HAND),
                *printed(Quantity(0, "grad", "w2"), "-16", BY_HAND),
                *printed(Quantity(0, "grad", "x1"), "3", BY_HAND),
                *printed(Quantity(0, "grad", "x2"), "8", BY_HAND),
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
    ),
)
