"""``saifu doctor``: what is missing for PC/SC, and how to get it."""

import dataclasses

from host.console import JsonOption, emit
from host.doctor import Finding, diagnose

__all__ = ["doctor"]

_WITHOUT = "Cards in files (--reader model:FILE) and the demo need none of these."


def doctor(json_output: JsonOption = False) -> None:
    """Say what is missing for PC/SC readers, real and virtual, and how to get it."""
    findings = diagnose()
    document = {"findings": [dataclasses.asdict(each) for each in findings], "note": _WITHOUT}
    emit(json_output, document, [*map(_line, findings), _WITHOUT])


def _line(finding: Finding) -> str:
    line = f"{'ok ' if finding.present else '-- '} {finding.part:14} {finding.detail}"
    return line if finding.present else f"{line}\n{'':18} to get it: {finding.remedy}"
