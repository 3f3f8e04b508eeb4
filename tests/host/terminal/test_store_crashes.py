"""kill -9 at every step, two at once, a full disk: the terminal has the old list or the new one, and goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest

from apdu.errors import StoreError
from apdu.money import currency
from broadcast.bearers.sound import SYMBOL_SIZE, SoundTransmitter
from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.modulator import modulate
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.listening import Listener
from host.terminal.trust import Trust
from saifu.exit_codes import exit_code
from tests.issuer import Issuer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork, SIGKILL and limits of POSIX")

ROOT = Path(__file__).parents[3]


def rounds(what: str, folder: Path) -> list[Any]:
    """What tests.host.terminal.killed reports."""
    program = [sys.executable, "-m", "tests.host.terminal.killed", what, str(folder)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_at_any_step_the_store_opens_with_the_old_content_or_the_new_and_goes_on(tmp_path: Path) -> None:
    from tests.host.terminal.killed import FILES, STATES

    states = json.loads(json.dumps(STATES))
    reports = rounds("killed", tmp_path)
    assert len(reports) > 100
    for report in reports:
        found, afterwards, files = report["looked"]
        assert found in states[report["done"] : report["done"] + 2], report
        assert afterwards == states[-1], report
        assert set(files) == FILES, report
    assert {report["status"] for report in reports[:-1]} == {signal.SIGKILL}
    assert (reports[-1]["status"], reports[-1]["done"]) == (0, len(STATES) - 1)
    assert {report["done"] for report in reports} == set(range(len(STATES)))
    assert sum(report["looked"][0] == states[report["done"] + 1] for report in reports[:-1]) >= len(STATES) - 1


def test_two_processes_at_once_never_mix_and_never_go_back(tmp_path: Path) -> None:
    *racers, end = rounds("raced", tmp_path)
    for racer in racers:
        assert racer["status"] == 0, racer
        assert racer["numbers"] == sorted(racer["numbers"])
    assert end == {"state": [24, 24, [], 0], "files": ["edition", "store.lock", "trust.json"]}


def test_on_a_full_disk_the_old_list_stays_with_a_clear_error_and_later_the_new_one_comes(tmp_path: Path) -> None:
    (report,) = rounds("full", tmp_path)
    assert [line.partition(": ")[0] for line in report["told"]] == [f"{tmp_path}/edition cannot be written"] * 3
    assert (report["state"], report["same"]) == ([1, 1, [1], 700], 1)
    assert not [name for name in report["files"] if name.startswith(".")]
    assert report["afterwards"] == [3, 3, [1], 700]


# --- the command that listens ------------------------------------------------------------------------------

ISSUER, KEY = Issuer(), CipherKey(1, bytes(range(32)))
LISTS = {0: [], 1: [5, 6], 2: [5, 6, 7], 3: [6, 7]}


def recorded(folder: Path) -> list[bytes]:
    """A recording of three editions, the first as a full list, then two steps; and a terminal to hear it."""
    now = int(Path(folder).stat().st_mtime)
    one, two, three = (ISSUER.edition(number, *LISTS[number], time=now) for number in (1, 2, 3))
    contents = [(1, 0, one.content()), (2, 1, two.delta_from(one)), (3, 1, three.delta_from(two))]
    objects = [OnAir(number, span, KEY, modulate(content, KEY)) for number, span, content in contents]
    packets = [packet for one_of in objects for packet in Carousel([one_of], SYMBOL_SIZE).bundle()[0]]
    with SoundTransmitter(folder / "list.wav") as transmitter:
        transmitter.send(packets)
    store = BlacklistStore.import_trust(folder / "new" / "terminal", Trust(1, currency("EUR"), ISSUER.keys).encode())
    store.import_cipher_keys(CipherKeys(1, "terminals", (KEY,)).encode())
    return packets


def listen(home: Path, recording: Path) -> list[str]:
    return [sys.executable, "-m", "saifu", "--home", str(home), "terminal", "listen", "--air", f"sound:{recording}"]


def started(home: Path, recording: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(listen(home, recording), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ended(process: subprocess.Popen[bytes], seconds: float | None) -> int:
    """How it ended, killed after a time if it did not end before."""
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        _, said = process.communicate()
    assert b"Traceback" not in said
    return process.returncode


def as_it_is(home: Path) -> int:
    """Number of the edition that is in force; the list must be that edition's, and whole."""
    store = BlacklistStore(home / "terminal")
    assert (store.edition.serials.tolist() if store.edition else []) == LISTS[store.number]
    return store.number


@pytest.mark.air
@pytest.mark.slow
def test_a_terminal_that_is_killed_while_it_listens_has_one_of_the_editions_and_takes_the_rest_later(
    tmp_path: Path,
) -> None:
    packets, random = recorded(tmp_path), Random(1)
    began = monotonic()
    assert ended(started(tmp_path / "new", tmp_path / "list.wav"), 60) == 0
    assert as_it_is(tmp_path / "new") == 3
    takes = monotonic() - began
    for number in range(20):
        home = tmp_path / str(number)
        (home / "terminal").mkdir(parents=True)
        for name in ("trust.json", "cipher-keys.json"):
            shutil.copy(tmp_path / "new" / "terminal" / name, home / "terminal" / name)
        status = ended(started(home, tmp_path / "list.wav"), takes * random.uniform(0.4, 1))
        assert status in (0, -signal.SIGKILL)
        before = as_it_is(home)
        listener = Listener(BlacklistStore(home / "terminal"), lambda _: None)
        for packet in packets:
            listener.take(packet)
            assert as_it_is(home) >= before
        assert as_it_is(home) == 3
        assert not [name for name in os.listdir(home / "terminal") if name.startswith(".")]


@pytest.mark.air
def test_a_terminal_that_listens_with_a_full_disk_says_so_and_keeps_its_list(tmp_path: Path) -> None:
    """No file may grow beyond a block of 512 or 1024 bytes."""
    recorded(tmp_path)
    home, now = tmp_path / "new", int(tmp_path.stat().st_mtime)
    BlacklistStore(home / "terminal").import_edition(ISSUER.edition(1, *LISTS[1], time=now).encode())
    long = ISSUER.edition(9, *range(2000), time=now)
    with SoundTransmitter(tmp_path / "long.wav") as transmitter:
        transmitter.send(Carousel([OnAir(9, 0, KEY, modulate(long.content(), KEY))], SYMBOL_SIZE).bundle()[0])
    limited = ["sh", "-c", 'ulimit -f 1 && exec "$@"', "sh", *listen(home, tmp_path / "long.wav")]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (exit_code(StoreError("")), b"")
    assert b"edition cannot be written: File too large" in done.stderr
    assert as_it_is(home) == 1
    assert not [name for name in os.listdir(home / "terminal") if name.startswith(".")]
