"""What is special in the forms that are text: lost answers, threads, midnight, words instead of bytes."""

import pytest

from apdu.errors import FormatError
from apdu.trace.detection import form_named, form_of, read
from apdu.trace.forms.pairing import MOST_WAITING
from apdu.trace.forms.text import LONGEST_LINE, lines, octets, take_octets
from apdu.trace.model import Exchange, Item, Remark, Reset
from tests.apdu.trace.forms.samples import FOLDER, exchanges

A, B = bytes.fromhex("00CA010000"), bytes.fromhex("00B2010400")
OK = b"\x90\0"


def items(form: str, *text: str) -> list[Item]:
    return list(form_named(form).read(["\n".join(text).encode()]))


def test_octets_are_read_with_spaces_colons_or_nothing_between() -> None:
    assert octets("00CA 01:00") == octets("00 ca 01 00 ") == b"\0\xca\1\0"
    assert octets("00C") is octets("xx") is octets("…") is None


def test_a_row_of_a_dump_ends_where_its_characters_begin() -> None:
    assert take_octets("41 42 AB", 2) == b"AB"
    assert take_octets("41 42", 3) is None
    assert take_octets("", 3) is None


def test_lines_come_out_of_any_pieces_without_colours_and_marks() -> None:
    assert list(lines([b"\xef\xbb", b"\xbfa\r", b"\n\x1b[01;31mb\x1b[0m\n\n", b"c"])) == ["a", "b", "", "c"]


def test_a_line_that_is_too_long_is_cut_and_marked() -> None:
    long = b"0" * (LONGEST_LINE + 10)
    assert [len(line) for line in lines([long, long, b"\nab\n"])] == [LONGEST_LINE + 1, 2]
    assert next(lines([long])).endswith("0…")


def test_pcscd_pairs_by_thread_and_adds_up_the_times() -> None:
    found = items(
        "pcscd",
        "00000000 [140001] APDU: 00 CA 01 00 00 ",
        "00000250 [140002] APDU: 00 B2 01 04 00 ",
        "00000250 [140001] SW: 90 00 ",
        "\x1b[35m00000500 [140002] SW: 6A 86 \x1b[0m",
    )
    assert found == [Exchange(A, OK, seconds=0.0005), Exchange(B, b"\x6a\x86", seconds=0.00075)]


def test_only_so_many_commands_wait_at_a_time() -> None:
    commands = [f"00000001 [{number}] APDU: 00 CA 01 00 00" for number in range(MOST_WAITING + 1)]
    answers = ["00000001 [0] SW: 90 00", f"00000001 [{MOST_WAITING}] SW: 90 00"]
    given_up, late, answered = items("pcscd", *commands, *answers)[:3]
    assert given_up == Exchange(A, None)
    assert isinstance(late, Remark)
    assert isinstance(answered, Exchange)
    assert answered.response == OK


@pytest.mark.parametrize(
    ("form", "command", "other", "answer"),
    [
        ("pcscd", "00000001 APDU: 00 CA 01 00 00 ", "00000001 APDU: 00 B2 01 04 00 ", "00000001 SW: 90 00 "),
        ("scriptor", "> 00 CA 01 00 00", "> 00 B2 01 04 00", "< 90 00 : Normal processing."),
        ("pyscard", "> 00 CA 01 00 00", "> 00 B2 01 04 00", "<  [] 90 00"),
        ("gp", "A>> T=1 (4+0000) 00CA0100 00", "A>> T=1 (4+0000) 00B20104 00", "A<< (0000+2) (3ms) 9000"),
    ],
)
def test_a_command_without_its_answer_stays_visible(form: str, command: str, other: str, answer: str) -> None:
    found = items(form, command, other, answer, answer, other)
    assert [type(item) for item in found] == [Exchange, Exchange, Remark, Exchange]
    pairs = [(item.command, item.response) for item in found if isinstance(item, Exchange)]
    assert pairs == [(A, None), (B, OK), (B, None)]


@pytest.mark.parametrize(
    ("form", "command", "answer"),
    [
        ("pcscd", "00000001 APDU: 00 CA 01 00 00 ", "00000001 SW: 90 "),
        ("pcscd", "00000001 APDU: 00 CA 01 00 00 ", "00000001 SW: "),
        ("scriptor", "> 00 CA 01 00 00", "< 90 : what?"),
        ("pyscard", "> 00 CA 01 00 00", "< 90"),
        ("apdu4j", "00CA010000", "90"),
    ],
)
def test_an_answer_too_short_for_a_status_word_is_none(form: str, command: str, answer: str) -> None:
    exchange, remark = items(form, command, answer)
    assert isinstance(exchange, Exchange)
    assert (exchange.command, exchange.response) == (A, None)
    assert isinstance(remark, Remark)
    assert "status word" in remark.text


JOURNAL = "Aug 01 10:00:00 host pcscd[2811]: "


@pytest.mark.parametrize("prefix", [JOURNAL, "2026-08-01T10:00:00+0200 host pcscd[1]: ", "-- pcscd[7]: "])
def test_pcscd_is_read_out_of_a_journal(prefix: str) -> None:
    log = [prefix + line for line in ("00000001 APDU: 00 CA 01 00 00 ", "00000250 SW: 90 00 ")]
    assert form_of("\n".join(log).encode()).name == "pcscd"
    assert items("pcscd", *log) == [Exchange(A, OK, seconds=0.00025)]


@pytest.mark.parametrize("path", ["", "src/", "../src/", "/build/pcsc-lite-1.8.25/src/"])
def test_pcscd_is_recognized_by_what_it_says_of_itself(path: str) -> None:
    line = f"00000012 [140442152857600] {path}hotplug_libudev.c:297:get_driver() Looking for a driver"
    assert form_of(line.encode()).name == "pcscd"


def test_pcscd_tells_of_cards_that_come_and_go() -> None:
    assert items("pcscd", "00000001 eventhandler.c:361:EHStatusHandlerThread() Card Removed From vpcd 00 00") == [
        Remark("Card Removed From vpcd 00 00")
    ]


def test_scriptor_names_the_reader_and_tells_of_a_reset_that_failed() -> None:
    found = items("scriptor", "No reader given: using vpcd 00 00", "> RESET", "< KO: Card was removed.")
    assert found == [Remark("the reset failed: Card was removed.", "vpcd 00 00")]


def test_scriptor_drops_rows_that_never_end() -> None:
    found = items("scriptor", "> 00 CA 01 00 00", "< 01", *["02"] * 100_000, "> 00 B2 01 04 00", "< 90 00 : Normal")
    assert [item.response for item in exchanges(found)] == [None, OK]
    assert any(isinstance(item, Remark) and "never ends" in item.text for item in found)


def test_opensc_goes_over_midnight() -> None:
    first = exchanges(list(form_named("opensc").read([(FOLDER / "opensc-0.15.txt").read_bytes()])))[0]
    assert first.seconds == 0.012


OPENSC_HEADS = (
    "0x7f10a2c3d740 10:00:01.000 ",
    "P:49960; T:0x140144795510848 10:00:01.000 ",
    "P:49960; T:54992 2020-04-21 10:00:01.000 ",
    "2015-08-21 10:00:01.140733193388062 ",
    "",
)
"""Before 0.16 or so and since, on Windows since and before, and with the clock of macOS."""


@pytest.mark.parametrize("head", OPENSC_HEADS)
def test_opensc_is_read_with_and_without_dates_and_threads(head: str) -> None:
    log = [
        f"{head}[cardmod] reader-pcsc.c:641:pcsc_connect: Initial protocol: T=1",
        f"{head}[cardmod] card.c:1:match_atr_table: ATR     : 3b:00",
        f"{head}[cardmod] reader-pcsc.c:325:pcsc_transmit: reader 'ACS 0'",
        f"{head}[cardmod] reader-pcsc.c:326:pcsc_transmit: ",
        *("Outgoing APDU (5 bytes):", "00 CA 01 00 00 .....", ""),
        f"{head}[cardmod] reader-pcsc.c:244:pcsc_internal_transmit: called",
        *("Incoming APDU (2 bytes):", "90 00 ..", ""),
    ]
    assert form_of("\n".join(log[:2]).encode()).name == "opensc"
    reset, found = items("opensc", *log)
    assert reset == Reset(b"\x3b\0", "ACS 0")
    assert isinstance(found, Exchange)
    assert (found.command, found.response, found.slot) == (A, OK, "ACS 0")
    assert (found.seconds is None) == (not head)


def test_opensc_tells_a_reset_that_nothing_follows() -> None:
    head = "[tool] reader-pcsc.c:641:pcsc_connect: Initial protocol: T=1"
    answer = "[tool] card.c:1:match_atr_table: ATR     : 3b:00"
    assert items("opensc", head, answer, head, answer) == [Reset(b"\x3b\0")] * 2


def test_opensc_pairs_by_thread_and_tells_of_a_dump_that_is_not_whole() -> None:
    prefix = "P:1; T:0x1{} 10:00:0{}.000 [tool] reader-pcsc.c:1:pcsc_transmit: "
    row = "00 CA 01 00 00 ....."
    found = items(
        "opensc",
        *(prefix.format(1, 0), "Outgoing APDU (5 bytes):", row, ""),
        *(prefix.format(2, 1), "Outgoing APDU (5 bytes):", row, ""),
        *(prefix.format(1, 2), "Incoming APDU (2 bytes):", "90 00 ..", ""),
        *(prefix.format(2, 4), "Incoming APDU (20 bytes):", "90 00 ..", ""),
        *(prefix.format(2, 5), "Incoming APDU (2 bytes):"),
    )
    answered = [(item.command, item.response, item.seconds) for item in exchanges(found)]
    assert answered == [(A, OK, 2.0), (A, None, None)]
    texts = [item.text for item in found if isinstance(item, Remark)]
    assert texts == ["line 15: Incoming APDU: not the 20 bytes that were announced", "the log ends within an APDU"]


def test_gp_says_in_words_why_there_was_no_answer() -> None:
    found = items("gp", "A>> T=1 (4+0000) 00CA0100 00", "A<< (1s12ms) SCARD_E_NOT_TRANSACTED")
    assert found == [Exchange(A, None, seconds=1.012), Remark("no answer: SCARD_E_NOT_TRANSACTED")]


def test_gp_answers_are_as_long_as_they_say() -> None:
    found = items("gp", "A>> T=1 (4+0000) 00CA0100 00", "A<< (0002+2) (3ms) 01 9000")
    assert found == [Exchange(A, None), Remark("line 2: an answer that is not as long as it says")]


def test_gp_does_not_repeat_the_keys_that_it_prints() -> None:
    found = items(
        "gp", "Warning: no keys given, using default test key 404142434445464748494A4B4C4D4E4F", "[DEBUG] x 4041"
    )
    assert found == []


def spy(name: str, code: str, *arguments: str) -> list[str]:
    body = [f"7F{argument}" for argument in ("", *arguments)][1:]
    return [f"7F@>|100|5|{name}", *[f"7F@{line[2:]}" for line in body], f"7F@<|100|9|{name}|Said.|{code}"]


CONNECT = ("0x01", "vpcd 00 00", "0x2", "0x3", "0x0", "0x0", "0x77", "0x2")
TRANSMIT = ("0x77", "0x2", "0x10", "0x5", "00 CA 01 00 00 ", "0x1", "0x10", "0x2", "90 00 ")
GOOD, BAD = "0x00000000", "0x80100069"


def test_pcsc_spy_tells_a_reset_only_where_the_card_lost_its_state() -> None:
    left, reset = ("0x77", "0x00000000"), ("0x77", "0x00000001")
    found = items(
        "pcsc-spy",
        *spy("SCardConnect", GOOD, *CONNECT),
        *spy("SCardDisconnect", GOOD, *left),
        *spy("SCardConnect", GOOD, *CONNECT),
        *spy("SCardDisconnect", GOOD, *reset),
        *spy("SCardConnect", GOOD, *CONNECT),
        *spy("SCardReconnect", GOOD, "0x77", "0x2", "0x3", "0x00000000", "0x2"),
        *spy("SCardReconnect", GOOD, "0x77", "0x2", "0x3", "0x00000001", "0x2"),
    )
    assert found == [Reset(b"", "vpcd 00 00", 100.000005)] * 3


def test_pcsc_spy_tells_of_calls_that_failed_or_did_not_return() -> None:
    call = spy("SCardTransmit", BAD, *TRANSMIT[:-1], "")
    found = items("pcsc-spy", *spy("SCardConnect", GOOD, *CONNECT), *call, *call[:6])
    slot, time = "vpcd 00 00", 100.000005
    assert found[1:] == [
        Exchange(A, None, slot, time, 4e-06),
        Remark("no answer: Said.", slot, time),
        Exchange(A, None, slot, time),
        Remark("no answer: the call did not return", slot, time),
    ]


def test_pcsc_spy_forgets_threads_and_arguments_beyond_bounds() -> None:
    many = [f"{number:X}@>|1|1|SCardTransmit" for number in range(100)]
    assert len(items("pcsc-spy", *many)) == 100
    endless = ["7F@>|1|1|SCardTransmit", "7F@00 CA 01 00 00 ", *["7F@" + "x" * 60_000] * 50, "7F@90 00 "]
    command, remark = items("pcsc-spy", *endless, "7F@<|1|2|SCardTransmit|Said.|0x00000000")
    assert isinstance(command, Exchange)
    assert (command.command, command.response) == (A, None)
    assert isinstance(remark, Remark)


def test_pcsc_spy_display_keeps_threads_apart_and_may_have_no_times() -> None:
    a = [
        "SCardTransmit",
        " i hCard: 0x77",
        " i bSendLength 0x00000005 (5)",
        " i bSendBuffer",
        " i  0000 00 CA 01 00 00  ...",
    ]
    b = [" o bRecvLength 0x00000002 (2)", " o bRecvBuffer", " o  0000 90 00  ..", " => Said. (X [0x00000000])  [??.??]"]
    first, second = ([f" (t{number}) {line}" for line in (*a, *b)] for number in (0, 1))
    mixed = [line for pair in zip(first, second, strict=True) for line in pair]
    assert form_of("\n".join(mixed).encode()).name == "pcsc-spy display"
    assert items("pcsc-spy display", *mixed) == [Exchange(A, OK)] * 2


def test_pyscard_takes_a_connection_for_a_reset() -> None:
    found = items("pyscard", "reconnecting to vpcd", "> 00 CA 01 00 00", "< 01 02 90 00", "connecting to other")
    assert found == [Reset(b"", "vpcd"), Exchange(A, b"\1\2\x90\0", "vpcd"), Reset(b"", "other")]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("<  [] 90 00", "9000"),
        ("< [] 90 0 ", "9000"),
        ("<  [] 90 0 ", "9000"),
        ("<  []  0 90", "0090"),
        ("<  00 00 7F 10 90 0 ", "00007F109000"),
        ("< 01 02 6B 0 ", "01026B00"),
        ("< 00, 01 61 A ", "0001610A"),
    ],
)
def test_pyscard_of_any_age_pads_status_words_in_its_own_way(line: str, answer: str) -> None:
    assert items("pyscard", "> 00 CA 01 00 00 ", line) == [Exchange(A, bytes.fromhex(answer))]


@pytest.mark.parametrize("line", ["<  [] 90 0 ", "< 01 02 6B 0 ", "<  00 90 00"])
def test_pyscard_is_recognized_by_an_answer(line: str) -> None:
    assert form_of(f"hello\n{line}\n".encode()).name == "pyscard"


@pytest.mark.parametrize("line", ["R:3B0", "C:00CA010000:90:", "C:zz:9000:", "C::9000:", "X:00", "C:00:9000"])
def test_cardpeek_lines_that_are_neither_reset_nor_exchange_are_told(line: str) -> None:
    assert items("cardpeek", "R:3B00", line) == [Reset(b"\x3b\0"), Remark("line 2: neither a reset nor an exchange")]


def test_apdu4j_ignores_blanks_that_are_not_in_the_bytes() -> None:
    found = items("apdu4j", "# Redacted: command 5 13", "# Redacted: command 0 2", "00CA010000", "9000")
    assert found == [Exchange(A, OK, redacted=(("command", 0, 2),))]


def test_apdu4j_may_tell_the_time_alone() -> None:
    log = ["00CA010000", "# 42.5ms", "9000", "00B2010400", "# 7ms", "6A86"]
    assert form_of("\n".join(log).encode()).name == "apdu4j"
    assert items("apdu4j", *log) == [Exchange(A, OK, seconds=0.0425), Exchange(B, b"\x6a\x86", seconds=0.007)]


GP = "A>> T=1 (4+0000) 00CA0100 00\nA<< (0000+2) (3ms) 9000\n"


@pytest.mark.parametrize("size", [100, 4090, 4096, 20_000, 60_000])
@pytest.mark.parametrize("piece", [17, 1 << 20])
def test_a_log_may_begin_with_the_words_of_another_program(size: int, piece: int) -> None:
    raw = (f"{'some program says: hello' * 3}\n" * (size // 72) + GP).encode()
    form, found = read([raw[at : at + piece] for at in range(0, len(raw), piece)])
    assert form.name == "gp"
    assert exchanges(list(found)) == [Exchange(A, OK, seconds=0.003)]


@pytest.mark.parametrize("text", ["x" * 70_000 + "\n" + GP, "Dear Anna\n" * 500, "\0" * 20_000])
def test_what_does_not_show_early_enough_is_no_trace(text: str) -> None:
    with pytest.raises(FormatError, match="no trace of a form that is known"):
        read([text.encode()])


@pytest.mark.parametrize("code", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("piece", [1, 5, 1 << 20])
def test_what_powershell_has_saved_is_read(code: str, piece: int) -> None:
    raw = f"\ufeff{GP}".replace("\n", "\r\n").encode(code)
    form, found = read([raw[at : at + piece] for at in range(0, len(raw), piece)])
    assert form.name == "gp"
    assert list(found) == [Exchange(A, OK, seconds=0.003)]


def test_utf_16_that_is_damaged_is_no_trace_and_no_other_error() -> None:
    with pytest.raises(FormatError):
        read([b"\xff\xfe\x00\xd8\x00"])
