"""Findings as JUnit XML, for GitLab and Jenkins: a suite for each repository, a case for each kind of finding."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from mirrorpy.errors import one_line
from mirrorpy.verify import FindingKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrorpy.verify import Verdict


def junit_document(verdicts: Sequence[Verdict], started: str) -> bytes:
    """Return the document."""
    root = ET.Element("testsuites", name="mirrorpy verify")
    for verdict in verdicts:
        counts = verdict.counts()
        suite = ET.SubElement(
            root,
            "testsuite",
            name=one_line(verdict.id),
            tests=str(len(FindingKind)),
            failures=str(len(counts.keys() & set(verdict.fail_on))),
            errors=str(int(verdict.error is not None)),
            skipped="0",
            time=str(verdict.seconds),
            timestamp=started.removesuffix("Z"),
        )
        for kind in FindingKind:
            case = ET.SubElement(suite, "testcase", classname=one_line(verdict.id), name=kind.value, time="0")
            _fail(case, verdict, kind)
        if verdict.error is not None:
            ET.SubElement(suite[0], "error", message=one_line(verdict.error.message), type=verdict.error.kind)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _fail(case: ET.Element, verdict: Verdict, kind: FindingKind) -> None:
    lines = [f"{finding.path}: {finding.message}" for finding in verdict.findings if finding.kind == kind]
    if lines:
        count = f"{len(lines)} finding{'' if len(lines) == 1 else 's'}"
        if kind in verdict.fail_on:
            said = ET.SubElement(case, "failure", message=f"{count}: {one_line(lines[0])}", type=kind.value)
        else:
            said = ET.SubElement(case, "system-out")
        said.text = "\n".join(map(one_line, lines))
