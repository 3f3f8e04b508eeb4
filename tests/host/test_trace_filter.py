"""What can be typed into the filter of a trace."""

import pytest

from apdu.trace.model import Exchange, Remark, Reset
from apdu.trace.reading import Reading
from host.trace_filter import wanted

READINGS = [
    Reading(1, Reset(b"\x3b\x00", "Reader A")),
    Reading(2, Exchange(b"\0\xa4\4\0", b"\x90\0", "Reader A"), name="SELECT", what="the purse", outcome="9000: done"),
    Reading(3, Exchange(b"\x80\x32\0\0", b"\x95\4", "B"), name="PAY", what="2.50 EUR", outcome="9504 too little money"),
    Reading(4, Exchange(b"\x80\x32\0\0", None, "B"), name="PAY", outcome="no answer", unexpected=("gone",)),
    Reading(5, Exchange(b"\x84\xe2\0\0", b"\x90\0"), Exchange(b"\x80\xe2\0\0", b"\x6a\x80"), name="STORE DATA"),
    Reading(6, Remark("95 too little for Reader A")),
]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [1, 2, 3, 4, 5, 6]),
        ("unexpected", [4]),
        ("slot:reader", [1, 2]),
        ("slot:b", [3, 4]),
        ("sw:9504", [3]),
        ("SW:6A", [5]),
        ("sw:9", [2, 3]),
        ("sw:", []),
        ("ins:PAY", [3, 4]),
        ("ins:32", [3, 4]),
        ("ins:store", [5]),
        ("ins:", []),
        ("too LITTLE", [3, 6]),
        ("pay sw:95", [3]),
        ("reader:a", []),
        ("nothing", []),
    ],
)
def test_every_word_must_fit(text: str, numbers: list[int]) -> None:
    assert [reading.number for reading in READINGS if wanted(text)(reading)] == numbers
