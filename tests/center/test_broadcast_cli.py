"""saifu center broadcast, editions and cipher keys: what is said, what is left, and how it ends."""

import json
import re
import signal
from pathlib import Path

import pytest

from broadcast.cipher_key import CipherKeys
from tests.host.town_shell import AOI, BOTAN, Sender, TownShell, free_port
from tests.saifu.shell import PASSPHRASE, Ran

RECORDING = "sound:list.wav"
air = pytest.mark.air


def left(shell: TownShell) -> set[str]:
    return set(shell.files())


def failed(ran: Ran, code: int, said: str) -> None:
    """With this code and text, last of all that was said, and nothing on standard output."""
    assert (ran.code, ran.out) == (code, "")
    assert re.search(f"^saifu: .*{said}", ran.err, re.MULTILINE), ran.err


# --- cipher keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_cipher_keys_go_into_a_file_for_its_owner_alone(shell: TownShell, form: list[str]) -> None:
    for command, numbers in (("cipher-keys", [1]), ("roll-cipher-key", [1, 2]), ("retire-cipher-key 1", [2])):
        ran = shell.good("center", *command.split(), "--out", "out.json", *form)
        file = shell.folder / "out.json"
        assert file.stat().st_mode & 0o777 == 0o600
        keys = CipherKeys.decode(file.read_text())
        assert (keys.issuer, keys.group, [key.number for key in keys.keys]) == (1, "terminals", numbers)
        listing = ", ".join(map(str, numbers))
        text = f"group terminals, cipher keys {listing}: out.json; give it to this group's terminals only\n"
        document = json.dumps({"group": "terminals", "cipher_keys": numbers, "file": "out.json"}) + "\n"
        assert (ran.out, ran.err) == (document if form else text, "")


def test_a_file_of_keys_is_whole_or_not_there(shell: TownShell) -> None:
    (shell.folder / "file").write_text("")
    before = left(shell)
    failed(shell.run("center", "cipher-keys", "--out", "file/keys.json"), 9, "keys.json")
    failed(shell.run("center", "cipher-keys", "--out", "home"), 2, "home is there already, and is not a file of cipher")
    assert left(shell) == before


@pytest.mark.parametrize(("line", "code", "said"), [
    ("retire-cipher-key 1", 5, "the last of group terminals: roll over first"),
    ("retire-cipher-key 2", 5, "no active cipher key 2"),
    ("retire-cipher-key 1 --group north", 5, "no active cipher key 1"),
    ("retire-cipher-key 0", 2, "'0' is no number from 1 to 65535"),
    ("cipher-keys --group a/b", 2, "the name of a group"),
    ("roll-cipher-key --group #", 2, "the name of a group"),
])  # fmt: skip
def test_keys_that_cannot_be_had_leave_nothing(shell: TownShell, line: str, code: int, said: str) -> None:
    before = left(shell)
    failed(shell.run("center", *line.split(), "--out", "out.json"), code, said)
    assert left(shell) == before


def test_each_group_has_keys_of_its_own(shell: TownShell) -> None:
    shell.good("center", "cipher-keys", "--group", "north", "--out", "north.json")
    one, other = (CipherKeys.decode((shell.folder / name).read_text()) for name in ("keys.json", "north.json"))
    assert one.keys != other.keys
    shell.good("center", "cipher-keys", "--group", "north", "--out", "again.json")
    assert (shell.folder / "again.json").read_text() == (shell.folder / "north.json").read_text()


# --- editions ----------------------------------------------------------------------------------------------


def test_editions_and_what_each_changed_and_why(shell: TownShell) -> None:
    assert shell.good("center", "editions").out == "nothing was published yet\n"
    shell.good("center", "report-stolen", AOI.text, "--reason", "lost on the bus")
    shell.publish(BOTAN)
    shell.good("center", "report-found", AOI.text, "--reason", "was at home")
    shell.publish()
    shell.publish()
    day = r"\d{4}-\d\d-\d\d \d\d:\d\d"
    rows = shell.good("center", "editions").out.splitlines()
    assert len(rows) == 3
    for number, count, row in zip((3, 2, 1), (1, 1, 2), rows, strict=True):
        assert re.fullmatch(rf"edition {number}  {day}  {count} cards? listed, \d+ bytes; next {day}", row)
    first = shell.good("center", "edition", "1").out.splitlines()
    assert re.fullmatch(rf"{AOI.text}  listed        {day}  lost on the bus", first[0])
    assert re.fullmatch(rf"{BOTAN.text}  listed        {day}  stolen", first[1])
    assert re.fullmatch(rf"{AOI.text}  off the list  {day}  was at home\n", shell.good("center", "edition", "2").out)
    assert shell.good("center", "edition", "3").out == "nothing changed\n"


def test_editions_as_json(shell: TownShell) -> None:
    assert shell.good("center", "editions", "--json").document == {"editions": []}
    shell.publish(AOI)
    (row,) = shell.good("center", "editions", "--json").document["editions"]
    size = (shell.home / "center" / "edition-1").stat().st_size
    assert (row["number"], row["listed"], row["size"], row["next"] - row["time"]) == (1, 1, size, 86400)
    document = shell.good("center", "edition", "1", "--json").document
    (change,) = document["changes"]
    assert document["edition"] == 1
    assert change == {"card": AOI.text, "kind": "stolen", "reason": "stolen", "date": change["date"]}


@pytest.mark.parametrize(("number", "code"), [("1", 5), ("0", 2), ("x", 2)])
def test_an_edition_that_never_was(shell: TownShell, number: str, code: int) -> None:
    failed(shell.run("center", "edition", number), code, r"never published|see: saifu center edition --help")


# --- broadcast: what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize("bearer", ["udp", "http:0", "sound:list.wav", "pager:list.wav", "mqtt:localhost:1"])
def test_before_the_first_edition_there_is_nothing_to_broadcast(shell: TownShell, bearer: str) -> None:
    before = left(shell)
    failed(shell.run("center", "broadcast", "--air", bearer), 5, "nothing was published yet .saifu center publish")
    assert left(shell) == before


@pytest.mark.parametrize(("bearer", "code", "said"), [
    ("", 2, "there are udp, sound, pager, mqtt and http"),
    ("smoke", 2, "there are udp, sound, pager, mqtt and http"),
    ("file:///etc/passwd", 2, "there are udp, sound, pager, mqtt and http"),
    ("udp:127.0.0.1", 2, "127.0.0.1 is not a multicast address"),
    ("udp::65536", 2, "'65536' is no port"),
    ("udp::0", 2, "there is no port 0"),
    ("udp::x", 2, "'x' is no port"),
    ("udp:@eth0", 2, "'eth0' is not an IPv4 address"),
    ("udp:@192.0.2.1", 10, "interface 192.0.2.1"),
    ("mqtt", 2, "the broker's name is wanted"),
    ("mqtt:", 2, "the broker's name is wanted"),
    ("mqtt:localhost:x", 2, "'x' is no port"),
    ("mqtt:localhost:0", 2, "no place for a broker"),
    ("pager", 2, "the name of a WAV file is wanted"),
    ("pager:nowhere/list.wav", 10, "nowhere/list.wav cannot be written"),
    ("sound:nowhere/list.wav", 10, "nowhere/list.wav cannot be written"),
    ("sound:home", 2, "home is there already, and is not a recording"),
    ("http", 2, "'' is no port"),
    ("http:x", 2, "'x' is no port"),
    ("http:65536", 2, "'65536' is no port"),
    ("http:192.0.2.1:0", 10, "192.0.2.1 port 0 cannot be served"),
    ("http://localhost:80", 2, "serves at http:PORT"),
    ("https:8443", 2, "with --certificate and --key it is https"),
])  # fmt: skip
def test_a_bearer_that_cannot_be_is_told(shell: TownShell, bearer: str, code: int, said: str) -> None:
    shell.publish(AOI)
    before = left(shell)
    failed(shell.run("center", "broadcast", "--air", bearer, "--seconds", "0"), code, said)
    assert left(shell) == before


@pytest.mark.parametrize(("bearer", "code", "said"), [
    ("", 2, "there are udp, sound, pager, mqtt and http"),
    ("udp:127.0.0.1", 2, "127.0.0.1 is not a multicast address"),
    ("udp::-1", 2, "'-1' is no port"),
    ("udp:@192.0.2.1", 10, "interface 192.0.2.1"),
    ("mqtt:", 2, "the broker's name is wanted"),
    ("pager:nowhere.wav", 10, "nowhere.wav"),
    ("http:8080", 2, "the service's address is wanted"),
    ("https://", 2, "the service's address is wanted"),
    ("http://127.0.0.1:1", 10, "cannot be reached"),
])  # fmt: skip
def test_a_bearer_that_cannot_be_is_told_at_the_terminal(shell: TownShell, bearer: str, code: int, said: str) -> None:
    before = left(shell)
    failed(shell.run("terminal", "listen", "--air", bearer, "--seconds", "0.1"), code, said)
    assert left(shell) == before


@air
def test_a_recording_that_is_not_there_is_told_at_the_terminal(shell: TownShell) -> None:
    failed(shell.run("terminal", "listen", "--air", "sound:nowhere.wav"), 10, "nowhere.wav: there is no such recording")


@pytest.mark.parametrize(("options", "said"), [
    ("--certificate keys.json", "HTTPS needs both"),
    ("--key keys.json", "HTTPS needs both"),
    ("--certificate keys.json --key keys.json", "cannot be used"),
    ("--certificate none.pem --key none.pem", "none.pem"),
    ("--seconds -1", "'-1' is no number from 0"),
    ("--rate 99", "'99' is no number from 100"),
])  # fmt: skip
def test_options_that_cannot_be_are_told(shell: TownShell, options: str, said: str) -> None:
    shell.publish(AOI)
    failed(shell.run("center", "broadcast", "--air", "http:0", "--seconds", "0", *options.split()), 2, said)


@pytest.mark.parametrize("command", ["center broadcast", "terminal listen"])
@pytest.mark.parametrize(("option", "content", "said"), [
    ("--login-file", None, "cannot be read as a login"),
    ("--login-file", "one secret line", "is not a login"),
    ("--login-file", "a\nsecret\nline", "is not a login"),
    ("--ca", None, "file"),
    ("--ca", "no PEM", "file"),
])  # fmt: skip
def test_files_for_the_line_that_are_none_are_told_without_what_is_in_them(
    shell: TownShell, command: str, option: str, content: str | None, said: str
) -> None:
    shell.publish(AOI)
    if content is not None:
        (shell.folder / "file").write_text(content)
    options = ["--air", "mqtt:127.0.0.1:1", "--seconds", "0.1", option, "file"]
    ran = shell.run(*command.split(), *options)
    failed(ran, 2, said)
    assert "secret" not in ran.err


def test_a_port_that_is_taken_is_told(shell: TownShell) -> None:
    shell.publish(AOI)
    with shell.sending("http:0") as sender:
        port = sender.place.rpartition(":")[2]
        ran = shell.run("center", "broadcast", "--air", f"http:{port}")
    failed(ran, 10, f"port {port} cannot be served: .*use another")


def test_a_group_that_was_never_given_keys_is_a_slip_of_the_pen(shell: TownShell) -> None:
    shell.publish(AOI)
    before = shell.files()
    ran = shell.run("center", "broadcast", "--air", "udp", "--group", "terminal", "--seconds", "0")
    failed(ran, 5, "there is no group terminal .saifu center cipher-keys --group terminal")
    assert shell.files() == before


def test_a_wrong_passphrase_is_asked_for_once_and_not_shown(shell: TownShell) -> None:
    (shell.folder / "phrase").write_text("a quite different phrase")
    ran = shell.run("center", "broadcast", "--air", "udp", "--passphrase-file", "phrase")
    failed(ran, 2, "passphrase does not open")
    assert "quite different" not in ran.err
    assert shell.run("center", "broadcast", "--air", "udp", env={"SAIFU_PASSPHRASE": None}).code == 2


def test_without_a_center_nothing_is_broadcast(tmp_path: Path) -> None:
    shell = TownShell(tmp_path)
    failed(shell.run("center", "broadcast", "--air", "udp"), 2, "there is no center here")
    assert left(shell) == set()


# --- broadcast: what is said -------------------------------------------------------------------------------


def test_a_broadcast_of_some_seconds_says_what_it_sent(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.publish(BOTAN)
    bearer = f"udp::{free_port()}"
    ran = shell.good("center", "broadcast", "--air", bearer, "--seconds", "0")
    assert ran.err == f"group terminals, keys 1, on the air: {bearer}\n"
    full, step = ran.out.splitlines()
    assert re.match(r"full list 2, key 1: \d+ packets, \d+ bytes, \d+\.\d times the object", full)
    assert re.match(r"step 1 to 2, key 1: \d+ packets, \d+ bytes, \d+\.\d times the object", step)


def test_a_broadcast_as_json_is_one_document(shell: TownShell) -> None:
    shell.publish(AOI)
    shell.publish(BOTAN)
    ran = shell.good("center", "broadcast", "--air", "http:0", "--seconds", "0", "--json")
    assert ran.err == ""
    document = ran.document
    assert (document["group"], document["air"]) == ("terminals", "http:0")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", document["place"])
    assert document["told"] == [f"group terminals, keys 1, on the line: {document['place']}"]
    objects = document["objects"]
    assert [(one["edition"], one["span"], one["key"], one["kind"]) for one in objects] == [
        (2, 0, 1, "full"),
        (2, 1, 1, "delta"),
    ]
    assert sum(one["packets"] for one in objects) == document["packets"] > 0
    assert sum(one["bytes"] for one in objects) == document["bytes"]
    assert abs(sum(one["share"] for one in objects) - 1) < 1e-5


@air
def test_a_recording_has_every_object_under_every_key(shell: TownShell) -> None:
    """And --seconds does not cut it short."""
    shell.publish(AOI)
    shell.publish(BOTAN)
    shell.good("center", "roll-cipher-key", "--out", "both.json")
    objects = shell.recorded(RECORDING, "--seconds", "0", "--json").document["objects"]
    names = [(one["key"], one["edition"], one["span"]) for one in objects]
    assert names == [(2, 2, 0), (2, 2, 1), (1, 2, 0), (1, 2, 1)]
    assert all(one["packets"] > 1.5 * one["symbols"] for one in objects)
    assert shell.listen(RECORDING).code == 0
    new = shell.terminal("newer", "both.json")
    assert new.listen(RECORDING).code == 0
    assert shell.listed == new.listed == [AOI.serial, BOTAN.serial]


@air
def test_publishing_makes_an_edition_when_there_is_something_new_and_no_other(shell: TownShell) -> None:
    for card in (AOI, BOTAN):
        shell.good("center", "report-stolen", card.text)
        for _ in range(2):
            shell.recorded(RECORDING, "--publish")
    editions = shell.good("center", "editions", "--json").document["editions"]
    assert [(one["number"], one["listed"]) for one in editions] == [(2, 2), (1, 1)]
    assert shell.listen(RECORDING).code == 0
    assert shell.listed == [AOI.serial, BOTAN.serial]


@pytest.mark.slow
def test_a_report_goes_on_the_air_while_it_broadcasts_and_publishes(shell: TownShell) -> None:
    shell.publish(AOI)
    with shell.sending("http:0", "--publish") as sender:
        shell.listen(sender.place, "--once")
        assert shell.listed == [AOI.serial]
        shell.good("center", "report-stolen", BOTAN.text)
        assert sender.line() == "now on the air: full list 2, key 1; step 1 to 2, key 1\n"
        shell.listen(sender.place, "--once")
        assert shell.listed == [AOI.serial, BOTAN.serial]
    ran = sender.stop()
    assert ran.code == 0
    assert ran.out.startswith("full list 2, key 1: ")


# --- how it ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bearer", ["udp", "http:0"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_broadcast_ends_well(shell: TownShell, bearer: str, number: signal.Signals) -> None:
    shell.publish(AOI)
    bearer = f"udp::{free_port()}" if bearer == "udp" else bearer
    with shell.sending(bearer) as sender:
        ran = sender.stop(number)
    if number is signal.SIGINT:
        assert ran.code == 0
        assert re.match(r"full list 1, key 1: \d+ packets?", ran.out)
    else:
        assert ran.code == -signal.SIGTERM
    assert ran.err == sender.first
    assert shell.publish(BOTAN) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listening_ends_well(shell: TownShell, number: signal.Signals) -> None:
    """With a list in force that came over the air, which stays whole."""
    shell.publish(AOI)
    with shell.sending(f"udp::{free_port()}") as sending:
        process = shell.start("terminal", "listen", "--air", sending.place)
        with process:
            listener = Sender(shell, process)
            assert listener.line() == "edition 1 is in force: 1 card listed, as a full list\n"
            ran = listener.stop(number)
    assert shell.listed == [AOI.serial]
    assert ran.err == ""
    if number is signal.SIGINT:
        assert ran.code == 0
        assert re.match(r"edition 1 is in force: current\npackets: \d+ received, .*1 whole\n$", ran.out)
    else:
        assert (ran.code, ran.out) == (-signal.SIGTERM, "")
    assert shell.good("terminal", "status", "--json").document["stale"] is None


@air
def test_a_recording_that_is_cut_short_does_not_take_the_place_of_the_one_before(
    shell: TownShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.publish(AOI)
    shell.recorded(RECORDING)
    before = (shell.folder / "list.wav").read_bytes()
    names = left(shell)
    monkeypatch.setattr("center.broadcasting._CHUNK", 1)
    monkeypatch.setattr("center.broadcast_cli._bars", lambda _: signal.raise_signal(signal.SIGINT))
    ran = shell.run("center", "broadcast", "--air", RECORDING)
    assert (ran.code, ran.out) == (130, "")
    assert (shell.folder / "list.wav").read_bytes() == before
    assert left(shell) == names


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_no_secret_is_among_the_arguments_of_a_process(shell: TownShell) -> None:
    shell.publish(AOI)
    with shell.sending("http:0") as sender:
        line = Path(f"/proc/{sender.process.pid}/cmdline").read_bytes()
    assert line.split(b"\0")[2:-1] == [b"saifu", b"center", b"broadcast", b"--air", b"http:0"]
    assert PASSPHRASE.encode() not in line
