"""What a judgement costs, against the three implementations' own time for the same gradients.

    python -m benchmarks.judgement

prints one row per network size: milliseconds of CPU time for a warm run of each implementation, for the exact values,
for the bounds, for judging one trace whole, and the last against the three runs together. The smallest of several
repetitions is taken, since other work on the machine only ever adds. Also the command's start-up, in wall time.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import Case, Network, Node, TensorSpec, implementation, installed_cards
from harness.arrays import ErrorModel
from harness.judge.bounds import step_bounds
from harness.judge.judge import judge
from harness.judge.oracle import exact_step

SIZES = {31: (2, 4, 4, 1), 1_013: (12, 25, 25, 1), 10_051: (50, 80, 60, 19)}
BATCH = 8
REPETITIONS = 5


def network(widths: tuple[int, ...]) -> Network:
    """A tanh network with a mean squared error."""
    nodes, params, x = [], {}, "x"
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
        params |= {f"W{layer}": TensorSpec([inputs, outputs]), f"b{layer}": TensorSpec([outputs])}
        nodes.append(Node(f"z{layer}", "dense", [x], {"W": f"W{layer}", "b": f"b{layer}"}))
        nodes.append(Node(x := f"a{layer}", "tanh", [f"z{layer}"]))
    return Network(
        inputs={"x": TensorSpec([BATCH, widths[0]])},
        constants={"t": TensorSpec([BATCH, widths[-1]])},
        params=params,
        nodes=nodes,
        loss=[Node("L", "squared_error", [x, "t"], {}, {"reduction": "mean"})],
    )


def a_case(widths: tuple[int, ...], dtype: Any) -> Case:
    """Numbers from a named seed, scaled so that nothing saturates."""
    drawn = np.random.default_rng(2026)
    shape = network(widths)
    values = {name: drawn.normal(size=spec.shape) / np.sqrt(widths[0]) for name, spec in shape.tensors().items()}
    return Case(network=shape, values={name: array.astype(dtype) for name, array in values.items()}, dtype=dtype)


def milliseconds(work: Callable[[], object]) -> float:
    """The smallest CPU time of several repetitions, after one that does not count."""
    work()
    taken = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return 1000 * min(taken)


def main() -> None:
    """Print the tables."""
    cards = installed_cards()
    made = [implementation(name) for name in ("numpy", "torch", "jax")]
    columns = ["params", "dtype", *(one.name for one in made), "exact", "bounds", "judge", "judge / three runs"]
    print(" | ".join(columns))
    for dtype in ("float32", "float64"):
        for widths in SIZES.values():
            case = a_case(widths, dtype)
            model = ErrorModel.of(dtype)
            runs = [milliseconds(lambda one=one, case=case: one.run(case)) for one in made]
            exact = milliseconds(lambda case=case: exact_step(case.network, cards, case.values))
            bounds = milliseconds(lambda case=case, model=model: step_bounds(case.network, cards, case.values, model))
            trace = made[0].run(case)
            whole = milliseconds(lambda case=case, trace=trace: judge(case, cards, trace))
            size = sum(array.size for array in case.params.values())
            cells = [f"{size:,}", dtype, *(f"{one:.2f}" for one in (*runs, exact, bounds, whole))]
            print(" | ".join([*cells, f"{3 * whole / sum(runs):.0f}"]))
    starts = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "harness", "--help"], check=True, capture_output=True)
        starts.append(time.perf_counter() - began)
    print(f"gradparity --help: {min(starts):.3f} s (wanted: under 0.3)")


if __name__ == "__main__":
    main()
