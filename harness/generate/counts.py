"""What was tested: how often every card, optimizer, dtype, depth, regime and special value came up, zeros included.

The facts of one case go into its record (`Tested`), and what there was to be tested into that of the run (`Catalogue`);
`harness.campaign.records.tally` counts them, here before anything has run, and in the reports afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.campaign.records import Catalogue, Tested, tally
from harness.case import Case
from harness.generate.cases import DTYPES, GeneratedCase
from harness.generate.values import NON_FINITE, REGIMES, SPECIALS
from harness.registry import Cards


@dataclass(frozen=True)
class Counts:
    """In how many cases each thing came up, by name; what never came up is there with 0."""

    cases: int
    layers: Mapping[str, int]
    losses: Mapping[str, int]
    penalties: Mapping[str, int]
    optimizers: Mapping[str, int]
    schedules: Mapping[str, int]
    clippings: Mapping[str, int]
    dtypes: Mapping[str, int]
    depths: Mapping[str, int]
    steps: Mapping[str, int]
    regimes: Mapping[str, int]
    specials: Mapping[str, int]

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


def catalogue(cards: Cards, *, non_finite: bool = False) -> Catalogue:
    """Everything that cases of these cards can have; infinities and NaN where they are asked for."""
    of_kind = {
        kind: sorted(name for name, card in cards.operations.items() if card.kind == kind)
        for kind in ("layer", "loss", "penalty")
    }
    return Catalogue(
        layers=of_kind["layer"],
        losses=of_kind["loss"],
        penalties=of_kind["penalty"],
        optimizers=sorted(cards.optimizers),
        schedules=sorted(cards.schedules),
        clippings=sorted(cards.clippings),
        dtypes=list(DTYPES),
        regimes=list(REGIMES),
        specials=[*SPECIALS, *(NON_FINITE if non_finite else ())],
        branching=sorted(name for name, card in cards.operations.items() if card.kinks),
    )


def facts(case: Case) -> Tested:
    """What a case puts to the test, as far as is known before it runs; not an optimizer that takes no step."""
    rule = case.optimizer if case.steps else None
    drawn = case if isinstance(case, GeneratedCase) else None
    finite = all(np.isfinite(array).all() for array in case.values.values())
    return Tested(
        cards=list(dict.fromkeys(node.op for _, node in case.network.operations())),
        optimizer=rule.name if rule else "",
        schedule=rule.schedule.name if rule and rule.schedule else "",
        clip=rule.clip.name if rule and rule.clip else "",
        dtype=case.dtype,
        depth=len(case.network.nodes),
        steps=case.steps,
        regime=drawn.regime if drawn else "",
        specials=list(dict.fromkeys(drawn.specials)) if drawn else [],
        non_finite=[] if finite else ["given"],
    )


def count(cases: Iterable[Case], cards: Cards) -> Counts:
    """Count over cases; a card counts once per case, however often it stands in it."""
    tested = [facts(case) for case in cases]
    tables = tally(tested, catalogue(cards))
    deepest = max((one.depth for one in tested), default=0)
    tables["depths"] = {str(depth): tables["depths"].get(str(depth), 0) for depth in range(deepest + 1)}
    return Counts(cases=len(tested), **tables)
