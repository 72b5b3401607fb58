"""What was tested: how often every card, optimizer, dtype, depth and regime came up, with the zeros shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.case import Case
from harness.generate.cases import DTYPES, GeneratedCase
from harness.generate.values import REGIMES
from harness.registry import Cards

NO_OPTIMIZER = "none"


@dataclass(frozen=True)
class Counts:
    """In how many cases each thing came up, by name; what never came up is there with 0."""

    cases: int
    layers: Mapping[str, int]
    losses: Mapping[str, int]
    penalties: Mapping[str, int]
    optimizers: Mapping[str, int]
    dtypes: Mapping[str, int]
    depths: Mapping[str, int]
    regimes: Mapping[str, int]

    def groups(self) -> dict[str, Mapping[str, int]]:
        """The tables by name."""
        return {name: table for name, table in vars(self).items() if name != "cases"}

    def never(self) -> list[str]:
        """What did not come up at all, such as ``layers: tanh``."""
        return [f"{group}: {name}" for group, table in self.groups().items() for name, n in table.items() if not n]

    def __str__(self) -> str:
        lines = [f"{self.cases} cases"]
        for group, table in self.groups().items():
            lines.append(f"{group}: " + ", ".join(f"{name} {number}" for name, number in table.items()))
        return "\n".join(lines)


def count(cases: Iterable[Case], cards: Cards) -> Counts:
    """Count over cases; a card counts once per case, however often it stands in it."""
    number, ops, optimizers, dtypes, depths, regimes = 0, *(Counter[str]() for _ in range(5))
    for case in cases:
        number += 1
        ops.update({node.op for _, node in case.network.operations()})
        optimizers[NO_OPTIMIZER if case.optimizer is None else case.optimizer.name] += 1
        dtypes[case.dtype] += 1
        depths[str(len(case.network.nodes))] += 1
        regimes[case.regime if isinstance(case, GeneratedCase) else "given"] += 1
    kinds = {
        kind: {name: ops[name] for name, card in sorted(cards.operations.items()) if card.kind == kind}
        for kind in ("layer", "loss", "penalty")
    }
    deepest = max(map(int, depths), default=0)
    return Counts(
        cases=number,
        layers=kinds["layer"],
        losses=kinds["loss"],
        penalties=kinds["penalty"],
        optimizers={name: optimizers[name] for name in (NO_OPTIMIZER, *sorted(cards.optimizers))},
        dtypes={name: dtypes[name] for name in DTYPES},
        depths={str(depth): depths[str(depth)] for depth in range(deepest + 1)},
        regimes={name: regimes[name] for name in dict.fromkeys((*REGIMES, *regimes))},
    )
