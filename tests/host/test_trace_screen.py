"""``saifu trace browse`` as it is used: keys are pressed, and the screen is read."""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path

import pexpect
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static, Tree

from apdu.errors import FormatError, InputError
from apdu.trace import own
from apdu.trace.inspector import inspect
from apdu.trace.model import Exchange, Item, Remark, Reset
from apdu.trace.reading import Reading
from host.trace_screen import ExchangeScreen, HelpScreen, TraceApp
from host.trace_table import TraceTable
from tests.apdu.trace.forms.samples import ATR, SLOTS, session
from tests.saifu.shell import ROOT

ODD = Exchange(bytes.fromhex("80320000"), bytes.fromhex("6F42"), SLOTS[1], 1010.0, 0.001)
SESSION: list[Item] = [
    Reset(ATR, SLOTS[0], 1000.0),
    *[Exchange(command, answer, SLOTS[0], 1000.5 + n, 0.02) for n, (command, answer) in enumerate(session("63C2"))],
    Exchange(*session("")[0], SLOTS[1], 1009.5, 0.02),
    ODD,
    *[Exchange(bytes.fromhex("00CA010000"), bytes.fromhex("6A88"), SLOTS[1], 1011.0 + n) for n in range(40)],
    ODD,
    Remark("[bold]out[/] \x1b[2J", SLOTS[1]),
]
ODDS = [number for number, item in enumerate(SESSION, 1) if item is ODD]
Page = Pilot[None]
SMALL, WIDE = (80, 24), (140, 40)


def browse(
    script: Callable[[Page], Awaitable[None]],
    readings: Iterator[Reading] | None = None,
    size: tuple[int, int] = SMALL,
) -> TraceApp:
    """Run the screen, and a script on it when the trace is in."""
    app = TraceApp("t.jsonl", "saifu", readings or inspect(SESSION))

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await app.workers.wait_for_complete()
            await pilot.pause()
            await script(pilot)

    asyncio.run(run())
    return app


def table(page: Page) -> TraceTable:
    return page.app.screen_stack[0].query_one(TraceTable)


def number(page: Page) -> int:
    chosen = table(page).chosen
    assert chosen is not None
    return chosen.number


def told(page: Page, name: str) -> str:
    return str(page.app.screen.query_one(f"#{name}", Static).content)


def screen(page: Page) -> list[str]:
    """The table as it stands on the screen."""
    widget = table(page)
    return [widget.render_line(y).text for y in range(widget.size.height)]


async def type_in(page: Page, key: str, text: str) -> None:
    await page.press(key)
    page.app.screen.query_one(Input).value = text
    await page.press("enter")
    await page.pause()


@pytest.mark.parametrize("size", [SMALL, WIDE, (60, 10), (200, 60)])
def test_rows_fit_the_screen_and_say_what_they_say(size: tuple[int, int]) -> None:
    async def script(page: Page) -> None:
        lines = screen(page)
        assert {len(line) for line in lines} == {table(page).scrollable_content_region.width}
        wide = size[0] >= 110
        assert lines[0].split()[:3] == (["no", "time", "s"] if wide else ["no", "ms", "slot"])
        words = r"0\.500 +20 .*reader 00 00 *" if wide else "20 …00 00"
        assert re.search(rf"^ +2 +{words} SELECT +the (purse|….*|.*…) +9000", lines[2])

    browse(script, size=size)


def test_a_narrow_terminal_has_room_for_the_outcome_and_none_for_a_single_slot() -> None:
    outcome = "9000: card 00001-0000000003-2"
    reading = Reading(1, SESSION[1], name="SELECT", what="w" * 60, outcome=outcome)

    async def script(page: Page) -> None:
        assert outcome in screen(page)[1]
        assert "slot" not in screen(page)[0]

    browse(script, iter([reading]))


def test_the_cursor_moves_and_stays_in_sight() -> None:
    async def script(page: Page) -> None:
        for key, expected in [
            ("down", 2), ("j", 3), ("k", 2), ("up", 1), ("up", 1), ("end", len(SESSION)), ("down", len(SESSION)),
            ("home", 1), ("G", len(SESSION)), ("g", 1),
        ]:  # fmt: skip
            await page.press(key)
            await page.pause()
            assert number(page) == expected
            assert any(line.startswith(f"{expected:>4} ") for line in screen(page)), key
        await page.press("pagedown", "pagedown", "pageup")
        assert 10 < number(page) < 20

    browse(script)


def test_the_line_below_tells_the_row_in_full() -> None:
    async def script(page: Page) -> None:
        await page.press("down")
        await page.pause()
        assert told(page, "whole").startswith(f"{SLOTS[0]}  SELECT")
        await page.press("end")
        await page.pause()
        assert "\\x1b[2J" in told(page, "whole")
        assert "[bold]out[/]" in told(page, "whole")
        assert f"{len(SESSION)} items" in told(page, "state")

    browse(script)


def test_what_was_unexpected_is_marked_and_jumped_to() -> None:
    async def script(page: Page) -> None:
        for key, expected in [("u", ODDS[0]), ("u", ODDS[1]), ("U", ODDS[0])]:
            await page.press(key)
            await page.pause()
            assert number(page) == expected
            assert "!!" in told(page, "whole")
            assert any(line.startswith(f"{expected:>4} !") for line in screen(page))

    browse(script)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unexpected", lambda item: item is ODD),
        ("sw:6F42", lambda item: item is ODD),
        ("ins:verify", lambda item: isinstance(item, Exchange) and item.command[1] == 0x20),
        ("slot:01 sw:6A88", lambda item: isinstance(item, Exchange) and item.response == b"\x6a\x88"),
    ],
)
def test_a_filter_shows_only_what_fits(text: str, expected: Callable[[Item], bool]) -> None:
    found = [reading.number for reading in inspect(SESSION) if expected(reading.item)]
    if text.startswith("slot"):
        found = [number for number in found if SESSION[number - 1].slot == SLOTS[1]]
    if text == "unexpected":
        found = [reading.number for reading in inspect(SESSION) if reading.unexpected]

    async def script(page: Page) -> None:
        await type_in(page, "f", text)
        shown = [int(line[:4]) for line in screen(page)[1:] if line.strip()]
        assert shown == found[: len(shown)]
        assert table(page).count == len(found) > 0
        assert f"{len(found)} of " in told(page, "state")
        await type_in(page, "f", "")
        assert table(page).count == len(list(inspect(SESSION)))

    browse(script)


def test_what_a_filter_hides_is_told_until_the_next_key() -> None:
    async def script(page: Page) -> None:
        await type_in(page, "f", "sw:6A88")
        await page.press("u")
        assert told(page, "state") == f"not found: unexpected; the filter hides {len(ODDS)}"
        await page.press("down")
        await page.pause()
        assert "filter: sw:6A88" in told(page, "state")
        await type_in(page, "slash", "nowhere")
        assert told(page, "state") == "not found: nowhere"
        await page.press("question_mark")
        await page.press("escape")
        assert "not found" not in told(page, "state")
        assert not page.app._notifications

    browse(script)


@pytest.mark.parametrize("keys", [["ctrl+c"], ["f", "ctrl+c"], ["enter", "ctrl+c"], ["question_mark", "ctrl+c"]])
def test_ctrl_c_quits(keys: list[str]) -> None:
    async def script(page: Page) -> None:
        await page.press(*keys)

    app = browse(script)
    assert app._exit
    assert not app._notifications


def test_a_filter_keeps_the_place_and_may_fit_nothing() -> None:
    async def script(page: Page) -> None:
        await page.press("u")
        await type_in(page, "f", "sw:6A88")
        assert number(page) == ODDS[0] + 1
        await type_in(page, "f", "there is none of this")
        assert table(page).chosen is None
        assert told(page, "whole") == "nothing to show"
        await page.press("enter", "down", "end", "u", "n")
        await page.press("escape")
        await type_in(page, "f", "")
        assert table(page).chosen is not None

    browse(script)


def test_search_goes_to_the_next_and_the_one_before_round_the_end() -> None:
    places = [
        number for number, item in enumerate(SESSION, 1) if isinstance(item, Exchange) and item.command[1] == 0xA4
    ]

    async def script(page: Page) -> None:
        await type_in(page, "slash", "ins:select")
        seen = [number(page)]
        for key in "nnN":
            await page.press(key)
            seen.append(number(page))
        assert seen == [places[0], places[1], places[0], places[1]]
        await type_in(page, "slash", "there is none of this")
        assert number(page) == places[1]

    browse(script)


def test_escape_closes_the_input_and_changes_nothing() -> None:
    async def script(page: Page) -> None:
        await page.press("f", *"pay", "escape")
        assert isinstance(page.app.focused, TraceTable)
        assert table(page).count == len(list(inspect(SESSION)))
        await page.press("n")
        assert isinstance(page.app.focused, Input)

    browse(script)


def labels(page: Page) -> str:
    def below(node: "object") -> Iterator[str]:
        for child in getattr(node, "children", ()):
            yield str(child.label)
            yield from below(child)

    return "\n".join(below(page.app.screen.query_one(Tree).root))


def test_an_exchange_opens_down_to_each_byte() -> None:
    async def script(page: Page) -> None:
        await page.press("down", "enter")
        await page.pause()
        assert isinstance(page.app.screen, ExchangeScreen)
        assert "2  " in told(page, "words")
        for words in ("answered in: 20 ms", "name: saifu purse  F0 53 41 49 46 55", "status word: done  90 00"):
            assert words in labels(page)
        assert "00 A4 04 00 06 F0 53 41 49 46 55 00" in labels(page)
        await page.press("n")
        await page.pause()
        assert number(page) == 3
        assert "GET DATA" in labels(page)
        await page.press("p", "p", "escape")
        await page.pause()
        assert number(page) == 1
        assert not isinstance(page.app.screen, ExchangeScreen)

    browse(script)


def test_what_the_secure_channel_carried_is_opened_too() -> None:
    sent = Exchange(bytes.fromhex("84460000"), b"\x90\0")
    reading = Reading(1, sent, Exchange(bytes.fromhex("80460000"), b"\x90\0"), name="X")

    async def script(page: Page) -> None:
        await page.press("enter")
        await page.pause()
        assert "command in clear" in labels(page)
        assert "answer in clear" in labels(page)

    browse(script, iter([reading]))


def test_help_tells_the_keys_and_light_is_one_of_them() -> None:
    async def script(page: Page) -> None:
        await page.press("question_mark")
        await page.pause()
        assert isinstance(page.app.screen, HelpScreen)
        said = " ".join(str(each.content) for each in page.app.screen.query(Static))
        assert "sw:9504" in said
        await page.press("escape", "t")
        assert page.app.theme == "textual-light"
        await page.press("t")
        assert page.app.theme == "textual-dark"

    browse(script)


def test_a_trace_that_breaks_off_shows_what_was_before() -> None:
    def broken() -> Iterator[Reading]:
        yield from inspect(SESSION)
        raise FormatError("line 52: this is no JSON")

    async def script(page: Page) -> None:
        assert table(page).count == len(list(inspect(SESSION)))
        assert "reading" not in told(page, "state")

    async def told_too(page: Page) -> None:
        assert told(page, "state") == "the trace ends here: line 52: this is no JSON"
        await page.press("down")
        await page.pause()
        assert "broken off" in told(page, "state")
        await script(page)

    assert "line 52" in str(browse(told_too, broken()).failure)
    assert browse(script).failure is None


def test_a_trace_of_which_nothing_is_shown_ends_the_screen() -> None:
    def nothing() -> Iterator[Reading]:
        yield from ()
        raise InputError("--slot zz: nothing in this trace is of such a slot")

    app = TraceApp("t.jsonl", "saifu", nothing())

    async def run() -> None:
        async with app.run_test(size=SMALL) as pilot:
            while not app._exit:
                await pilot.pause()

    asyncio.run(run())
    assert "--slot zz" in str(app.failure)


def test_it_can_be_left_and_used_while_a_trace_still_comes_in() -> None:
    app = TraceApp("t.jsonl", "saifu", (Reading(n, SESSION[1], name="SELECT") for n in count(1)))

    async def run() -> None:
        async with app.run_test(size=SMALL) as pilot:
            while not table(pilot).count:
                await pilot.pause()
            await pilot.press("down", "enter")
            assert isinstance(app.screen, ExchangeScreen)
            await pilot.press("escape", "q")

    asyncio.run(run())
    assert app.return_code == 0


def test_a_long_trace_can_be_walked_through() -> None:
    many = 20_000
    readings = (Reading(n, ODD if n == many - 5 else SESSION[1], name="SELECT") for n in range(1, many + 1))

    async def script(page: Page) -> None:
        await page.press("end")
        await page.pause()
        assert number(page) == many
        assert screen(page)[-1].startswith(str(many))
        await type_in(page, "f", "sw:6F42")
        assert number(page) == many - 5
        await type_in(page, "f", "")
        assert number(page) == many - 5

    browse(script, readings)


@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_it_runs_on_a_real_terminal(tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text("".join(f"{line}\n" for line in [own.header("test"), *map(own.encode, SESSION)]))
    child = pexpect.spawn(
        sys.executable,
        ["-m", "saifu", "trace", "browse", str(trace)],
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )
    child.expect("SELECT")
    child.send("q")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
