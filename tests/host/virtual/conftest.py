"""The virtual reader, once for all tests of a process, because libpcsclite looks for its daemon once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apdu.identity import Role
from host.model import CardFile, create_card
from host.virtual.reader import VirtualReader
from tests.host.virtual.echo_card import ATR_T0, ATR_T1, PROGRAM
from tests.issuer import CHIP, Issuer

WAIT_FOR_CARDS = """if True:
    from host.pcsc import PcscSlot, list_readers
    assert all(PcscSlot(reader.name).wait_for_card(seconds=20) for reader in list_readers())
"""
"""A program that ends once there is a card in every reader."""


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


@pytest.fixture
def purses(tmp_path: Path) -> list[Path]:
    """A float with 100.00 and an empty purse, as image files."""
    issuer = Issuer()
    images = [tmp_path / "float.card", tmp_path / "person.card"]
    for serial, (image, money) in enumerate(zip(images, (10_000, 0), strict=True), 1):
        create_card(image, CHIP, 64, 4)
        card = CardFile(image)
        issuer.personalize(card, issuer.parameters(serial, Role.FLOAT if money else Role.PERSON, money))
        card.close()
    return images
