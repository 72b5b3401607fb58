"""Runs as they might come out of a store: ordinary ones, and those that a report must survive."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable
from decimal import Decimal

import msgspec
import numpy as np

from harness.campaign.records import (
    Branching,
    CardRecord,
    CaseRecord,
    Catalogue,
    Cell,
    Curve,
    ExampleRecord,
    Finding,
    FlowRecord,
    GradientCheckRecord,
    GraphNode,
    KinkRecord,
    PrintedRecord,
    QuantityRecord,
    RemarkRecord,
    RunRecord,
    Side,
    Tested,
    Verdict,
    as_float,
    as_number,
)

IMPLEMENTATIONS = ["numpy", "torch", "jax"]

HOSTILE = [
    "<script>window.PWNED=1</script>",
    '"><img src=x onerror="window.PWNED=2">',
    "'><svg onload=window.PWNED=3>",
    "</title></style></script><script>window.PWNED=4</script>",
    "{{7*7}} {% raw %} ${7*7}",
    "javascript:window.PWNED=5",
    "a\u2028b\u2029c\u202edesrever\u0007\x1b[31mred\x1b]0;title\x07",
    "--><!-- ]]> &amp; &lt;b&gt;",
    "http://evil.example/x.png",
    "n" * 300,
]
"""Strings that try to be something other than text."""


def exact_digits(value: float) -> str:
    """Twenty significant digits."""
    return "0" if value == 0 else f"{Decimal(value):.19e}" if not 1e-4 < abs(value) < 1e6 else f"{Decimal(value):.20g}"


def quantity(
    kind: str,
    name: str,
    exact: object,
    *,
    step: int = 0,
    slot: str = "",
    seed: int = 0,
    off: dict[str, tuple[Verdict, list[float]]] | None = None,
    missing: tuple[str, ...] = (),
    least: float = 0.0,
) -> QuantityRecord:
    """A quantity whose cells lie a random rounding away from exact, except those in `off`."""
    array = np.asarray(exact, dtype=np.float64)
    flat = [float(x) for x in array.ravel()]
    dice = random.Random(f"{seed}{kind}{name}{step}{slot}")  # noqa: S311
    bounds = [4 * float(np.spacing(abs(x))) if x else least for x in flat]
    cells = []
    for implementation in IMPLEMENTATIONS:
        if implementation in missing:
            continue
        if off and implementation in off:
            verdict, values = off[implementation]
        else:
            values = [x + dice.choice([0, 0, 0, 1, -1, 2]) * float(np.spacing(abs(x))) if x else 0.0 for x in flat]
            verdict = "exact" if values == flat else "rounding"
        errors = [v - x for v, x in zip(values, flat, strict=True)]
        ulps = [
            0.0 if e == 0 else (math.nan if x == 0 else e / float(np.spacing(abs(x))))
            for e, x in zip(errors, flat, strict=True)
        ]
        ratios = [0.0 if e == 0 else (abs(e) / b if b else math.inf) for e, b in zip(errors, bounds, strict=True)]
        if verdict == "undetermined branch":
            ratios = [min(r, 0.4) for r in ratios]
        sizes = [-1.0 if math.isnan(r) else r for r in ratios]
        worst = max(range(len(flat)), key=sizes.__getitem__, default=-1)
        sharp = [0.0 if b == 0 else (b / abs(v) if v else math.inf) for b, v in zip(bounds, values, strict=True)]
        passing = verdict in ("exact", "rounding")
        cells.append(
            Cell(
                implementation=implementation,
                verdict=verdict,
                values=[repr(v) for v in values],
                errors_ulps=[as_number(u) for u in ulps],
                ratios=[as_number(r) for r in ratios],
                worst_index=worst,
                worst_ulps=as_number(ulps[worst]) if flat else 0.0,
                worst_ratio=as_number(ratios[worst]) if flat else 0.0,
                sharpness=as_number(float(np.median(sharp))) if flat else 0.0,
                vacuous=sum(s >= 1 for s in sharp) if passing else 0,
            )
        )
    return QuantityRecord(
        step=step,
        kind=kind,
        name=name,
        slot=slot,
        shape=list(array.shape),  # type: ignore[arg-type]
        exact=[exact_digits(x) for x in flat],
        bounds=[as_number(b) for b in bounds],
        cells=cells,
    )


def measured(make: Callable[..., CaseRecord]) -> Callable[..., CaseRecord]:
    """The same case with findings that count its numbers and say how sharp its cells are."""

    @functools.wraps(make)
    def made(*arguments: object, **options: object) -> CaseRecord:
        case = make(*arguments, **options)
        findings = []
        for finding in case.findings:
            own = [(q, c) for q in case.quantities for c in q.cells if c.implementation == finding.implementation]
            sharp = [as_float(cell.sharpness) for quantity, cell in own if quantity.kind == "grad"]
            changes = {
                "numbers": sum(len(cell.values) for _, cell in own),
                "vacuous": sum(cell.vacuous for _, cell in own),
                "sharpness": as_number(float(np.median(sharp))) if sharp else 0.0,
            }
            findings.append(msgspec.structs.replace(finding, **changes))
        return msgspec.structs.replace(case, findings=findings)

    return made


@measured
def agreeing(number: int, *, example: str = "", steps: int = 2) -> CaseRecord:
    """Two dense layers and a sigmoid, everything within rounding."""
    dice = np.random.default_rng(number)
    shapes = {"W1": (3, 2), "b1": (3,), "W2": (1, 3), "b2": (1,)}
    nodes = {"z1": (3,), "h": (3,), "z2": (1,), "y": (1,), "mse": ()}
    quantities = []
    for step in range(steps + 1):
        for name, shape in nodes.items():
            quantities.append(quantity("value", name, dice.normal(size=shape), step=step, seed=number))
            if name != "mse":
                quantities.append(quantity("grad", name, dice.normal(size=shape), step=step, seed=number))
        for name, shape in shapes.items():
            quantities.append(quantity("grad", name, dice.normal(size=shape), step=step, seed=number))
            if step:
                quantities.append(quantity("param", name, dice.normal(size=shape), step=step, seed=number))
                quantities += [
                    quantity("state", name, dice.normal(size=shape), step=step, slot=slot, seed=number) for slot in "mv"
                ]
    graph = [
        GraphNode(name="x", kind="input", shape=[2]),
        GraphNode(name="t", kind="constant", shape=[1]),
        *(GraphNode(name=name, kind="parameter", shape=list(shape)) for name, shape in shapes.items()),
        GraphNode(name="z1", kind="layer", op="dense", inputs=["x"], params={"w": "W1", "b": "b1"}, shape=[3]),
        GraphNode(name="h", kind="layer", op="relu", inputs=["z1"], shape=[3]),
        GraphNode(name="z2", kind="layer", op="dense", inputs=["h"], params={"w": "W2", "b": "b2"}, shape=[1]),
        GraphNode(name="y", kind="layer", op="sigmoid", inputs=["z2"], shape=[1]),
        GraphNode(name="mse", kind="loss", op="squared_error", inputs=["y", "t"], hypers={"reduction": "mean"}),
    ]
    return CaseRecord(
        id=f"{number:016x}",
        title=f"2-3-1 network, ReLU and sigmoid, Adam ({number})",
        verdict="rounding",
        headline="All 3 implementations agree with the exact values to within rounding.",
        dtype="float64",
        steps=steps,
        optimizer="adam(lr=0.01)",
        example=example,
        graph=graph,
        findings=[
            Finding(
                implementation=name,
                verdict="rounding",
                worst_ratio=0.31 + 0.1 * i,
                worst_ulps=1.0 + i,
                sentence=f"{name} agrees to within rounding: at most {0.31 + 0.1 * i:.2f} of the bound.",
            )
            for i, name in enumerate(IMPLEMENTATIONS)
        ],
        quantities=quantities,
        curves=[
            Curve(
                kind="loss",
                implementation=name,
                steps=list(range(200)),
                values=[2.0 * math.exp(-k / 40) for k in range(200)],
            )
            for name in IMPLEMENTATIONS
        ]
        + [
            Curve(
                kind="drift",
                implementation=name,
                steps=list(range(1, 200)),
                values=[1e-17 * (1 + i) * k**0.8 * (1 + 0.2 * math.sin(k / (3 + i))) for k in range(1, 200)],
            )
            for i, name in enumerate(IMPLEMENTATIONS)
        ],
        seconds={"numpy": 0.0011, "torch": 0.0042, "jax": 0.412},
        notes={"jax": "compiled once, 0.40 s of the time"},
    )


@measured
def diagonal_flip() -> CaseRecord:
    """The case to keep in mind: a pre-activation that is 0 on paper."""
    x = np.array([1.0, 0, 1, 1])
    target = np.array([1.0, 1, 0, 1])
    W2 = np.array([[0.3, -0.2, 0.4, 0.1], [-0.1, 0.5, -0.3, 0.2], [0.2, -0.4, 0.1, -0.5]])
    z = np.array([0.0, -0.1, 0.5])
    h = np.maximum(z, 0)
    out = h @ W2 + np.array([0, 0.1, -0.1, 0])
    dout = (out - target) / 2
    dh = dout @ W2.T
    dz = dh * (z > 0)
    alive = dz.copy()
    alive[0] = dh[0]
    small = 2.7755575615628914e-17

    def branched(kind: str, name: str, dead: np.ndarray, live: np.ndarray, step: int = 0) -> QuantityRecord:
        on = ("undetermined branch", [float(v) for v in live.ravel()])
        return quantity(kind, name, dead, step=step, off={"torch": on, "jax": on})  # type: ignore[dict-item]

    flipped = [float(v) for v in z]
    near = {
        "numpy": ("rounding", [-small, *flipped[1:]]),
        "torch": ("rounding", [small, *flipped[1:]]),
        "jax": ("rounding", [small, *flipped[1:]]),
    }
    first = quantity("value", "z1", z, off=near, least=8.3266726846886741e-17)  # type: ignore[arg-type]
    return CaseRecord(
        id="7f3c09a1e2b44d10",
        title="4-3-4 network, one step by hand",
        key="diagonal_flip/step",
        example="diagonal_flip",
        verdict="undetermined branch",
        headline="At `h[0]` the pre-activation is exactly 0, the kink of ReLU, and rounding decides the side: numpy "
        "finds the neuron dead, torch and jax alive. So `W1` has two gradients, and both are right to within "
        "rounding. Not a bug.",
        explanation="A 2×2 image is flipped along its diagonal by a network of 4, 3 and 4 neurons. The first hidden "
        "neuron adds `0.2 + 0.1 - 0.4 + 0.1`, which is 0 on paper. In floating point the sum depends on the order of "
        "the additions.\n\nThe source rounds the pre-activations to two digits before ReLU, which hides this.",
        dtype="float64",
        steps=1,
        optimizer="sgd(lr=0.1)",
        graph=[
            GraphNode(name="x", kind="input", shape=[4]),
            GraphNode(name="target", kind="constant", shape=[4]),
            GraphNode(name="W1", kind="parameter", shape=[4, 3]),
            GraphNode(name="b1", kind="parameter", shape=[3]),
            GraphNode(name="W2", kind="parameter", shape=[3, 4]),
            GraphNode(name="b2", kind="parameter", shape=[4]),
            GraphNode(name="z1", kind="layer", op="dense", inputs=["x"], params={"w": "W1", "b": "b1"}, shape=[3]),
            GraphNode(name="h", kind="layer", op="relu", inputs=["z1"], shape=[3]),
            GraphNode(name="yhat", kind="layer", op="dense", inputs=["h"], params={"w": "W2", "b": "b2"}, shape=[4]),
            GraphNode(
                name="mse", kind="loss", op="squared_error", inputs=["yhat", "target"], hypers={"reduction": "mean"}
            ),
        ],
        findings=[
            Finding(
                implementation="numpy",
                verdict="rounding",
                worst_ratio=0.33,
                worst_ulps=1.0,
                sentence="numpy agrees with the exact values to within rounding; it took the dead side at `h[0]`.",
            ),
            *(
                Finding(
                    implementation=name,
                    verdict="undetermined branch",
                    worst_ratio=0.4,
                    worst_ulps="nan",
                    place="grad z1 at step 0",
                    op="relu",
                    sentence=f"{name} took the alive side of ReLU at `h[0]`, where the exact value lies on the kink; "
                    "its gradients are right for that side.",
                )
                for name in ("torch", "jax")
            ),
        ],
        kinks=[
            KinkRecord(
                step=0,
                node="h",
                op="relu",
                index=[0],
                comparison="greater",
                gap="0",
                bound=8.3266726846886741e-17,
                sides=[
                    Side(implementation="numpy", value="-2.7755575615628914e-17", branch="at or below"),
                    Side(implementation="torch", value="2.7755575615628914e-17", branch="above"),
                    Side(implementation="jax", value="2.7755575615628914e-17", branch="above"),
                ],
            )
        ],
        quantities=[
            first,
            quantity("value", "h", h),
            quantity("value", "yhat", out),
            quantity("value", "mse", ((out - target) ** 2).mean()),
            quantity("grad", "yhat", dout),
            quantity("grad", "h", dh),
            branched("grad", "z1", dz, alive),
            branched("grad", "W1", np.outer(x, dz), np.outer(x, alive)),
            branched("grad", "b1", dz, alive),
            quantity("grad", "W2", np.outer(h, dout)),
            quantity("grad", "b2", dout),
            branched("param", "W1", 0.3 - 0.1 * np.outer(x, dz), 0.3 - 0.1 * np.outer(x, alive), step=1),
            quantity("param", "W2", W2 - 0.1 * np.outer(h, dout), step=1),
        ],
        printed=[
            PrintedRecord(
                step=0,
                kind="grad",
                name="h",
                index=[0],
                digits="-0.0975",
                where="Step 4",
                reproduced=dict.fromkeys(IMPLEMENTATIONS, True),
                values=dict.fromkeys(IMPLEMENTATIONS, "-0.0975"),
            ),
            PrintedRecord(
                step=0,
                kind="grad",
                name="W1",
                index=[0, 0],
                digits="0",
                where="Step 6",
                reproduced={"numpy": True, "torch": False},
                values={"numpy": "0.0", "torch": "-0.09750000000000002", "jax": "-0.0975"},
            ),
        ],
        remarks=[
            RemarkRecord(
                kind="trap",
                text="The zero gradient of `W1[0, 0]` holds for the dead side only.",
                evidence="torch and jax compute -0.0975.",
                quantity="grad W1 at step 0",
            ),
            RemarkRecord(
                kind="error", text="The source prints a loss of `0.896`; the numbers it prints before it give 0.9025."
            ),
            RemarkRecord(kind="note", text="Rounding the pre-activations to two digits is not part of the network."),
        ],
        gradient_checks=[
            GradientCheckRecord(
                name="W2",
                implementation=name,
                elements=12,
                epsilon=1e-6,
                float_difference=3.1e-10,
                exact_error=1.2e-31,
                exact_epsilon="1e-16",
            )
            for name in IMPLEMENTATIONS
        ],
        seconds={"numpy": 0.0004, "torch": 0.002, "jax": 0.3},
    )


@measured
def mismatch() -> CaseRecord:
    """One wrong implementation, first in an optimizer's update; a quantity that jax does not record."""
    base = agreeing(812)
    quantities = [q for q in base.quantities if (q.kind, q.name, q.step) != ("param", "b1", 1)]
    exact = [0.01, -0.02, 0.03]
    quantities.append(
        quantity("param", "b1", exact, step=1, off={"jax": ("mismatch", [0.01, -0.020000000000011275, 0.03])})
    )
    quantities.append(quantity("grad", "x", [0.5, 0.25], missing=("jax",)))
    sentence = (
        "jax disagrees with the exact value by 812× the rounding bound in `b1` after update step 1; its forward pass "
        "and all gradients agree, so the optimizer call is at fault; the value equals the correct one with the bias "
        "correction off by one step. numpy and torch agree."
    )
    findings = [
        *base.findings[:2],
        Finding(
            implementation="jax",
            verdict="mismatch",
            place="param b1 at step 1",
            op="adam",
            worst_ratio=812.4,
            worst_ulps=-3250.0,
            sentence=sentence,
            detail="expected -0.02, got -0.020000000000011275",
        ),
    ]
    return CaseRecord(
        **{f: getattr(base, f) for f in ("dtype", "steps", "optimizer", "graph", "curves", "seconds")},
        id="bad0000000000812",
        title="2-3-1 network, Adam with a wrong bias correction",
        verdict="mismatch",
        headline=sentence,
        findings=findings,
        quantities=quantities,
    )


@measured
def deep(layers: int = 14) -> CaseRecord:
    """A deep chain of sigmoids, whose point is how the gradient vanishes."""
    graph = [GraphNode(name="x", kind="input", shape=[4])]
    quantities = []
    before = "x"
    for k in range(layers):
        graph.append(GraphNode(name=f"W{k}", kind="parameter", shape=[4, 4]))
        graph.append(
            GraphNode(name=f"a{k}", kind="layer", op="dense_sigmoid", inputs=[before], params={"w": f"W{k}"}, shape=[4])
        )
        before = f"a{k}"
        quantities.append(quantity("value", before, [0.5 + 0.01 * k] * 4))
        quantities.append(quantity("grad", f"W{k}", np.full((4, 4), 0.25 ** (layers - k))))
    graph.append(GraphNode(name="L", kind="loss", op="half_sum", inputs=[before]))
    return CaseRecord(
        id="deed000000000014",
        title="Vanishing gradients in a deep sigmoid network",
        verdict="rounding",
        dtype="float32",
        headline="All 3 implementations agree to within rounding; the gradient shrinks by about 4 per layer.",
        steps=0,
        example="depth",
        draw_flow=True,
        graph=graph,
        quantities=quantities,
        findings=[
            Finding(implementation=n, verdict="rounding", worst_ratio=0.5, worst_ulps=2.0, sentence="Agrees.")
            for n in IMPLEMENTATIONS
        ],
        flow=[
            FlowRecord(
                name=f"W{k}",
                kind="parameter",
                implementation=n,
                mean=0.25 ** (layers - k) * (1 + 0.02 * i),
                largest=0.25 ** (layers - k) * 3,
                zeros=0,
                size=16,
            )
            for k in range(layers)
            for i, n in enumerate(IMPLEMENTATIONS)
        ]
        + [
            FlowRecord(name="relu0", kind="node", implementation=n, mean=0.0, largest=0.0, zeros=4, size=4)
            for n in IMPLEMENTATIONS
        ],
    )


def dag() -> CaseRecord:
    """Thirty nodes with skips, joins, a shared parameter, a penalty."""
    dice = random.Random(5)  # noqa: S311
    graph = [GraphNode(name="x", kind="input", shape=[8, 16]), GraphNode(name="mask", kind="constant", shape=[8])]
    graph += [GraphNode(name="W_shared", kind="parameter", shape=[16, 16])]
    names = ["x"]
    ops = ["dense", "layer_norm", "gelu", "add", "softmax", "concat", "attention", "dropout_mask", "relu"]
    for k in range(26):
        op = ops[k % len(ops)]
        inputs = [names[-1] if k % 4 else dice.choice(names[-4:])]
        if op in ("add", "concat", "attention") and len(names) > 2:
            inputs.append(dice.choice(names[-6:-1]))
        graph.append(
            GraphNode(
                name=f"block{k // 9}.{op}{k}",
                kind="layer",
                op=op,
                inputs=inputs,
                shape=[8, 16],
                params={"w": "W_shared"} if op == "dense" else {},
            )
        )
        names.append(graph[-1].name)
    graph.append(GraphNode(name="cross_entropy", kind="loss", op="cross_entropy", inputs=[names[-1], "mask"]))
    graph.append(GraphNode(name="l2", kind="penalty", op="l2_penalty", params={"w": "W_shared"}))
    return CaseRecord(
        id="da60000000000030",
        title="A thirty-node network with skips and a very long title that has to wrap somewhere "
        "without breaking the page, because people do write such titles",
        verdict="convention",
        headline="jax differs by a documented convention: the default of gelu is its tanh approximation.",
        dtype="float64",
        steps=0,
        graph=graph,
        findings=[
            Finding(implementation="numpy", verdict="exact", sentence="Exact."),
            Finding(implementation="torch", verdict="not implemented", sentence="torch has no `dropout_mask`."),
            Finding(
                implementation="jax",
                verdict="convention",
                worst_ratio=3.1e7,
                worst_ulps=9.9e8,
                sentence="gelu's default differs.",
            ),
        ],
        quantities=[
            quantity(kind, name, [0.5, 0.25], seed=i) for i, name in enumerate(names) for kind in ("value", "grad")
        ],
    )


@measured
def crashed() -> CaseRecord:
    """An implementation that raised; nothing of it is recorded."""
    return CaseRecord(
        id="c4a5000000000001",
        title="A crash in torch",
        verdict="crash",
        dtype="float64",
        steps=0,
        headline="torch raised RuntimeError; numpy and jax agree.",
        graph=[GraphNode(name="only", kind="loss", op="constant_loss")],
        findings=[
            Finding(
                implementation="torch",
                verdict="crash",
                sentence="torch raised an error.",
                detail="RuntimeError: mat1 and mat2 shapes cannot be multiplied (3x4 and 3x4)",
            ),
            Finding(implementation="numpy", verdict="exact", sentence="numpy is exact."),
        ],
        quantities=[quantity("value", "loss", 1.5, missing=("torch", "jax"))],
    )


def hostile() -> CaseRecord:
    """Every string tries something, every number is extreme, every list is odd."""
    a, b, c, d, e, _, g, *_, j = HOSTILE
    wild = ["nan", "inf", "-inf", 1e308, -5e-324]
    return CaseRecord(
        id=b,
        title=a,
        verdict="non-finite",
        headline=b,
        dtype=c,
        steps=3,
        optimizer=d,
        example=a,
        key=e,
        explanation=f"{g}\n\n`{a}` `",
        draw_flow=True,
        graph=[
            GraphNode(name=a, kind="input", shape=[0]),
            GraphNode(name=d, kind="parameter", shape=[2**40, 2**40]),
            GraphNode(
                name=b,
                kind="layer",
                op=c,
                inputs=[a, "nowhere", b],
                params={e: d},
                hypers={a: b, "x": True},
                shape=[1] * 40,
            ),
            GraphNode(name=b, kind="layer", op=c, inputs=[b], shape=[]),
            GraphNode(name=j, kind="loss", op=j, inputs=[b, b]),
        ],
        findings=[
            Finding(
                implementation=a,
                verdict="non-finite",
                place=b,
                op=c,
                worst_ratio="nan",
                worst_ulps="inf",
                sentence=d,
                detail=e,
            ),
            Finding(
                implementation="numpy",
                verdict="mismatch",
                place=f"grad {b} at step 3",
                worst_ratio="inf",
                worst_ulps="-inf",
                sentence=a,
            ),
        ],
        quantities=[
            QuantityRecord(
                step=3,
                kind="grad",
                name=b,
                shape=[5],
                exact=["0", a, "nan", "1e400", "-0.0"],
                bounds=[*wild],
                cells=[
                    Cell(
                        implementation="numpy",
                        verdict="mismatch",
                        values=["nan", b, "inf", "0x1p-3", "-0.0"],
                        errors_ulps=[*wild],
                        ratios=[*reversed(wild)],
                        worst_index=2,
                        worst_ulps="nan",
                        worst_ratio="inf",
                    ),
                    Cell(implementation=a, verdict="crash", values=[c]),
                ],
            ),
            QuantityRecord(step=0, kind="state", name=a, slot=b, shape=[0]),
            QuantityRecord(step=1, kind="value", name=j, shape=[3], shown=[2], exact=["1"], cells=[]),
            QuantityRecord(
                step=2,
                kind="param",
                name=d,
                shape=[2],
                exact=["1", "2"],
                cells=[Cell(implementation="jax", verdict="ill-conditioned")],
            ),
        ],
        kinks=[
            KinkRecord(
                step=0,
                node=b,
                op=a,
                index=[0, 99],
                comparison=c,
                gap=gap,
                bound=bound,
                sides=[Side(implementation=a, value=value, branch=b), Side(implementation=j, value="1e99", branch=d)],
            )
            for gap, bound, value in [
                ("0", 1e-16, "nan"),
                (a, "inf", b),
                ("1e-30", 1e-20, "-1e-21"),
                ("x", 0.0, "0"),
                ("0", 5e-324, "5e-324"),
                ("0", 1e308, "-1e308"),
                ("0", 1.0, "0.5"),
                ("0", 1.0, "-0.5"),
            ]
        ],
        printed=[
            PrintedRecord(
                step=3,
                kind=a,
                name=b,
                slot=c,
                index=[1],
                digits=d,
                where=e,
                reproduced={a: False},
                values={a: b, "jax": c},
            )
        ],
        remarks=[RemarkRecord(kind=a, text=b, evidence=c, quantity=f"grad {b} at step 3")],
        curves=[
            Curve(kind="loss", implementation=a, steps=[0, 1, 2], values=["nan", "inf", "-inf"]),
            Curve(kind="loss", implementation=b, steps=[0, 1, 2, 3], values=[0.0, 1e308, -1e308, 1.0]),
            Curve(kind="drift", implementation=b, steps=[0, 1, 2], values=[0.0, 0.0, 5e-324]),
            Curve(kind="drift", implementation=c, steps=[], values=[]),
        ],
        flow=[
            FlowRecord(name=b, kind="node", implementation=a, mean=mean, largest="nan", zeros=0, size=0)
            for mean in wild
        ],
        gradient_checks=[
            GradientCheckRecord(
                name=a,
                implementation=b,
                elements=0,
                epsilon=0.0,
                float_difference="nan",
                exact_error="inf",
                exact_epsilon=c,
            )
        ],
        notes={a: b, "numpy": d},
        seconds={a: 1e-9, "jax": 1e9},
    )


EXAMPLES = [
    ExampleRecord(
        key="diagonal_flip",
        title="Backpropagation by hand: the diagonal flip",
        source="A textbook, chapter 8",
        shows="One ReLU sits exactly on its kink, so three correct programs give two different gradients.",
    ),
    ExampleRecord(
        key="two_layers",
        title="A two-layer classifier",
        source="A notebook, cell 4",
        shows="Forward, backward and Adam agree to within rounding for twenty steps.",
    ),
    ExampleRecord(
        key="depth",
        title="Why depth needs care",
        source="A lecture, slide 12",
        shows="Gradients shrink by a constant factor per sigmoid layer.",
    ),
]


def run(**changes: object) -> RunRecord:
    """A finished run."""
    fields: dict[str, object] = {
        "started": "2026-11-22T03:48:12+00:00",
        "finished": "2026-11-22T03:49:40+00:00",
        "implementations": IMPLEMENTATIONS,
        "environment": {
            "python": "3.11.7",
            "numpy": "2.4.6",
            "torch": "2.13.0+cpu",
            "jax": "0.10.2",
            "machine": "x86_64, AVX2",
            "rounding budgets, in u": "divide 2, exp 6.5",
            "rounding budgets from": "the calibration of 2026-11-20T10:00:00+00:00 on this machine, with numpy 2.4.6",
        },
        "examples": EXAMPLES,
        "planned": 0,
    }
    return RunRecord(**{**fields, **changes})  # type: ignore[arg-type]


CATALOGUE = Catalogue(
    layers=["dense", "relu", "never_drawn", "sigmoid"],
    losses=["squared_error"],
    penalties=["l2_penalty"],
    optimizers=["adam", "sgd"],
    schedules=["cosine"],
    clippings=["by_norm"],
    dtypes=["float64", "float32"],
    regimes=["he", "zeros"],
    specials=["zero", "huge"],
    branching=["relu", "never_drawn"],
    cards=[
        CardRecord(
            kind="layers", name="dense", summary="y = x W + b", maths="Dense layer.\n\n    forward  y  = x W + b",
            torch='return x @ p["W"] + p["b"]', jax='return jax.numpy.matmul(x, p["W"]) + p["b"]',
        ),
        CardRecord(kind="layers", name="never_drawn", summary="y = x", maths="Never drawn.", torch="return x"),
        CardRecord(kind="losses", name="squared_error", maths="Mean of squares.", jax="return ((x - y)**2).mean()"),
        CardRecord(kind="optimizers", name="sgd", summary="w - lr g", maths="Downhill."),
    ],
)  # fmt: skip


def generated(number: int, base: CaseRecord, *, abridged: bool = False, **tested: object) -> CaseRecord:
    """A case as if it had been drawn."""
    facts: dict[str, object] = {
        "cards": ["dense", "relu", "sigmoid", "squared_error"],
        "dtype": "float64",
        "depth": 4,
        "regime": "he",
        "specials": ["zero"],
        "branching": [Branching(card="relu", comparisons=3, ties=number % 2)],
    }
    empty = {"quantities": [], "kinks": [], "curves": [], "flow": [], "notes": {}, "seconds": {}}
    return msgspec.structs.replace(
        base,
        id=f"9e{number:014x}",
        title=f"#{number} dense → relu → dense → sigmoid → squared_error; he, float64",
        example="",
        generated=number,
        abridged=abridged,
        tested=Tested(**{**facts, **tested}),  # type: ignore[arg-type]
        **(empty if abridged else {}),
    )


def failing(who: str, verdict: Verdict, op: str = "", **more: object) -> CaseRecord:
    """A case in which one implementation has this verdict; the others agree."""
    base = agreeing(3)
    where = {"place": "grad W1 at step 0", "op": op} if op else {}
    finding = Finding(implementation=who, verdict=verdict, sentence=f"{who}: {verdict}.", **where, **more)  # type: ignore[arg-type]
    findings = [finding if one.implementation == who else one for one in base.findings]
    return msgspec.structs.replace(base, verdict=verdict, headline=finding.sentence, findings=findings)


def generated_run() -> tuple[RunRecord, list[CaseRecord]]:
    """Worked examples and generated cases: agreement, most of it without a page, a fault, what one lacks."""
    lacking = failing("jax", "not implemented")
    sentence = "jax does not implement this case: it has no such rule"
    lacking = msgspec.structs.replace(
        lacking, findings=[*lacking.findings[:2], msgspec.structs.replace(lacking.findings[2], sentence=sentence)]
    )
    given = Tested(cards=["dense", "relu", "squared_error"], optimizer="sgd", dtype="float64", depth=3, steps=1)
    cases = [
        msgspec.structs.replace(diagonal_flip(), tested=given),
        generated(1, agreeing(1)),
        generated(2, agreeing(2), abridged=True),
        generated(3, failing("jax", "mismatch", "dense backward")),
        generated(4, lacking, optimizer="adam", steps=2),
        generated(5, failing("torch", "undecided"), regime="zeros", non_finite=["torch"]),
    ]
    return run(planned=6, generated=5, seed=7, store="out/my results.sqlite", catalogue=CATALOGUE), cases


def good_run() -> tuple[RunRecord, list[CaseRecord]]:
    """What a run of correct implementations looks like: agreement, and one kink."""
    return run(), [diagonal_flip(), *(agreeing(k, example="two_layers") for k in range(3)), deep()]


def mixed_run() -> tuple[RunRecord, list[CaseRecord]]:
    """All kinds of verdicts together."""
    _, cases = good_run()
    return run(planned=10), [*cases, mismatch(), dag(), crashed()]


def hostile_run() -> tuple[RunRecord, list[CaseRecord]]:
    """Strings that attack, beside cases that do not."""
    a, b, _, d, *_ = HOSTILE
    record = run(
        started=a,
        finished=b,
        implementations=[*IMPLEMENTATIONS, a],
        environment={a: b, **{f"v{k}": text for k, text in enumerate(HOSTILE)}},
        examples=[
            ExampleRecord(key=a, title=b, source="javascript:alert(1)", shows=d),
            ExampleRecord(key="e", title="", source="", shows=""),
        ],
        generated=3,
        store=b,
        catalogue=Catalogue(
            layers=[a, b, "n" * 300],
            losses=[d],
            penalties=HOSTILE,
            optimizers=[a],
            dtypes=[b],
            regimes=[a],
            specials=HOSTILE,
            branching=[b, d],
        ),
    )
    wild = {
        "cards": [a, d, "<i>unknown</i>"], "optimizer": a, "schedule": b, "clip": d, "dtype": b, "depth": 10**9,
        "steps": 10**9, "regime": b, "specials": HOSTILE, "non_finite": [a, b],
        "branching": [Branching(card=a, comparisons=10**12, ties=10**12, undetermined=10**12)],
    }  # fmt: skip
    drawn = [
        msgspec.structs.replace(generated(1, failing(a, "not implemented"), **wild), id=b, title=a),
        msgspec.structs.replace(generated(2, failing("jax", "crash", op=a, internal=True), **wild), id=a, title=d),
        msgspec.structs.replace(generated(3, agreeing(3), abridged=True, **wild), id=d, title=b),
    ]
    empty = CaseRecord(id="e", title="", verdict="undecided", headline="", dtype="float64", steps=0)
    return record, [hostile(), diagonal_flip(), empty, empty, *drawn]
