"""``saifu trace replay``: real traces are sent to real cards again; what deviates is told, and no try is lost."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from apdu.command import CommandApdu
from apdu.commands import Ins
from apdu.errors import InputError, SaifuError, StoreError
from apdu.identity import AID, LifeCycle
from apdu.protocol import Protocol
from apdu.trace.model import Exchange, Item, Reset
from applet_model.card import answer_to_reset
from host.issuer_session import IssuerData, IssuerSession
from host.model import CardFile, ModelSlot, create_card
from host.recording import TRACE, RecordingSlot, TraceFile
from host.replay import Session, load
from host.session import PurseSession, pin_block
from host.trace_replay_cli import replay
from tests.issuer import CHIP, NOW, PIN, PUK, STATIC, Issuer

ISSUER = Issuer()
WRONG = pin_block("9999")
SELECT = CommandApdu(0, Ins.SELECT, 4, 0, AID, 256).encode()
STATUS = bytes.fromhex("00CA010000")
PCSCD = Path(__file__).parents[1] / "vectors" / "traces" / "pcscd.txt"
VERIFY = CommandApdu(0, Ins.VERIFY, 0, 0x81, PIN).encode()
ASKED = bytes.fromhex("00200081")
Ran = tuple[int, str]

app = typer.Typer()
app.command()(replay)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in a folder of its own, with the right PIN in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAIFU_PIN", "1234")
    yield
    for path in tmp_path.iterdir():
        if path.suffix == ".jsonl":
            assert not any(pin.hex().upper() in path.read_text() for pin in (PIN, WRONG, PUK))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A blank card, and a purse."""
    made = tmp_path_factory.mktemp("made")
    for name in ("blank.card", "purse.card"):
        create_card(made / name, CHIP, 64, 4)
    card = CardFile(made / "purse.card")
    ISSUER.personalize(card, ISSUER.parameters(1))
    card.close()
    return made


@pytest.fixture
def purse(made: Path, tmp_path: Path) -> Path:
    """Copies of both, in the current folder; the purse is given."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return Path("purse.card")


def slot_of(image: Path) -> ModelSlot:
    return ModelSlot(f"model:{image}", path=image)


def record(image: Path, *business: Callable[[PurseSession], object], secrets: bool = False) -> str:
    """Do business with a card, each after a reset, and record it; then the image is what it was before."""
    before = image.read_bytes()
    with TraceFile(Path("t.jsonl"), "test") as trace:
        slot = RecordingSlot(slot_of(image), trace, secrets=secrets)
        for each in business:
            each(PurseSession(slot.connect()))
        slot.close()
    image.write_bytes(before)
    return "t.jsonl"


def written(*items: Item) -> str:
    with TraceFile(Path("t.jsonl"), "test") as trace:
        for item in items:
            trace.write(item)
    return "t.jsonl"


def run(*arguments: object, stdin: str = "") -> Ran:
    """Exit code, and all that was said; errors of ours are raised."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    assert not any(secret in result.output for secret in ("1234", PIN.hex(), PIN.hex().upper(), WRONG.hex().upper()))
    if isinstance(result.exception, SaifuError):
        raise result.exception
    return result.exit_code, result.output


def document(*arguments: object) -> dict[str, Any]:
    code, said = run(*arguments, "--json")
    found: dict[str, Any] = json.loads(said)
    assert code == (found["first"] is not None)
    return found


def verdicts(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["name"], each["verdict"]) for each in found["exchanges"]]


def tries(image: Path) -> int:
    slot = slot_of(image)
    left = PurseSession(slot.connect()).get_reference_data().pin_tries
    slot.close()
    return left


def look(session: PurseSession) -> None:
    """Reads alone."""
    session.get_parameters()
    session.get_counters()


def request(session: PurseSession) -> None:
    """Opens a request, whose nonce is new each time."""
    session.request(100, ISSUER.id(2), NOW)


# --- the same, or not -----------------------------------------------------------------------------------------


def test_the_same_card_says_the_same_and_nothing_is_asked(purse: Path) -> None:
    before = purse.read_bytes()
    code, said = run(record(purse, look, look), "-r", "model:purse.card")
    assert code == 0
    assert said.count("GET DATA") == 4
    assert said.splitlines()[-1] == "model:purse.card: 6 the same; no deviation"
    assert purse.read_bytes() == before


def test_the_first_deviation_is_told_and_is_the_exit_code(purse: Path) -> None:
    file, before = record(purse, look, request), purse.read_bytes()
    found = document(file, "-r", "model:purse.card", "--yes")
    assert verdicts(found) == [("SELECT", "same"), *[("GET DATA", "same")] * 2, ("SELECT", "same"), ("REQUEST", "data")]
    assert found["first"] == 7
    assert found["count"]["same"] == 4
    purse.write_bytes(before)
    code, said = run(file, "-r", "model:purse.card", "--yes")
    assert code == 1
    assert "!!     7  REQUEST                   the same status word, other data" in said
    assert "the first deviation is item 7" in said


def test_resets_are_where_the_trace_has_them(purse: Path) -> None:
    file = record(purse, look, look, look)
    assert document(file, "-r", f"replay:{file}")["count"]["same"] == 9


def test_another_answer_to_reset_is_told(purse: Path) -> None:
    assert purse.exists()
    code, said = run(written(Reset(b"\x3b\x00"), Exchange(ASKED, b"\x69\x85")), "-r", "model:purse.card")
    assert (code, "recorded was 3B00" in said) == (0, True)


def test_without_a_recorded_answer_nothing_is_compared(purse: Path) -> None:
    assert purse.exists()
    found = document(written(Exchange(SELECT, None)), "-r", "model:purse.card")
    assert verdicts(found) == [("SELECT", "unknown")]
    assert (found["exchanges"][0]["recorded"], found["exchanges"][0]["answer"][-4:]) == (None, "9000")


def test_a_blanked_answer_is_compared_without_what_was_blanked() -> None:
    decipher = CommandApdu(0, 0x2A, 0x80, 0x86, b"cryptogram", 256).encode()
    secret, blank = Exchange(decipher, b"plain\x90\x00"), (("response", 0, 5),)
    written(Exchange(decipher, bytes(5) + b"\x90\x00", redacted=blank))
    with TraceFile(Path("card.jsonl"), "test") as trace:
        trace.write(secret)
    found = document("t.jsonl", "-r", "replay:card.jsonl", "--yes")
    assert [(each["verdict"], each["answer"]) for each in found["exchanges"]] == [("same", "00000000009000")]


# --- what may change the card ---------------------------------------------------------------------------------


def test_what_may_change_the_card_is_sent_after_a_question_alone(purse: Path) -> None:
    file, before = record(purse, look, request), purse.read_bytes()
    for answer in ("n\n", ""):
        with pytest.raises(InputError, match="nothing was sent to the card; --yes"):
            run(file, "-r", "model:purse.card", stdin=answer)
    assert purse.read_bytes() == before
    code, said = run(file, "-r", "model:purse.card", stdin="y\n")
    assert code == 1
    assert said.startswith("1 command may change the card in model:purse.card, it is item 7, REQUEST. Send them? [y/N]")
    assert purse.read_bytes() != before


def test_a_question_that_nobody_answers_ends_its_line(purse: Path) -> None:
    result = CliRunner().invoke(app, [record(purse, request, request), "-r", "model:purse.card"], input="")
    assert "2 commands may change the card in model:purse.card, the first is item 3, REQUEST." in result.stderr
    assert result.stderr.endswith(" [y/N]:\n")


def test_the_card_is_looked_for_before_anything_is_asked(purse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAIFU_PIN")
    file = record(purse, verify)
    result = CliRunner().invoke(app, [file, "-r", "model:nothing.card"], input="y\n")
    assert isinstance(result.exception, StoreError)
    assert result.output == ""


@pytest.mark.parametrize(
    ("command", "asks"),
    [
        (SELECT, False), (STATUS, False), (ASKED, False), (bytes.fromhex("80F28002024F00"), False),
        (bytes.fromhex("80CA9F7F00"), False), (bytes.fromhex("40B0000000"), False),
        (bytes.fromhex("80A4000000"), True), (bytes.fromhex("A0F2000000"), True),
        (bytes.fromhex("00D6000001AA"), True), (bytes.fromhex("80A8000002830000"), True),
        (bytes.fromhex("FFB0000010"), True), (bytes.fromhex("FFCA000000"), True), (bytes.fromhex("804C0000"), True),
    ],
)  # fmt: skip
def test_reading_is_not_asked_for(purse: Path, command: bytes, asks: bool) -> None:
    """Only what a standard says is reading; another standard's class may mean anything."""
    assert purse.exists()
    said = CliRunner().invoke(app, [written(Exchange(command, None)), "-r", "model:purse.card"]).output
    assert ("Send them?" in said) == asks


def test_after_another_status_word_nothing_is_sent_that_may_change_the_card(purse: Path) -> None:
    file, blank = record(purse, request, look, request), Path("blank.card").read_bytes()
    found = document(file, "-r", "model:blank.card", "--yes")
    assert verdicts(found) == [
        ("SELECT", "data"), ("REQUEST", "status"),
        ("SELECT", "data"), ("GET DATA", "status"), ("GET DATA", "status"),
        ("SELECT", "data"), ("REQUEST", "held"),
    ]  # fmt: skip
    assert Path("blank.card").read_bytes() == blank


# --- secrets --------------------------------------------------------------------------------------------------


def verify(session: PurseSession) -> None:
    """The right PIN, twice."""
    session.verify(PIN)
    session.verify(PIN)


def test_the_pin_is_asked_for_and_put_in(purse: Path) -> None:
    found = document(record(purse, verify), "-r", "model:purse.card", "--yes")
    assert verdicts(found) == [("SELECT", "same"), ("VERIFY", "same"), ("VERIFY", "same")]
    assert found["exchanges"][1]["command"] == "0020008108" + "00" * 8


def test_a_wrong_pin_costs_one_try_and_no_more(purse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIFU_PIN", "9999")
    file, before = record(purse, verify), tries(purse)
    code, said = run(file, "-r", "model:purse.card", "--yes")
    assert code == 1
    assert "another status word: 63C2 wrong; 2 tries left; recorded was 9000 done" in said
    assert "not sent: the card has deviated" in said
    assert tries(purse) == before - 1


def wrong(session: PurseSession) -> None:
    """A wrong PIN, then a look."""
    with pytest.raises(SaifuError):
        session.verify(WRONG)
    look(session)


def test_a_pin_that_was_wrong_is_not_sent_again(purse: Path) -> None:
    file, before = record(purse, wrong), tries(purse)
    with pytest.raises(InputError, match=r"item 3, VERIFY, cannot be sent again: the PIN .*; --skip-redacted"):
        run(file, "-r", "model:purse.card", "--yes")
    found = document(file, "-r", "model:purse.card", "--skip-redacted")
    assert verdicts(found) == [("SELECT", "same"), ("VERIFY", "left_out"), *[("GET DATA", "same")] * 2]
    assert tries(purse) == before


def test_before_a_pin_is_sent_it_is_said_that_a_try_may_go(purse: Path) -> None:
    file = record(purse, verify)
    assert "is item 3, VERIFY. A wrong PIN costs a try. Send" in run(file, "-r", "model:purse.card", stdin="y\n")[1]
    Path(file).unlink()
    assert "costs a try" not in run(record(purse, request), "-r", "model:purse.card", stdin="y\n")[1]


def test_no_pin_is_asked_for_if_it_is_to_be_left_out(purse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAIFU_PIN")
    found = document(record(purse, verify), "-r", "model:purse.card", "--skip-redacted")
    assert verdicts(found) == [("SELECT", "same"), *[("VERIFY", "left_out")] * 2]


def test_a_wrong_pin_in_a_trace_of_another_program_is_not_sent(purse: Path) -> None:
    """pcscd's trace has the PIN 1234, which was wrong then; here it would cost a try, or verify."""
    before = tries(purse)
    with pytest.raises(InputError, match="VERIFY, cannot be sent again: the PIN or key"):
        run(PCSCD, "-r", "model:purse.card", "--yes")
    assert ("VERIFY", "left_out") in verdicts(document(PCSCD, "-r", "model:purse.card", "--skip-redacted", "--yes"))
    assert tries(purse) == before


SECRET = bytes(range(0xB0, 0xB8))


@pytest.mark.parametrize(
    "header",
    ["00200080", "00210080", "00240081", "002C0081", "00280081", "A0200001", "80D80181", "80E28000", "FF820001",
     "00DA00D5", "00FE0000"],
)  # fmt: skip
def test_what_is_secret_is_not_sent_though_the_trace_has_it(purse: Path, header: str) -> None:
    command = bytes.fromhex(header) + bytes([8]) + SECRET
    file, before = written(Exchange(SELECT, None), Exchange(command, b"\x90\x00")), purse.read_bytes()
    with pytest.raises(InputError, match=r"item 2, .*, cannot be sent again: the PIN or key in it"):
        run(file, "-r", "model:purse.card", "--yes")
    found = document(file, "-r", "model:purse.card", "--yes", "--skip-redacted")
    assert [each["verdict"] for each in found["exchanges"]] == ["unknown", "left_out"]
    assert SECRET.hex().upper() not in json.dumps(found)
    assert purse.read_bytes() == before


def test_the_pin_of_a_trace_that_keeps_it_is_asked_for(purse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, before = record(purse, verify, secrets=True), tries(purse)
    monkeypatch.setenv("SAIFU_PIN", "9999")
    assert run(file, "-r", "model:purse.card", "--yes")[0] == 1
    assert tries(purse) == before - 1
    Path(file).unlink()


def test_a_trace_that_keeps_its_pins_shows_none(purse: Path) -> None:
    file = record(purse, verify, secrets=True)
    found = document(file, "-r", "model:purse.card", "--yes")
    assert found["count"]["same"] == 3
    assert "VERIFY" in run(file, "-r", "model:purse.card", "--yes")[1]
    Path(file).unlink()


def test_a_personalization_is_not_sent_again(purse: Path) -> None:
    assert purse.exists()
    image = Path("blank.card")

    def personalize(_: PurseSession) -> None:
        session = IssuerSession(recorder.connect(), lambda _: STATIC)
        data = IssuerData(ISSUER.parameters(2), ISSUER.keys, PIN, PUK)
        session.personalize(data, lambda point: (ISSUER.certificate(2, point), ISSUER.credit(2, 1)))

    before = image.read_bytes()
    with TraceFile(Path("t.jsonl"), "test") as trace:
        recorder = RecordingSlot(slot_of(image), trace)
        personalize(PurseSession(recorder.connect()))
        recorder.close()
    image.write_bytes(before)
    with pytest.raises(InputError, match=r"EXTERNAL AUTHENTICATE, cannot be sent again: .* counts .*, and \d+ others"):
        run("t.jsonl", "-r", "model:blank.card", "--yes")
    found = document("t.jsonl", "-r", "model:blank.card", "--yes", "--skip-redacted")
    sent = [name for name, verdict in verdicts(found) if verdict != "left_out"]
    assert set(sent) <= {"SELECT", "INITIALIZE UPDATE", "GET DATA"}
    slot = slot_of(image)
    assert PurseSession(slot.connect()).selected.status.state is LifeCycle.BLANK
    slot.close()


# --- which card, which slot -----------------------------------------------------------------------------------


def test_of_several_slots_one_is_chosen(purse: Path) -> None:
    assert purse.exists()
    file = written(Exchange(STATUS, b"\x69\x85", "left"), Exchange(SELECT, b"\x6a\x82", "right"))
    with pytest.raises(InputError, match=r"choose one of 'left', 'right' with --slot NAME$"):
        run(file, "-r", "model:purse.card")
    with pytest.raises(InputError, match=r"choose one of 'left', 'right' with replay:FILE#SLOT$"):
        run(file, "--slot", "left", "-r", f"replay:{file}")
    for chosen in (("t.jsonl", "--slot", "left"), ("t.jsonl#left",)):
        assert verdicts(document(*chosen, "-r", "model:purse.card")) == [("GET DATA", "same")]


def test_a_card_that_is_not_there_is_told() -> None:
    with pytest.raises(StoreError, match=r"nothing\.card"):
        run(written(Exchange(STATUS, None)), "-r", "model:nothing.card")


def test_the_replay_is_recorded_as_any_other_command(purse: Path) -> None:
    file = record(purse, look, look)
    with TraceFile(Path("again.jsonl"), "test") as trace:
        token = TRACE.set(trace)
        document(file, "-r", "model:purse.card")
        TRACE.reset(token)
    first, second = ([_timeless(each) for each in load(name).sessions] for name in (file, "again.jsonl"))
    assert first == second
    assert first[0][0] == answer_to_reset(Protocol.T1)


def _timeless(session: Session) -> tuple[bytes, list[tuple[bytes, bytes | None]]]:
    return session.atr, [(said.command, said.response) for _, said in session.exchanges]
