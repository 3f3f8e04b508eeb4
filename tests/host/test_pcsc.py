"""What host.pcsc does without a reader; with one: tests/host/virtual/test_pcsc_slot.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WITHOUT_PYSCARD = """
import sys
sys.modules["smartcard"] = None
from apdu.errors import PcscUnavailableError
from host.pcsc import PcscSlot, find_reader, list_readers
slot = PcscSlot("any")
for use in (list_readers, lambda: find_reader("0"), slot.connect, slot.eject):
    try:
        use()
    except PcscUnavailableError as error:
        print(error)
slot.close()
"""

WITHOUT_SERVICE = """
from apdu.errors import PcscUnavailableError
from host.pcsc import PcscSlot, list_readers
for use in (list_readers, PcscSlot("any").connect):
    try:
        use()
    except PcscUnavailableError as error:
        print(error)
"""


def lines_of(program: str, **environment: str) -> list[str]:
    line = [sys.executable, "-c", program]
    done = subprocess.run(line, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_without_pyscard_the_module_is_there_and_says_what_to_do() -> None:
    said = lines_of(WITHOUT_PYSCARD)
    assert len(said) == 4
    assert all("pyscard" in line and "saifu doctor" in line and "model:FILE" in line for line in said)


@pytest.mark.pcsc
def test_without_a_service_it_says_that_none_answers_and_not_that_one_was_lost(tmp_path: Path) -> None:
    said = lines_of(WITHOUT_SERVICE, PCSCLITE_CSOCK_NAME=str(tmp_path / "nobody"))
    assert said == ["the PC/SC service does not answer: `saifu doctor` says what is missing"] * 2


@pytest.mark.pcsc
def test_the_numbers_of_pcsc_are_pyscards() -> None:
    """The table is written in numbers, so that it can be read without pyscard."""
    from smartcard import scard as theirs

    from host import held_card, pcsc, scard

    names = {
        scard: {
            "_INVALID_HANDLE": "E_INVALID_HANDLE",
            "_NO_SERVICE": "E_NO_SERVICE",
            "_SERVICE_STOPPED": "E_SERVICE_STOPPED",
            "_COMM_ERROR": "F_COMM_ERROR",
            "NO_READERS": "E_NO_READERS_AVAILABLE",
            "TIMEOUT": "E_TIMEOUT",
            "_SHARING_VIOLATION": "E_SHARING_VIOLATION",
            "_NO_SMARTCARD": "E_NO_SMARTCARD",
            "_REMOVED_CARD": "W_REMOVED_CARD",
            "RESET_CARD": "W_RESET_CARD",
        },
        held_card: {
            "_SHARE_SHARED": "SHARE_SHARED",
            "_RESET": "RESET_CARD",
            "_UNPOWER": "UNPOWER_CARD",
            "_EJECT": "EJECT_CARD",
            "_CHARACTERISTICS": "ATTR_CHARACTERISTICS",
        },
        pcsc: {"_STATE_CHANGED": "STATE_CHANGED", "_STATE_PRESENT": "STATE_PRESENT"},
    }
    for module, known in names.items():
        ours = {name: getattr(module, name) for name in known}
        assert ours == {name: getattr(theirs, f"SCARD_{other}") & 0xFFFFFFFF for name, other in known.items()}
