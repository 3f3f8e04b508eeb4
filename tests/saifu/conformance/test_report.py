"""The report in each of its forms says the same, and nothing that a card says can break out of it."""

from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as Xml

from apdu.commands import Ins
from apdu.identity import LifeCycle
from saifu.conformance.case import Case
from saifu.conformance.oracle import Deviation
from saifu.conformance.report import Report
from saifu.conformance.running import Outcome, Result
from saifu.conformance.stand import Stand
from saifu.conformance.subject import UnmetError

BAD = '<script>alert("1")</script> & \x7f'


def result(outcome: Outcome, ins: Ins | None = None, state: LifeCycle = LifeCycle.ACTIVE) -> Result:
    deviation = Deviation(b"\x80\x32", b"\x90\x00", b"\x69\x82", BAD) if outcome is Outcome.FAILED else None
    why = "" if outcome is Outcome.PASSED else BAD
    return Result(Case("PAY 11", BAD, state, Stand.audit, ins), outcome, why, deviation, 3, 0.25)


REPORT = Report(
    BAD,
    "T=1",
    (
        result(Outcome.PASSED),
        result(Outcome.FAILED, Ins.PAY),
        result(Outcome.SKIPPED, Ins.PAY, LifeCycle.LOCKED_OUT),
    ),
    9,
    0.5,
    frozenset({(LifeCycle.ACTIVE, int(Ins.PAY)), (LifeCycle.ACTIVE, 0xFF)}),
)


class Reader(HTMLParser):
    """Tags and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.text = list[str](), ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_counts() -> None:
    assert REPORT.counts() == {"passed": 1, "failed": 1, "skipped": 1, "platform": 0}
    assert dict(REPORT.rows()) == {
        "any command": {"passed": 1, "failed": 0, "skipped": 0, "platform": 0},
        "PAY": {"passed": 0, "failed": 1, "skipped": 1, "platform": 0},
    }


def test_coverage_counts_rows_of_the_table_and_instructions() -> None:
    assert REPORT.coverage()["rows"] == 1
    assert REPORT.coverage()["instructions active"] == 2


def test_json() -> None:
    document = REPORT.document()
    assert document["ok"] is False
    assert document["results"][1]["deviation"] == {"command": "8032", "expected": "9000", "answered": "6982"}
    assert document["results"][1]["about"] == "PAY"


def test_junit_is_well_formed_and_complete() -> None:
    root = Xml.fromstring(REPORT.junit())
    assert (root.tag, root.get("tests"), root.get("failures"), root.get("skipped")) == ("testsuites", "3", "1", "1")
    assert [suite.get("name") for suite in root] == ["active", "locked out"]
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert failure.get("message") == BAD
    assert "answered  6982" in (failure.text or "")


def test_the_page_has_no_markup_but_its_own() -> None:
    reader = Reader()
    reader.feed(REPORT.html().decode())
    assert "script" not in reader.tags
    assert reader.text.count("alert(") == 8  # what failed stands in its clause, and first of all
    assert "PAY 11" in reader.text


def test_a_run_that_was_interrupted_is_not_ok_though_nothing_failed() -> None:
    passed = replace(REPORT, results=(result(Outcome.PASSED), result(Outcome.SKIPPED)))
    cut = replace(passed, is_interrupted=True)
    assert [(one.document()["ok"], one.document()["interrupted"]) for one in (passed, cut)] == [
        (True, False),
        (False, True),
    ]
    assert b"interrupted</h1>" in cut.html()


def test_a_card_that_cannot_be_met_has_a_report() -> None:
    cases = [each.case for each in REPORT.results]
    report = Report.of_unmet("reader", UnmetError("SELECT", BAD), cases)
    assert report.counts() == {"passed": 0, "failed": 1, "skipped": 3, "platform": 0}
    assert report.document()["results"][0]["clause"] == "SELECT"
    assert Xml.fromstring(report.junit()).get("failures") == "1"
    assert b"<script>" not in report.html()
