"""What the samples of tests/vectors/traces say: the same session, told by many programs."""

from dataclasses import dataclass
from pathlib import Path

from apdu.trace.model import Exchange, Item, Remark, Reset

FOLDER = Path(__file__).resolve().parents[3] / "vectors" / "traces"
ATR = bytes.fromhex("3B8B0180738621C065534149465533")
SLOTS = ("saifu virtual reader 00 00", "saifu virtual reader 00 01")

SELECT = "00A4040006F0534149465500"
FCI = "6F1E8406F05341494655A5148006000100000001810A050000002710000000009000"
STATUS = "8006000100000001810A050000002710000000009000"


def session(pin: str) -> list[tuple[bytes, bytes]]:
    """Commands and answers of every sample; the tries of the PIN went down from one to the next."""
    pairs = [
        (SELECT, FCI),
        ("00CA010000", STATUS),
        ("00B2010400", "6A86"),
        ("00CA0F0000", "6A88"),
        ("80300000020102", "6A80"),
        ("0020008108313233343536FFFF", pin),
        ("00CA9F7F00", "6A88"),
    ]
    return [(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in pairs]


@dataclass(frozen=True, slots=True)
class Sample:
    """A file and what must come out of it: form, slot, answer to VERIFY, resets with and without their answer."""

    file: str
    form: str
    slot: str = SLOTS[0]
    pin: str = "6983"
    atrs: tuple[bytes, ...] = (ATR,)
    timed: bool = True
    again: bool = False
    """GET DATA 0100 once more at the end."""

    @property
    def raw(self) -> bytes:
        return (FOLDER / self.file).read_bytes()

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        pairs = session(self.pin)
        if self.slot == SLOTS[1]:
            person = [answer.replace(b"\1\x81", b"\2\x81").replace(b"\x27\x10", bytes(2)) for _, answer in pairs]
            pairs = [(command, answer) for (command, _), answer in zip(pairs, person, strict=True)]
        return [*pairs, pairs[1]] if self.again else pairs


SAMPLES = (
    Sample("pcscd.txt", "pcscd", "", "63C2", ()),
    Sample("pcscd-debug.txt", "pcscd", "", "63C2", (ATR, ATR, ATR)),
    Sample("pcsc-spy.txt", "pcsc-spy", atrs=(ATR, ATR)),
    Sample("pcsc-spy-display.txt", "pcsc-spy display", atrs=(ATR, ATR)),
    Sample("opensc-0.23.txt", "opensc", SLOTS[1], "63C1"),
    Sample("opensc-tool-vvv.txt", "opensc", pin="63C1", atrs=(b"",)),
    Sample("opensc-0.15.txt", "opensc", pin="63C2"),
    Sample("gp.txt", "gp"),
    Sample("apdu4j-0.0.37.txt", "apdu4j"),
    Sample("apdu4j-21.05.06.txt", "apdu4j"),
    Sample("cardpeek.txt", "cardpeek", "", "63C2", timed=False),
    Sample("scriptor.txt", "scriptor", "", timed=False, again=True),
    Sample("scriptor-file.txt", "scriptor", "", timed=False, again=True),
    Sample("pyscard.txt", "pyscard", atrs=(b"",), timed=False),
)
CAPTURES = ("gsmtap-ethernet.pcap", "gsmtap-ethernet-ns.pcap", "gsmtap-cooked.pcapng")


def exchanges(items: list[Item]) -> list[Exchange]:
    return [item for item in items if isinstance(item, Exchange)]


SESSION: list[Item] = [
    Reset(ATR, SLOTS[0], 1795309766.25),
    *[
        Exchange(command, answer, SLOTS[number % 2], 1795309767.0 + number / 8, 0.000247)
        for number, (command, answer) in enumerate(session("63C2"))
    ],
    Exchange(b"\x00\x20\x00\x81\x08" + bytes(8), b"\x90\x00", SLOTS[0], None, None, (("command", 5, 13),)),
    Exchange(bytes.fromhex("00B2010400"), None, SLOTS[1], 1795309769.0, 1.5),
    Remark("the card was taken out", SLOTS[1], 1795309770.5),
]
"""A session over two slots with all that an own trace can tell: reset, blanked bytes, no answer, remark."""
