"""The report of a trace: one page that needs nothing else, and on which nothing of a trace is more than text."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apdu.trace.forms.html import MOST_FINDINGS, report, write
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.reading import Reading
from tests.apdu.trace.forms.samples import ATR, SLOTS, session

SESSION: list[Item] = [
    Reset(ATR, SLOTS[0], 1000.0),
    *[Exchange(command, answer, SLOTS[n % 2], 1000.5 + n, 0.02) for n, (command, answer) in enumerate(session("63C2"))],
    Remark("the end", SLOTS[0], 1010.0),
]
HOSTILE = "<script>alert(1)</script><img src=x onerror='y'>&lt;\"'\x00\x1b[2J\u202e\ud800-->"


class Page(HTMLParser):
    """Elements in their order, attributes and text of a page."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(raw.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] not in (["style"], ["script"]):
            self.text += data

    def having(self, attribute: str) -> list[str | None]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def page(items: list[Item]) -> Page:
    return Page(b"".join(write(items)))


def test_a_report_tells_what_the_trace_tells() -> None:
    found = page(SESSION)
    readings = list(inspect(SESSION))
    assert found.having("id")[-len(readings) :] == [f"e{reading.number}" for reading in readings][-len(readings) :]
    for words in ("SELECT", "VERIFY", "63C2", SLOTS[1], "duration10.000 s", "exchanges7", "resets1", "the end"):
        assert words in found.text
    assert "F0 53 41 49 46 55" in found.text


@pytest.mark.parametrize(
    ("last", "told"), [(1000.896782, "0.897 s"), (4661.5, "3,662 s"), (1e200, "1e+200 s"), (None, "")]
)
def test_a_duration_has_as_many_digits_as_are_of_use(last: float | None, told: str) -> None:
    text = page([Remark("first", time=1000.0 if last else None), Remark("last", time=last)]).text
    assert (f"duration{told}unexpected" in text) if told else ("duration" not in text)


@pytest.mark.parametrize("item", [SESSION[1], Exchange(bytes.fromhex("80320000"), bytes.fromhex("6F42"))])
def test_the_list_has_a_heading_of_its_own(item: Item) -> None:
    found = page([item])
    assert found.text.count("Exchanges") == 1
    names = [tag for tag, _ in found.elements]
    assert len(names) - 1 - names[::-1].index("h2") < names.index("label") < names.index("main")


def test_it_needs_nothing_from_anywhere() -> None:
    found = page(SESSION)
    assert found.having("src") == []
    assert [href for href in found.having("href") if not str(href).startswith("#")] == []
    assert "@import" not in (raw := b"".join(write(SESSION)).decode())
    assert "url(" not in raw


def test_its_policy_lets_its_own_script_run_and_no_other() -> None:
    raw = b"".join(write(SESSION)).decode()
    scripts = re.findall(r"<script>(.*?)</script>", raw, re.DOTALL)
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    (policy,) = [str(text) for text in page(SESSION).having("content") if "default-src" in str(text)]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert len(digests) == 1
    assert "script-src 'unsafe" not in policy


def test_what_was_unexpected_is_listed_first_with_a_link() -> None:
    odd: list[Item] = [*SESSION, Exchange(bytes.fromhex("80320000"), bytes.fromhex("6F42"), SLOTS[0])]
    unexpected = [reading.number for reading in inspect(odd) if reading.unexpected]
    found = page(odd)
    assert unexpected
    assert set(found.having("href")) == {f"#e{number}" for number in unexpected}
    names = [tag for tag, _ in found.elements]
    assert names.index("a") < names.index("details")
    assert page(SESSION[:1]).having("href") == []


def test_the_head_lists_so_many_findings_and_says_so() -> None:
    reading = Reading(1, Remark("x"), unexpected=("odd",))
    found = Page(b"".join(report(lambda: [reading] * (MOST_FINDINGS + 5), "t")))
    assert len(found.having("href")) == MOST_FINDINGS
    assert f"the first {MOST_FINDINGS}" in found.text
    assert f"unexpected{MOST_FINDINGS + 5}" in found.text


texts = st.text(max_size=40) | st.just(HOSTILE)
binary = st.binary(max_size=40) | st.just(bytes.fromhex("00A4040007") + b"<b>&\"'x")
times = st.none() | st.floats(allow_nan=False, allow_infinity=False)
items = st.lists(
    st.builds(Exchange, binary, st.none() | binary, texts, times, times)
    | st.builds(Reset, binary, texts, times)
    | st.builds(Remark, texts, texts, times),
    max_size=4,
)
KNOWN = page(SESSION)
TAGS = {tag for tag, _ in KNOWN.elements} | {"section", "h2", "a", "p"}
ATTRIBUTES = {name for _, attributes in KNOWN.elements for name in attributes} | {"href"}


@settings(max_examples=60, deadline=None)
@given(items=items, title=texts)
@example(items=[Remark(HOSTILE, HOSTILE), Exchange(b"<&>\"'", b"<&>\"'", HOSTILE)], title=HOSTILE)
def test_nothing_of_a_trace_gets_onto_the_page_but_as_text(items: list[Item], title: str) -> None:
    raw = b"".join(report(lambda: inspect(items), title))
    found = Page(raw)
    assert {tag for tag, _ in found.elements} <= TAGS
    assert {name for _, attributes in found.elements for name in attributes} <= ATTRIBUTES
    assert [tag for tag, _ in found.elements].count("script") == 1
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw)


def test_hostile_words_of_a_reading_are_text_too() -> None:
    sent = Exchange(b"\0\xa4\4\0", None, HOSTILE)
    reading = Reading(1, sent, None, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,))
    found = Page(b"".join(report(lambda: [reading], HOSTILE, HOSTILE)))
    assert {tag for tag, _ in found.elements} <= TAGS
    assert found.text.count("<script>alert(1)</script>") >= 6


def test_a_long_trace_is_written_in_pieces_while_it_is_read() -> None:
    read = 0

    def readings() -> Iterator[Reading]:
        nonlocal read
        for number in range(1, 2001):
            read += 1
            yield Reading(number, Exchange(bytes(100), b"\x90\0"), name="NAME")

    pieces = report(readings, "t")
    next(pieces)
    assert read < 2000 + 400
    assert max(map(len, pieces)) < 1 << 18
