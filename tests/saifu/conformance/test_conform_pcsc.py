"""The whole suite over real pcscd and real drivers: vpcd, and libccid's serial driver at T=1 and T=0."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.saifu.shell import Ran, Shell

pytestmark = [pytest.mark.pcsc, pytest.mark.slow]

CONNECTIONS = {
    "vpcd": ("T=1", ()),
    "libccid at T=1": ("T=1", ("--driver", "ccid", "--protocol", "T=1")),
    "libccid at T=0": ("T=0", ("--driver", "ccid", "--protocol", "T=0")),
}


@contextmanager
def reader(shell: Shell, *options: str) -> Iterator[dict[str, Any]]:
    """A virtual reader in a process of its own; what it announced."""
    process = shell.start("reader", "run", "--json", *options)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.communicate(timeout=60)


def conform(shell: Shell, running: dict[str, Any], *options: str) -> Ran:
    environment = {"PCSCLITE_CSOCK_NAME": running["socket"]}
    return shell.process("conform", "--reader", running["slots"][0]["reader"], "--json", *options, env=environment)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_the_model_keeps_every_promise_behind_a_driver(connection: str, tmp_path: Path) -> None:
    protocol, options = CONNECTIONS[connection]
    shell = Shell(tmp_path)
    shell.good("conform", "blank", "one.card", "--history", "16")
    with reader(shell, *options, "one.card") as running:
        ran = conform(shell, running)
        report = ran.document
        assert [each for each in report["results"] if each["outcome"] == "failed"] == []
        assert (ran.code, report["card"]) == (0, f"{protocol}, 16 records, 4 unsettled transfers")
        assert report["coverage"]["rows"] == report["coverage"]["of_rows"]
        assert report["counts"]["passed"] > 250
        again = conform(shell, running, "--clause", "PAY")
        assert again.code == 0, again.out
