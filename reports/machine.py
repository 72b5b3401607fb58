"""A run for other programs: JUnit XML, Markdown, GitHub annotations, SARIF and JSON, all from the same records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from xml.etree import ElementTree

import msgspec

from harness.campaign.records import AGREEING, CaseRecord, Finding, Record, RunRecord, Verdict
from reports.terminal_lines import plain
from reports.wording import SIGNS, WRONG, headline, incomplete, severity

SUMMARY_BYTES = 1_000_000
"""GitHub refuses a step summary of more than 1 MiB."""
ANNOTATIONS = 10
"""GitHub shows so many errors, and as many warnings, of one step."""
DETAILS = 50
"""So many findings are written out in Markdown."""
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
UNJUDGED: tuple[Verdict, ...] = ("not implemented", "ill-conditioned", "undecided")


class Export(Record, frozen=True, kw_only=True):
    """A whole run, as JSON has it."""

    run: RunRecord
    cases: list[CaseRecord]


def as_json(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """Everything that was recorded."""
    return msgspec.json.format(msgspec.json.encode(Export(run=run, cases=list(cases))), indent=1).decode() + "\n"


def json_schema() -> str:
    """The JSON Schema of `as_json`."""
    return json.dumps(msgspec.json.schema(Export), indent=1) + "\n"


def as_junit(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """One test case for each case and implementation; what was not judged or is suspicious is skipped."""
    suites = ElementTree.Element("testsuites", name="gradparity")
    groups: dict[str, list[CaseRecord]] = {}
    for case in cases:
        groups.setdefault(case.example or ("generated" if case.generated else "cases"), []).append(case)
    for name, members in groups.items():
        findings = [finding for case in members for finding in case.findings]
        suite = ElementTree.SubElement(
            suites,
            "testsuite",
            name=_xml(name),
            tests=str(len(findings)),
            failures=str(sum(one.verdict in ("mismatch", "non-finite") for one in findings)),
            errors=str(sum(one.verdict == "crash" for one in findings)),
            skipped=str(sum(one.verdict in (*UNJUDGED, "suspicious") for one in findings)),
            timestamp=_xml(run.started),
        )
        for case in members:
            for finding in case.findings:
                _junit_case(suite, case, finding)
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _junit_case(suite: ElementTree.Element, case: CaseRecord, finding: Finding) -> None:
    seconds = case.seconds.get(finding.implementation, 0.0)
    test = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_xml(f"gradparity.{finding.implementation}"),
        name=_xml(f"{case.title} [{case.id}]"),
        time=f"{seconds:.3f}",
    )
    said = _xml(" ".join(filter(None, (finding.sentence, finding.detail))))
    if finding.verdict in ("mismatch", "non-finite"):
        ElementTree.SubElement(test, "failure", type=finding.verdict, message=said)
    elif finding.verdict == "crash":
        ElementTree.SubElement(test, "error", type="crash", message=said)
    elif finding.verdict not in AGREEING and finding.verdict not in ("undetermined branch", "convention"):
        ElementTree.SubElement(test, "skipped", message=f"{finding.verdict}: {said}")


def as_markdown(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """For a pull request or a step summary, within its size limit."""
    lines = ["## gradparity", ""]
    if why := incomplete(run, cases):
        lines += [f"**Incomplete:** {_md(why)}.", ""]
    lines += [f"{_md(sentence)}" for sentence in headline(run, cases)]
    names = list(dict.fromkeys(finding.implementation for case in cases for finding in case.findings))
    seen = sorted({finding.verdict for case in cases for finding in case.findings}, key=severity)
    if names:
        lines += ["", "| verdict | " + " | ".join(map(_md, names)) + " |", "|---" * (1 + len(names)) + "|"]
        for verdict in seen:
            counts = [
                sum(one.verdict == verdict and one.implementation == name for case in cases for one in case.findings)
                for name in names
            ]
            lines.append(f"| {SIGNS[verdict].symbol} {verdict} | " + " | ".join(f"{n:,}" for n in counts) + " |")
    told = list(_told(cases))
    for case, finding in told[:DETAILS]:
        detail = " ".join(filter(None, (finding.sentence, finding.detail)))
        lines += ["", f"- **{finding.verdict}** in {_md(case.title)} (`{case.id}`): {_md(detail)}"]
        if sum(len(line.encode()) + 1 for line in lines) > SUMMARY_BYTES - 1_000:
            lines[-2:] = ["", "- The rest is left out: it would be too large."]
            break
    else:
        if len(told) > DETAILS:
            lines += ["", f"- and {len(told) - DETAILS:,} more findings in the report"]
    if run.environment:
        lines += ["", "<details><summary>Environment</summary>", ""]
        lines += [f"- {_md(key)}: {_md(value)}" for key, value in run.environment.items()]
        lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def as_annotations(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """GitHub workflow commands, one line each: the gravest findings, as many as are shown."""
    lines = []
    for level, verdicts in (("error", WRONG), ("warning", ("suspicious",))):
        told = [(case, finding) for case, finding in _told(cases) if finding.verdict in verdicts]
        for case, finding in told[:ANNOTATIONS]:
            title = _command(f"gradparity: {finding.implementation}, {finding.verdict}, {case.title}", value=True)
            lines.append(f"::{level} title={title}::{_command(finding.sentence)}")
    return "\n".join([*lines, ""])


def as_sarif(run: RunRecord, cases: Sequence[CaseRecord]) -> str:
    """SARIF 2.1.0: a rule for each verdict, a result for each finding that is more than rounding."""
    told = list(_told(cases))
    rules = sorted({finding.verdict for _, finding in told}, key=severity)
    results = [
        {
            "ruleId": finding.verdict,
            "level": "error" if finding.verdict in WRONG else "warning" if finding.verdict == "suspicious" else "note",
            "message": {"text": " ".join(filter(None, (finding.sentence, finding.detail)))},
            "locations": [
                {
                    "logicalLocations": [
                        {"name": finding.place or case.title, "fullyQualifiedName": _qualified(case, finding)}
                    ]
                }
            ],
            "partialFingerprints": {"gradparityCase/v1": f"{case.id}/{finding.implementation}/{finding.place}"},
        }
        for case, finding in told
    ]
    driver = {
        "name": "gradparity",
        "version": run.environment.get("gradparity", "0"),
        "rules": [{"id": rule, "shortDescription": {"text": SIGNS[rule].meaning}} for rule in rules],
    }
    log: dict[str, Any] = {"$schema": SARIF_SCHEMA, "version": "2.1.0"}
    log["runs"] = [{"tool": {"driver": driver}, "results": results}]
    return json.dumps(log, indent=1) + "\n"


def _qualified(case: CaseRecord, finding: Finding) -> str:
    return "/".join(filter(None, (case.id, finding.implementation, finding.op)))


def _told(cases: Sequence[CaseRecord]) -> Iterator[tuple[CaseRecord, Finding]]:
    """What is more than rounding, the gravest first."""
    found = [
        (case, finding)
        for case in cases
        for finding in case.findings
        if finding.verdict not in AGREEING and finding.verdict not in ("not implemented", "undetermined branch")
    ]
    yield from sorted(found, key=lambda pair: -severity(pair[1].verdict))


def _xml(text: str) -> str:
    """Without what XML 1.0 cannot hold; ElementTree escapes the rest."""
    return "".join(
        one if one in "\t\n\r" or " " <= one <= "\ud7ff" or "\ue000" <= one <= "\ufffd" or one > "\uffff" else "\ufffd"
        for one in text
    )


def _md(text: str) -> str:
    """As text in Markdown: nothing in it is markup, and it stays in its line and cell."""
    safe = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{one}" if one in "\\`*_[]()|#!~@" else one for one in safe)


def _command(text: str, *, value: bool = False) -> str:
    """As a workflow command wants it: one line, no delimiter left."""
    safe = plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return safe.replace(":", "%3A").replace(",", "%2C") if value else safe


__all__ = ["Export", "as_annotations", "as_json", "as_junit", "as_markdown", "as_sarif", "json_schema"]
