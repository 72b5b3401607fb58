"""The notebook's single expressions and single neurons."""

from __future__ import annotations

from typing import Any

from harness.case import Case, Dtype, Node
from harness.trace import Quantity
from harness.worked_example import Remark, WorkedCase
from reference_impls.worked_examples.networks import apply, build, chain, dense, printed

BY_HAND = "worked out by hand; the notebook stores no outputs"


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


EXPRESSIONS = (
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
        explanation="z = 7 and L = 49. dL/dz = 2z = 14, which b receives as it is, w times x = 3, and x times w = 2.",
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
)
