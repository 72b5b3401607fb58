"""A run, or one case of it, as plain text: the sentences and numbers of the page, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from harness.campaign.records import AGREEING, CaseRecord, Finding, RunRecord
from reports.branches import alike
from reports.coverage import coverage, lacks
from reports.sharpness import change_text, has_gradients, vacuous_totals, vacuous_warning
from reports.terminal_lines import (
    NAMES,
    WIDTH,
    case_number,
    cut,
    element_table,
    gravest_first,
    gravest_groups,
    kink_lines,
    network_line,
    plain,
    tested_lines,
    title_line,
    with_more,
    wrapped,
)
from reports.wording import (
    MISSING,
    SIGNS,
    UNJUDGED,
    VERDICT_SHORT,
    WRONG,
    commands,
    counted,
    harmless,
    headline,
    incomplete,
    largest,
    listing,
    ratio_text,
    severity,
    short,
    size_text,
)

LINES = 25
"""No text about one finding, or about one case, is longer."""

ROWS = 60
FINDINGS = 30
"""Up to so many findings are told, the gravest first."""

_SENTENCE = 4
_DETAILS = 5
"""So many lines of a case's own sentence, and of details, are printed."""


def summary(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """What a pass does not mean, the headline, what was tested, the verdicts, and what is more than rounding."""
    lines: list[str] = []
    names = _names(run, cases)
    tested = coverage(run, cases, names)
    if why := incomplete(run, cases):
        lines += [*wrapped(f"INCOMPLETE: {why}."), ""]
    gaps = list(tested.told) if tested else []
    if warning := vacuous_warning(cases):
        most = max(cases, key=lambda case: vacuous_totals([case])[0])
        gaps.append(f"{warning}; most of them in case {cut(most.id, 16)}.")
    if gaps:
        lines += [*(line for gap in gaps for line in wrapped(gap)), ""]
    for sentence in headline(run, cases):
        lines += wrapped(sentence)
    if tested and run.generated and cases:
        lines += ["", *tested_lines(tested)]
    if cases:
        lines += ["", *_table(run, cases, names)]
    drawn = [case for case in cases if case.generated]
    told = sorted(
        ((case, group) for case in cases for group in alike(case) if _is_told(case, group[0])),
        key=lambda pair: (-severity(pair[1][0].verdict), -largest([finding.worst_ratio for finding in pair[1]])),
    )
    # Of generated cases, which are many, one stands for those of which the same is said.
    chosen: dict[tuple[str, ...], list[tuple[CaseRecord, list[Finding]]]] = {}
    for case, group in told:
        chosen.setdefault(_said(case, group), []).append((case, group))
    for pairs in list(chosen.values())[:FINDINGS]:
        case, group = min(pairs, key=lambda pair: pair[0].abridged)
        lines += ["", *_block(case, group, run.store)]
        if len(pairs) > 1:
            others = [other.id for other, _ in pairs if other is not case]
            lines += wrapped(f"Much the same in {counted(len(others), 'more case')}: {', '.join(others[:3])}", "  ")
            lines[-1] += ", …" if len(others) > 3 else ""
    left = sum(len(pairs) for pairs in list(chosen.values())[FINDINGS:])
    if left:
        lines += ["", f"… and {counted(left, 'more finding')} in the report."]
    if missing := lacks(drawn):
        lines += ["", "∅ not implemented, in generated cases"]
        for one in missing:
            noun = "case" if one.number == "1" else "cases"
            lines += wrapped(f"{one.implementation}, {one.number} {noun}: {one.reason}", "  ")
    return _text(lines)


def _is_told(case: CaseRecord, finding: Finding) -> bool:
    """Whether a finding is written out; what implementations lack in generated cases stands at the end, in one."""
    return finding.verdict not in AGREEING and not (case.generated and finding.verdict == "not implemented")


def _said(case: CaseRecord, group: Sequence[Finding]) -> tuple[str, ...]:
    """What is alike in findings of which one is enough."""
    finding = group[0]
    if not case.generated:
        return (case.id, finding.implementation, finding.verdict, finding.place)
    if finding.verdict in UNJUDGED and finding.verdict != "crash" and not finding.internal:
        return ("generated", finding.verdict, finding.op or finding.sentence)
    return ("generated", finding.verdict, finding.implementation, finding.op or finding.sentence)


def _names(run: RunRecord, cases: Sequence[CaseRecord]) -> list[str]:
    return run.implementations or list(
        dict.fromkeys(finding.implementation for case in cases for finding in case.findings)
    )


def explain(case: CaseRecord) -> str:
    """Everything that a person needs about one case, in at most 25 lines."""
    head = _head(case)
    optimizer = f" with {case.optimizer}" if case.optimizer else ""
    steps = f"{counted(case.steps, 'update step')}{optimizer}" if case.steps else "no update"
    tail = [
        "",
        "  network: " + cut(network_line(case), WIDTH - 11),
        "  numbers: " + cut(f"{case.dtype}; {steps}", WIDTH - 11),
    ]
    middle = ["", *_implementations(case)]
    asked = gravest_groups(group for group in alike(case) if group[0].verdict not in AGREEING)
    if asked:
        table = element_table(case, asked[0])
        middle += ["", *table] if table else []
        room = LINES - len(head) - len(middle) - len(tail)
        lines = [] if table else [line for one in asked[0] for line in wrapped(one.detail or one.sentence, "  ")]
        lines += [_elsewhere(group) for group in asked[1:]]
        if lines and room > 1:
            middle += ["", *with_more(lines, min(room - 1, _DETAILS), "line")]
    room = LINES - len(head) - len(middle) - len(tail)
    if case.kinks and room > 1:
        middle += ["", *_kinks(case, room - 1)]
    return _text([*head, *middle, *tail]).rstrip("\n")


def _head(case: CaseRecord) -> list[str]:
    """The verdict, the title and the case's own sentence."""
    verdict = f"{SIGNS[case.verdict].symbol} {case.verdict.upper() if case.verdict in WRONG else case.verdict}"
    title = cut(case.title or case.key, WIDTH - 2)
    one_line = f"{verdict} · {title}"
    fits = len(one_line) + len(case_number(case)) + 2 <= WIDTH
    lines = [title_line(one_line, case)] if fits and title else [title_line(verdict, case), f"  {title}"]
    return lines + with_more(wrapped(case.headline, "  "), _SENTENCE, "line")


def _elsewhere(group: Sequence[Finding]) -> str:
    """One line on findings whose numbers are not printed."""
    finding = group[0]
    who = listing([one.implementation for one in group])
    if not finding.place:
        return "  " + cut(f"{SIGNS[finding.verdict].symbol} {finding.sentence}", WIDTH - 2)
    op = f" ({finding.op})" if finding.op else ""
    return "  " + cut(f"{SIGNS[finding.verdict].symbol} {who}: {finding.verdict} in {finding.place}{op}", WIDTH - 2)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _implementations(case: CaseRecord) -> list[str]:
    """A line for each implementation: its verdict, its worst error, how sharp its test was."""
    if not case.findings:
        return ["  No implementation has been judged."]
    lines = [f"    {'':<13}{'verdict':<23}{'worst ulp':>11}{'error / bound':>15}{'sees':>14}{'vacuous':>18}"]
    shown = gravest_first(case.findings)[:NAMES]
    for finding in (finding for finding in case.findings if finding in shown):
        sign = SIGNS[finding.verdict]
        mark = ">" if finding.verdict in WRONG else " "
        numberless = finding.verdict in ("crash", "not implemented", "undecided")
        ulps = "–" if numberless else size_text(finding.worst_ulps)
        ratio = "–" if numberless else ratio_text(finding.worst_ratio)
        sees = change_text(finding.sharpness) if has_gradients(case, finding) else "–"
        vacuous = f"{finding.vacuous:,} of {finding.numbers:,}" if finding.numbers else "–"
        if len(vacuous) > 17:
            vacuous = f"{short(finding.vacuous)} of {short(finding.numbers)}"
        lines.append(
            f"  {mark} {cut(finding.implementation, 12):<13}{f'{sign.symbol} {finding.verdict}':<23}"
            f"{ulps:>11}{ratio:>15}{sees:>14}{vacuous:>18}"
        )
    if len(case.findings) > NAMES:
        left = counted(len(case.findings) - NAMES, "more implementation")
        lines.append(f"    … and {left}, none graver")
    return lines


def _kinks(case: CaseRecord, room: int) -> list[str]:
    """Whole kinks, as many as there is room for."""
    lines: list[str] = []
    for number, kink in enumerate(case.kinks):
        block = kink_lines(case, kink)
        last = number == len(case.kinks) - 1
        if len(lines) + len(block) + (0 if last else 1) > room:
            left = counted(len(case.kinks) - number, "more undetermined branch", "more undetermined branches")
            return [*lines, f"  … and {left}"]
        lines += block
    return lines


def _table(run: RunRecord, everything: Sequence[CaseRecord], names: Sequence[str]) -> list[str]:
    """A line for each case; the generated ones that agree have one line in all."""
    agreeing = [case for case in everything if case.generated and harmless(case)]
    cases = [case for case in everything if not (case.generated and harmless(case))]
    names = names[:5]
    cell = 17 if len(names) <= 3 else 60 // len(names)
    first = WIDTH - len(names) * (cell + 1)
    order = sorted(range(len(cases)), key=lambda k: -severity(cases[k].verdict))
    kept = sorted(order[:ROWS])
    titles = {example.key: example.title for example in run.examples}
    lines = ["".ljust(first) + "".join(f" {cut(name, cell):<{cell}}" for name in names)]
    heading = None
    for case in (cases[k] for k in kept):
        title = "Generated cases" if case.generated else titles.get(case.example, case.example)
        title = title or ("Cases" if titles else "")
        if title != heading:
            heading = title
            lines += [cut(title, WIDTH)] if title else []
        row = ("  " + cut(case.title or case.key or case.id, first - 2)).ljust(first)
        for name in names:
            own = [finding for finding in case.findings if finding.implementation == name]
            worst = max(own, key=lambda finding: severity(finding.verdict), default=None)
            text = (
                f"{SIGNS[worst.verdict].symbol} {VERDICT_SHORT.get(worst.verdict, worst.verdict)}"
                if worst
                else f"– {MISSING}"
            )
            row += f" {cut(text, cell):<{cell}}"
        lines.append(row)
    if len(cases) > len(kept):
        lines.append(f"… and {counted(len(cases) - len(kept), 'more case')}, none graver, in the report.")
    if agreeing:
        more = " more" if any(case.generated for case in cases) else ""
        verb = "agrees" if len(agreeing) == 1 else "agree"
        partly = sum(case.verdict not in AGREEING for case in agreeing)
        where = f", {partly:,} of them where they are implemented" if partly else ""
        lines.append(f"{counted(len(agreeing), f'{more} generated case'.strip())} {verb} to within rounding{where}.")
    return lines


def _block(case: CaseRecord, group: Sequence[Finding], store: str = "") -> list[str]:
    """One finding, or those that say the same of several implementations."""
    finding = group[0]
    sign = SIGNS[finding.verdict]
    word = finding.verdict.upper() if finding.verdict in WRONG else finding.verdict
    who = listing([one.implementation for one in group])
    place = f" · {finding.place}" if finding.place else ""
    lines = [title_line(f"{sign.symbol} {word} · {who}{place}", case), *wrapped(case.title, "  ")[:2]]
    words = wrapped(finding.sentence, "  ")
    if len(group) > 1:
        words = wrapped(
            f"{who} take a branch that rounding leaves open, and `{finding.place}` is right for the branch they took: "
            "an undetermined branch, not a bug.",
            "  ",
        )
    table = element_table(case, group)
    table = ["", *table, ""] if table else []
    tail = "  " + cut(f"{case.dtype}; {f'{case.optimizer}; ' if case.optimizer else ''}{network_line(case)}", WIDTH - 2)
    ends = [tail]
    if store and finding.verdict in WRONG:
        # Not cut at any width: these are to be copied.
        ends += [f"  {plain(command)}" for _, command in commands(case, store)[:2]]
    room = LINES - len(lines) - len(table) - len(ends)
    if finding.verdict == "undetermined branch" and case.kinks:
        words = with_more(words, room // 2, "line")
        words += _kinks(case, room - len(words))
    else:
        words += wrapped(finding.detail, "  ")
    return [*lines, *with_more(words, room, "line"), *table, *ends]
