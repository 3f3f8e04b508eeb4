"""``saifu doctor``: what is missing for PC/SC, and how to get it."""

import dataclasses
import json
from typing import Annotated

import typer

from host.doctor import Finding, diagnose

__all__ = ["doctor"]

_WITHOUT = "Cards in files (--reader model:FILE) and the demo need none of these."


def doctor(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what is missing for PC/SC readers, real and virtual, and how to get it."""
    findings = diagnose()
    if json_output:
        document = {"findings": [dataclasses.asdict(each) for each in findings], "note": _WITHOUT}
        typer.echo(json.dumps(document))
        return
    for each in findings:
        typer.echo(_line(each))
    typer.echo(_WITHOUT)


def _line(finding: Finding) -> str:
    line = f"{'ok ' if finding.present else '-- '} {finding.part:14} {finding.detail}"
    return line if finding.present else f"{line}\n{'':18} to get it: {finding.remedy}"
