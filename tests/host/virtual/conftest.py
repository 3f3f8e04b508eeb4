"""The virtual reader, once for all tests of a process, because libpcsclite looks for its daemon once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.virtual.reader import VirtualReader
from tests.host.virtual.echo_card import ATR_T0, ATR_T1, PROGRAM


@pytest.fixture(scope="session")
def virtual_reader() -> Iterator[VirtualReader]:
    with VirtualReader(PROGRAM) as reader:
        yield reader


@pytest.fixture
def reader(virtual_reader: VirtualReader) -> Iterator[VirtualReader]:
    """The virtual reader with both slots empty, before and after."""
    yield virtual_reader
    if not virtual_reader.pcscd.running:
        virtual_reader.pcscd.start()
    for content in virtual_reader.slots:
        if content.image is not None:
            virtual_reader.eject(content.slot)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two echo cards that speak T=1."""
    return [atr_file(tmp_path / f"echo{number}", ATR_T1) for number in (1, 2)]


@pytest.fixture
def t0_image(tmp_path: Path) -> Path:
    return atr_file(tmp_path / "echo-t0", ATR_T0)


def atr_file(path: Path, atr: bytes) -> Path:
    path.write_text(atr.hex())
    return path
