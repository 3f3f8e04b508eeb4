"""The model of traces: plain values that compare and never change."""

from dataclasses import FrozenInstanceError

import pytest

from apdu.trace.model import Exchange, Item, Remark, Reset


def test_what_is_not_known_is_left_open() -> None:
    assert Exchange(b"\x00", None) == Exchange(b"\x00", None, "", None, None, ())
    assert Reset() == Reset(b"", "", None)
    assert Remark("said") == Remark("said", "", None)


def test_an_answer_of_no_bytes_is_not_no_answer() -> None:
    assert Exchange(b"\x00", b"") != Exchange(b"\x00", None)


@pytest.mark.parametrize("item", [Exchange(b"\x00", None), Reset(), Remark("said")])
def test_items_never_change(item: Item) -> None:
    for name in ("slot", "time"):
        with pytest.raises(FrozenInstanceError):
            setattr(item, name, None)
