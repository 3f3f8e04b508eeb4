"""Whoever lets go of a card resets it first, whatever happens: another program that waits finds nothing in it.

Real processes at real drivers. The other program is connected in shared mode the whole time, takes the card up with
SCARD_LEAVE_CARD and asks it; the card itself tells what was done to it, and in which order.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.session import pin_block
from host.virtual.parts import find_driver
from tests.host.virtual.programs import CONNECTIONS, Other, Running, reader_with
from tests.host.virtual.witness_card import events, fall_silent
from tests.saifu.shell import PIN, Shell

pytestmark = pytest.mark.pcsc

SELECT, PAY, RECEIVE, VERIFY = "00a40400", "80320000", "80340000", "00200081"
GET_RESPONSE = "00c00000"
STATUS, IS_VERIFIED = "00CA010000", "00200081"
OK, NOT_SELECTED = "9000", "6985"
OFF = ["reset", "power off"]
SECONDS = 30


@pytest.fixture
def connection(request: pytest.FixtureRequest) -> str:
    """vpcd, unless a test wants the others too."""
    name = getattr(request, "param", "vpcd")
    if "libccid" in name and find_driver("serial/libccidtwin.so") is None:
        pytest.skip("needs libccid")
    return str(name)


everywhere = pytest.mark.parametrize("connection", CONNECTIONS, indirect=True)


@pytest.fixture
def aoi(shell: Shell) -> Path:
    return shell.folder / "aoi.card"


@pytest.fixture
def shop(shell: Shell) -> Path:
    return shell.folder / "shop.card"


@pytest.fixture
def running(connection: str, aoi: Path, shop: Path) -> Iterator[Running]:
    """Aoi's card, which holds 100.00, in slot 1, and the shop's in slot 2."""
    with reader_with(connection, aoi, shop) as running:
        yield running


@pytest.fixture
def other(running: Running) -> Iterator[Other]:
    """Another program at Aoi's card, from before to after."""
    with running.other() as other:
        yield other


def is_as_new(other: Other) -> None:
    """The card is reset: neither a purse selected nor its PIN verified, as it says itself, with power or without."""
    other.does(f"again {Other.LEAVE}")
    assert not any(other.does(command).endswith(OK) for command in (STATUS, IS_VERIFIED))
    assert other.does(f"again {Other.RESET}") == "0"
    assert [other.does(command) for command in (STATUS, IS_VERIFIED)] == [NOT_SELECTED] * 2


def after(image: Path, last: str) -> list[str]:
    """What was done to the card after the last command with this header, and its answer at T=0."""
    done = [each for each in events(image) if each != GET_RESPONSE]
    return done[len(done) - done[::-1].index(last) :]


def until(holds: Callable[[], bool]) -> None:
    """Wait for what has to come."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@everywhere
def test_after_a_sale_with_a_pin(shell: Shell, running: Running, other: Other, aoi: Path) -> None:
    ran = shell.process("pos", "sell", "51", "-r", "0", "-m", "1", env=running.environment)
    assert (ran.code, ran.err) == (0, "")
    assert VERIFY in events(aoi)
    assert after(aoi, "80360000") == OFF
    is_as_new(other)


@everywhere
def test_after_an_error_in_the_middle(shell: Shell, running: Running, other: Other, aoi: Path, shop: Path) -> None:
    fall_silent(shop, "34!")
    ran = shell.process("pos", "sell", "51", "-r", "0", "-m", "1", env=running.environment)
    assert ran.code == 6, ran
    assert after(aoi, PAY) == OFF
    is_as_new(other)


@contextmanager
def in_the_middle(shell: Shell, running: Running, shop: Path) -> Iterator["subprocess.Popen[str]"]:
    """A sale whose PIN is verified, and that waits for the shop's card."""
    fall_silent(shop, "34")
    with shell.start("pos", "sell", "51", "-r", "0", "-m", "1", env=running.environment) as process:
        until(lambda: RECEIVE in events(shop))
        yield process


@everywhere
def test_after_ctrl_c(shell: Shell, running: Running, other: Other, aoi: Path, shop: Path) -> None:
    with in_the_middle(shell, running, shop) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    running.eject(2)  # libccid does nothing for the one slot while it waits for the card in the other
    until(lambda: after(aoi, PAY)[:1] == OFF[:1])
    is_as_new(other)


@everywhere
def test_after_kill_9_the_daemon_resets_the_card(
    shell: Shell, running: Running, other: Other, aoi: Path, shop: Path
) -> None:
    with in_the_middle(shell, running, shop) as process:
        process.kill()
    running.eject(2)
    until(lambda: after(aoi, PAY)[:1] == OFF[:1])
    is_as_new(other)


COMMANDS = {
    "card show -r 0": "",
    "card history -r 0": "",
    "apdu - -r 0": "00A4040006F05341494655\n0020008108FFFFFFFFFFFFFFFF\n",
    "terminal check -r 0": "",
    "remit 51 -r 0 --to 1": "",
    "atm load 1 -r 0": "",
    "atm deposit 51 -r 0": "",
    "atm renew -r 0": "",
}


@pytest.mark.parametrize("line", COMMANDS)
def test_after_any_command(shell: Shell, running: Running, other: Other, aoi: Path, line: str) -> None:
    ran = shell.process(*line.split(), stdin=COMMANDS[line], env=running.environment)
    assert ran.code == 0, ran
    assert SELECT in events(aoi)
    assert events(aoi)[-2:] == OFF
    is_as_new(other)


def test_after_a_replay_with_its_pin(shell: Shell, running: Running, other: Other, aoi: Path) -> None:
    line = ("apdu", "-", "-r", "0")
    typed = f"00A4040006F05341494655\n{VERIFY}08{pin_block(PIN).hex()}\n"
    recorded = shell.process("--trace", "t.jsonl", *line, stdin=typed, env=running.environment)
    assert recorded.code == 0, recorded
    ran = shell.process("trace", "replay", "t.jsonl", "-r", "0", "--yes", env=running.environment)
    assert ran.code == 0, ran
    assert after(aoi, VERIFY) == OFF
    is_as_new(other)


def test_after_a_personalization_with_its_channel(shell: Shell) -> None:
    spare = shell.folder / "spare.card"
    with reader_with("vpcd", spare) as running, running.other() as other:
        ran = shell.process("personalize", "one", "-r", "0", "--holder", "Dai", env=running.environment)
        assert ran.code == 0, ran
        assert events(spare)[-2:] == OFF
        is_as_new(other)


def test_after_a_conformance_run(shell: Shell) -> None:
    blank = shell.folder / "blank.card"
    shell.good("conform", "blank", blank)
    with reader_with("vpcd", blank) as running, running.other() as other:
        ran = shell.process("conform", "-r", "0", "--clause", "VERIFY", env=running.environment)
        assert ran.code == 0, ran
        assert events(blank)[-2:] == OFF
        is_as_new(other)
