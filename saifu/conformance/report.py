"""What a run of the suite says: for people, as JSON, as JUnit XML for CI, and as a page."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Self
from xml.etree import ElementTree as Xml

from apdu.commands import COMMANDS
from apdu.identity import LifeCycle
from apdu.status import status_text
from saifu.conformance.case import Case
from saifu.conformance.oracle import Deviation
from saifu.conformance.running import Outcome, Result, Running, failures, unmet
from saifu.conformance.subject import UnmetError

__all__ = ["Report", "deviation_lines"]


@dataclass(frozen=True, slots=True)
class Report:
    """A run over one card."""

    reader: str
    card: str
    """What the card said it can hold, and its protocol."""
    results: tuple[Result, ...]
    exchanges: int
    seconds: float
    covered: frozenset[tuple[LifeCycle, int]]
    """State and instruction of every command that was sent."""
    is_interrupted: bool = False
    """Whether the run ended before its end."""

    @classmethod
    def of(cls, running: Running) -> Self:
        """The report of a run that has ended."""
        card = running.stand.card
        capacities = card.twin.cells.capacities
        told = f"{card.twin.protocol.value}, {capacities.history} records, {capacities.unsettled} unsettled transfers"
        sums = running.exchanges, running.seconds, frozenset(running.covered)
        return cls(card.slot.name, told, tuple(running.results), *sums, running.interrupted is not None)

    @classmethod
    def of_unmet(cls, reader: str, error: UnmetError, cases: Sequence[Case]) -> Self:
        """The report on a card with which no run can begin."""
        rest = (Result(case, Outcome.SKIPPED, f"the card cannot be tested: {error}") for case in cases)
        return cls(reader, "a card that does not tell what it is", (unmet(error), *rest), 0, 0.0, frozenset())

    @property
    def failed(self) -> list[Result]:
        """The results that failed."""
        return list(failures(self.results))

    @property
    def passed(self) -> int:
        """How many promises were kept."""
        return self.counts()[Outcome.PASSED.value]

    def counts(self, results: Iterable[Result] | None = None) -> dict[str, int]:
        """How many passed, failed, were skipped, and met the platform in the purse's place."""
        counted = Counter(result.outcome for result in (self.results if results is None else results))
        return {outcome.value: counted[outcome] for outcome in Outcome}

    def by(self, key: Callable[[Result], str]) -> dict[str, list[Result]]:
        """Results that belong together, in the order in which they came."""
        groups: dict[str, list[Result]] = {}
        for result in self.results:
            groups.setdefault(key(result), []).append(result)
        return groups

    def skipped(self) -> dict[str, int]:
        """Why cases were skipped, and how many for each reason."""
        return Counter(result.why for result in self.results if result.outcome is Outcome.SKIPPED)

    def of_platform(self) -> list[Result]:
        """The cases in which the platform answered in the purse's place."""
        return [result for result in self.results if result.outcome is Outcome.PLATFORM]

    def rows(self) -> list[tuple[str, dict[str, int]]]:
        """Counts for each command of the table, and for what is about any of them."""
        groups = self.by(lambda result: result.case.command)
        names = ["any command", *(row.name for row in COMMANDS)]
        return [(name, self.counts(groups[name])) for name in names if name in groups]

    def coverage(self) -> dict[str, int]:
        """How many of the 256 instructions were sent in each state, and rows of the command table."""
        states = Counter(state.text for state, _ in self.covered)
        rows = {row.ins for row in COMMANDS} & {ins for _, ins in self.covered}
        return {
            "rows": len(rows),
            "of_rows": len(COMMANDS),
            **{f"instructions {state}": n for state, n in states.items()},
        }

    def document(self) -> dict[str, Any]:
        """The whole report as JSON."""
        counts = self.counts()
        ok = not self.failed and not self.is_interrupted
        head = {"reader": self.reader, "card": self.card, "ok": ok, "interrupted": self.is_interrupted}
        head |= {"whole": not counts[Outcome.SKIPPED.value], "counts": counts}
        sums = {"exchanges": self.exchanges, "seconds": round(self.seconds, 3), "coverage": self.coverage()}
        return head | sums | {"results": [_document(result) for result in self.results]}

    def junit(self) -> bytes:
        """JUnit XML: a suite for each state, a case for each promise."""
        root = Xml.Element("testsuites", _sums("saifu conform", self.results))
        for state, results in self.by(lambda result: result.case.state.text).items():
            suite = Xml.SubElement(root, "testsuite", _sums(state, results))
            for result in results:
                suite.append(_test_case(result))
        Xml.indent(root)
        return bytes(Xml.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"

    def html(self) -> bytes:
        """One page that needs nothing else."""
        summary = ", ".join(f"{count} {name}" for name, count in self.counts().items())
        summary += ", interrupted" * self.is_interrupted
        parts = [
            _HEAD,
            f"<h1>Conformance: {summary}</h1>",
            f"<p>{escape(self.reader)}: {escape(self.card)}; {self.exchanges} exchanges in {self.seconds:.1f} s.</p>",
            _sums_table(self.rows()),
            *([_section("Not kept", self.failed)] if self.failed else []),
            *(_section(*each) for each in sorted(self.by(lambda r: r.case.clause).items(), key=_place)),
            "</main></body></html>\n",
        ]
        return "\n".join(parts).encode()


def _place(group: tuple[str, object]) -> tuple[int, str, int]:
    """Where a clause stands: what is about all commands first, then the commands in the order of their table."""
    heading, _, number = group[0].rpartition(" ")
    name = heading if number.isdigit() else group[0]
    names = [row.name for row in COMMANDS]
    return names.index(name) + 1 if name in names else 0, name, int(number) if number.isdigit() else 0


def _sums(name: str, results: Iterable[Result]) -> dict[str, str]:
    results = list(results)
    counted = Counter(result.outcome for result in results)
    return {
        "name": name,
        "tests": str(len(results)),
        "failures": str(counted[Outcome.FAILED]),
        "skipped": str(counted[Outcome.SKIPPED] + counted[Outcome.PLATFORM]),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }


def _test_case(result: Result) -> Xml.Element:
    case = result.case
    name = f"{case.clause}: {case.title}"
    element = Xml.Element("testcase", classname=case.command, name=name, time=f"{result.seconds:.3f}")
    if result.outcome is Outcome.FAILED:
        Xml.SubElement(element, "failure", message=result.why).text = "\n".join(deviation_lines(result.deviation))
    elif result.outcome is Outcome.SKIPPED:
        Xml.SubElement(element, "skipped", message=result.why)
    elif result.outcome is Outcome.PLATFORM:
        skipped = Xml.SubElement(element, "skipped", message=f"{Outcome.PLATFORM.value}: {result.why}")
        skipped.text = "\n".join(deviation_lines(result.deviation))
    return element


def _document(result: Result) -> dict[str, Any]:
    case, deviation = result.case, result.deviation
    document: dict[str, Any] = {"clause": case.clause, "state": case.state.text}
    document |= {"about": case.command, "title": case.title}
    document |= {"outcome": result.outcome.value, "why": result.why, "exchanges": result.exchanges}
    if deviation is None:
        return document
    return document | {"deviation": dict(_deviation(deviation))}


def _deviation(deviation: Deviation) -> list[tuple[str, str | None]]:
    answered = None if deviation.answered is None else deviation.answered.hex().upper()
    return [
        ("command", deviation.command.hex().upper()),
        ("expected", deviation.expected.hex().upper()),
        ("answered", answered),
    ]


def deviation_lines(deviation: Deviation | None) -> list[str]:
    """The bytes of a deviation, for people."""
    if deviation is None:
        return []
    return [f"{name:9} {_with_word(name, text)}" for name, text in _deviation(deviation)]


def _with_word(name: str, text: str | None) -> str:
    if text is None:
        return "nothing"
    if name == "command":
        return text
    return f"{text[:-4]} {text[-4:]}  {status_text(int(text[-4:], 16))}".strip()


# --- the page --------------------------------------------------------------------------------------------

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>saifu conform</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --ok: #2e7d32 }
@media (prefers-color-scheme: dark) { :root { --bad: #ef9a9a; --ok: #a5d6a7 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 }
main { max-width: 60rem; margin: auto; padding: 1.5rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0 }
.failed { color: var(--bad); font-weight: 600 } .passed { color: var(--ok) } .skipped, .platform { opacity: .7 }
</style></head><body><main>"""


def _sums_table(rows: Iterable[tuple[str, dict[str, int]]]) -> str:
    titles = "".join(f"<th>{cell}</th>" for cell in ("command", *(outcome.value for outcome in Outcome)))
    body = "".join(f"<tr><td>{escape(name)}</td>{_counted(counts)}</tr>" for name, counts in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


def _counted(counts: dict[str, int]) -> str:
    return "".join(f'<td class="{name if count else ""}">{count or ""}</td>' for name, count in counts.items())


def _section(clause: str, results: list[Result]) -> str:
    rows = "".join(map(_row, results))
    return f"<h2>{escape(clause)}</h2><table>{rows}</table>"


def _row(result: Result) -> str:
    bytes_of = "\n".join(deviation_lines(result.deviation))
    detail = f"<pre>{escape(bytes_of)}</pre>" if bytes_of else ""
    why = f"<br>{escape(result.why)}" if result.why else ""
    outcome = result.outcome.value
    state, title = escape(result.case.state.text), escape(result.case.title)
    return f'<tr><td class="{outcome}">{outcome}</td><td>{state}</td><td>{title}{why}{detail}</td></tr>'
