"""Random networks and numbers that nobody chose by hand: seeded, and one architecture with many draws at a time.

JAX compiles per architecture, so an architecture is drawn once and then filled with numbers in each regime. Depths
take turns, so that any beginning of the population has all of them. All numbers are float32's, so the same net can be
run in both dtypes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness import Case, Network, Node, OptimizerSpec, TensorSpec
from harness.case import Dtype
from harness.spec import Array

REGIMES: Mapping[str, str] = {
    "he": "usual initialisation: normal, deviation sqrt(2 / fan-in)",
    "unit": "normal, deviation 1 whatever the fan-in",
    "big": "deviation 5 / sqrt(fan-in): sigmoids and tanhs saturate",
    "tiny": "deviation 0.001: gradients vanish with depth",
    "wide": "exponents spread evenly over 5 decades in weights, 8 in inputs: ill-conditioned sums",
    "cancel": "columns and rows that nearly cancel in pairs",
    "integers": "small whole numbers: most sums are exact, ReLUs stand exactly at 0",
    "constant": "all weights alike, all inputs alike",
    "duplicate rows": "every sample the same: zero variance",
    "sparse": "60 % of the weights and half of the inputs are 0",
    "offset": "inputs around 1000",
    "zeros": "half of the parameters are all 0, half of the samples too",
}
ACTIVATIONS = ("identity", "relu", "sigmoid", "tanh")
REDUCTIONS: Mapping[str, tuple[str, ...]] = {
    "squared_error": ("sum", "half_sum", "mean", "sample_mean"),
    "binary_cross_entropy_with_logits": ("sum", "mean", "sample_mean"),
    "binary_cross_entropy": ("sum", "mean", "sample_mean"),
}
SHAPES = ("chain", "residual", "shared", "penalty")
DEPTHS = range(1, 9)
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Roughly evenly spaced in their logarithm, so that an even choice of them is a log-uniform one."""

MOST_WORK = 100_000
"""Multiplications in a forward pass: the largest nets get small batches, so that none takes the time of all."""

OPTIMIZERS = (
    OptimizerSpec("sgd", {"lr": 0.1}),
    OptimizerSpec("adam"),
    OptimizerSpec("sgd", {"lr": 0.003}),
    OptimizerSpec("adam", {"lr": 0.05, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6}),
)


@dataclass(frozen=True)
class Architecture:
    """A multi-layer net without its numbers.

    `shape` is `chain`; `residual`, with an add around each square layer; `shared`, in which square layers use one
    weight matrix; or `penalty`, a chain whose first weights are penalised.
    """

    shape: str
    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    reduction: str
    batch: int

    @property
    def depth(self) -> int:
        """The number of dense layers."""
        return len(self.activations)

    @property
    def work(self) -> int:
        """Multiplications in a forward pass."""
        return self.batch * sum(m * n for m, n in itertools.pairwise(self.widths))

    def network(self) -> Network:
        """As a network of cards: x, then z1, a1, (r1,) z2, ..."""
        nodes: list[Node] = []
        params: dict[str, TensorSpec] = {}
        x, shared = "x", ""
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(self.widths), start=1):
            square = fan_in == fan_out
            key = shared if self.shape == "shared" and square and shared else str(layer)
            if self.shape == "shared" and square:
                shared = key
            params |= {f"W{key}": TensorSpec([fan_in, fan_out]), f"b{key}": TensorSpec([fan_out])}
            nodes.append(Node(f"z{layer}", "dense", [x], {"W": f"W{key}", "b": f"b{key}"}))
            nodes.append(Node(f"a{layer}", self.activations[layer - 1], [f"z{layer}"]))
            if self.shape == "residual" and square and layer < self.depth:
                nodes.append(Node(f"r{layer}", "add", [f"a{layer}", x]))
            x = nodes[-1].name
        loss = [Node("L", self.loss, [x, "t"], {}, {"reduction": self.reduction})]
        if self.shape == "penalty":
            loss.append(Node("P", "l2_penalty", [], {"w": "W1"}, {"strength": 0.25}))
        return Network(
            inputs={"x": TensorSpec([self.batch, self.widths[0]])},
            constants={"t": TensorSpec([self.batch, self.widths[-1]])},
            params=params,
            nodes=nodes,
            loss=loss,
        )


@dataclass(frozen=True, eq=False)
class Net:
    """One member of the population: an architecture, filled with numbers in one regime."""

    architecture: Architecture
    network: Network
    regime: str
    values: Mapping[str, Array]

    def case(self, dtype: Dtype) -> Case:
        """The same numbers in either dtype."""
        a = self.architecture
        title = f"{self.regime}: {a.shape} {'-'.join(map(str, a.widths))}, batch {a.batch}, {a.loss} {a.reduction}"
        return Case(network=self.network, values=self.values, dtype=dtype, title=f"{title}, {dtype}")


def population(nets: int, seed: int) -> Iterator[Net]:
    """So many nets, all regimes for one architecture after another; two of each when there are thousands."""
    rounds = 2 if nets >= 5_000 else 1
    made = 0
    for index in itertools.count():
        rng = np.random.default_rng([seed, index])
        architecture = draw_architecture(rng, DEPTHS[index % len(DEPTHS)])
        network = architecture.network()
        for _, regime in itertools.product(range(rounds), REGIMES):
            if made == nets:
                return
            made += 1
            yield Net(architecture, network, regime, draw_values(rng, architecture, network, regime))


def draw_architecture(rng: np.random.Generator, depth: int) -> Architecture:
    """Three in five are chains; widths and batch log-uniform."""
    shape = str(rng.choice(SHAPES, p=(0.6, 0.2, 0.15, 0.05)))
    while True:
        widths = [int(width) for width in rng.choice(WIDTHS, size=depth + 1)]
        if shape in ("residual", "shared"):
            widths[:-1] = [widths[0]] * depth
        batch = int(rng.choice(BATCHES))
        hidden = str(rng.choice(ACTIVATIONS))
        mixed = rng.random() < 0.4
        activations = [str(rng.choice(ACTIVATIONS)) if mixed else hidden for _ in range(depth)]
        made = _finished(rng, shape, widths, activations, str(rng.choice(list(REDUCTIONS))), batch)
        if made.work <= MOST_WORK:
            return made


def small_architecture(
    rng: np.random.Generator, *, op: str = "", shape: str = "", square: bool = False, reduction: str = ""
) -> Architecture:
    """Depth 2 to 4, width and batch 2 to 12, and the operation of this name somewhere in it.

    `square`: all widths and the batch are one number, so that what is transposed by mistake still fits.
    """
    depth = int(rng.integers(2, 5))
    shape = shape or ("residual" if op == "add" else "penalty" if op == "l2_penalty" else "chain")
    widths = [int(width) for width in rng.integers(2, 13, size=depth + 1)]
    batch = int(rng.integers(2, 13))
    if square:
        widths, batch = [widths[0]] * (depth + 1), widths[0]
    if shape in ("residual", "shared"):
        widths[:-1] = [widths[0]] * depth
    activations = [str(rng.choice(ACTIVATIONS)) for _ in range(depth)]
    if op in ACTIVATIONS:
        activations[int(rng.integers(depth - 1))] = op
    loss = op if op in REDUCTIONS else str(rng.choice(list(REDUCTIONS)))
    made = _finished(rng, shape, widths, activations, loss, batch)
    return replace(made, reduction=reduction) if reduction else made


def _finished(
    rng: np.random.Generator, shape: str, widths: Sequence[int], activations: list[str], loss: str, batch: int
) -> Architecture:
    """With the last activation that the loss wants: a sigmoid before a cross-entropy of probabilities."""
    if loss == "binary_cross_entropy":
        activations[-1] = "sigmoid"
    elif loss == "binary_cross_entropy_with_logits" or rng.random() < 0.7:
        activations[-1] = "identity"
    return Architecture(shape, tuple(widths), tuple(activations), loss, str(rng.choice(REDUCTIONS[loss])), batch)


def draw_values(
    rng: np.random.Generator, architecture: Architecture, network: Network, regime: str
) -> dict[str, Array]:
    """Numbers for every input, constant and parameter: float64 arrays of numbers that float32 holds."""
    drawn = {name: _weights(rng, regime, tuple(spec.shape)) for name, spec in network.params.items()}
    drawn["x"] = _inputs(rng, regime, (architecture.batch, architecture.widths[0]))
    drawn["t"] = _targets(rng, regime, architecture, (architecture.batch, architecture.widths[-1]))
    return {name: array.astype(np.float32).astype(np.float64) for name, array in drawn.items()}


def _weights(rng: np.random.Generator, regime: str, shape: tuple[int, ...]) -> Array:
    bias = len(shape) == 1
    fan_in = 1 if bias else shape[0]
    normal: Array = rng.normal(size=shape)
    match regime:
        case "unit":
            return normal
        case "big":
            return normal * (5 / float(np.sqrt(fan_in)))
        case "tiny":
            return normal * 1e-3
        case "wide":
            exponents: Array = rng.uniform(-4, 1, size=shape)
            spread: Array = np.sign(normal) * 10**exponents / np.sqrt(fan_in)
            return spread
        case "cancel" if not bias and shape[0] > 1:
            half = shape[0] // 2
            off = 10 ** rng.uniform(-7, -1) * rng.normal(size=(half, shape[1]))
            normal[half : 2 * half] = -normal[:half] * (1 + off)
            return normal
        case "integers":
            kept: Array = rng.random(shape) < min(1.0, 4 / fan_in)
            return rng.integers(-2, 3, size=shape) * kept
        case "constant":
            size = rng.choice([0.1, -0.3, 1 / 3, 0.5, 1.0]) / (np.sqrt(fan_in) if rng.random() < 0.5 else 1)
            return np.full(shape, size)
        case "sparse":
            return normal * (rng.random(shape) < 0.4)
        case "zeros" if rng.random() < 0.5:
            return np.zeros(shape)
    scale = 0.3 if bias else float(np.sqrt(2 / fan_in))
    return normal * scale


def _inputs(rng: np.random.Generator, regime: str, shape: tuple[int, int]) -> Array:
    x: Array = rng.normal(size=shape)
    half = shape[1] // 2
    match regime:
        case "wide":
            return x * 10 ** rng.uniform(-4, 4, size=shape)
        case "cancel" if half:
            x[:, half : 2 * half] = x[:, :half]
        case "integers":
            return rng.integers(-3, 4, size=shape).astype(float)
        case "constant":
            return np.full(shape, 0.7)
        case "duplicate rows":
            return np.repeat(x[:1], shape[0], axis=0)
        case "sparse":
            return x * (rng.random(shape) < 0.5)
        case "offset":
            return x + 1000
        case "zeros":
            return x * (rng.random((shape[0], 1)) < 0.5)
    return x


def _targets(rng: np.random.Generator, regime: str, architecture: Architecture, shape: tuple[int, int]) -> Array:
    if architecture.loss != "squared_error":
        return rng.integers(0, 2, size=shape).astype(float)
    t: Array = rng.normal(size=shape)
    return np.rint(2 * t) if regime == "integers" else t


def optimizer_case(rng: np.random.Generator, optimizer: OptimizerSpec, dtype: Dtype, steps: int = 3) -> Case:
    """Updates alone: y = x W with the loss sum(y) has the gradient x, of any size, whatever W is.

    A sixth of the parameters is 0, where an update is not hidden by rounding; a tenth of the gradients is 0, the rest
    spreads over ten decades.
    """
    size = 12
    w = rng.normal(size=(size, 1)) * 10 ** rng.uniform(-3, 1) * (rng.random((size, 1)) > 1 / 6)
    g = rng.normal(size=(1, size)) * 10 ** rng.uniform(-9, 1, size=(1, size)) * (rng.random((1, size)) > 0.1)
    network = Network(
        inputs={"x": TensorSpec([1, size])},
        params={"W": TensorSpec([size, 1])},
        nodes=[Node("y", "dense", ["x"], {"W": "W"})],
        loss=[Node("L", "value", ["y"])],
    )
    values = {"W": w.astype(np.float32).astype(float), "x": g.astype(np.float32).astype(float)}
    title = f"optimizer: {optimizer.name} on given gradients, {dtype}"
    return Case(network=network, values=values, dtype=dtype, optimizer=optimizer, steps=steps, title=title)
