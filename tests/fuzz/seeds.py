"""What mutation begins with: the samples of real programs, what saifu writes, and words that parsers stumble over."""

import re
from collections.abc import Iterator
from functools import cache

from apdu.trace import own
from apdu.trace.detection import FORMS, Form
from apdu.trace.model import Exchange
from tests.apdu.trace.forms.samples import CAPTURES, FOLDER, SAMPLES, SESSION

__all__ = ["ODD", "seeds", "words"]

ODD = (
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff\xfe\xef\xbb\xbf",
    b"\x1b[31m",
    b" " * 50,
    b"9" * 20,
    b"9" * 5000,
    b"-1",
    b"1e999",
    b"0x" + b"F" * 16,
    b"F" * 600,
    b"00 " * 300,
    "٣٣".encode(),
    "\u2028…".encode(),
    b"\xff\xff\xff\xff",
    b"\0\0\0\x80",
    b"[" * 3000,
    b'"\\ud800"',
    b"(.*)" * 9,
)
"""Numbers, ends of lines, digits and brackets that are unusual."""

_PIECE = 1500
"""Bytes of a piece of a long sample, for inputs that are short and quick."""
_FOREIGN = (
    ("00A4040007A0000000031010", "6F1A8407A0000000031010A50F500456495341870101BF0C03DF01019000"),
    ("80A8000002830000", "770E82025800940808010100100103009000"),
    ("00B2010C00", "701757114761739001010010D2512201123456789000005F24032512319000"),
    ("80CA9F3600", "9F360200019000"),
    (
        "80AE80001D000000000100000000000000097800000000000978221122000102030405",
        "80128000015566778899AABBCC06010A03A0B8009000",
    ),
    ("00A4040008A000000151000000", "6F108408A000000151000000A5049F6501FF9000"),
    ("8050000008404142434445464700", "00000000000000000000FF0300" + "11" * 16 + "9000"),
    ("84F24002124F005C054F9F70C5C4" + "22" * 8 + "00", "E3144F08A0000001510000009F70010FC5039EFE809000"),
    ("84E600801F07A0000000031010" + "00" * 24, "6982"),
)
"""Commands and answers of payment cards (EMV) and GlobalPlatform, made by hand."""


def _recorded() -> bytes:
    """What a recording has: commands and answers in lines of their own, and the cut of a crash."""
    rows = [own.header("fuzz"), own.encode(SESSION[0])]
    for item in SESSION:
        if isinstance(item, Exchange):
            rows += [own.encode_sent(item), own.encode_answer(item)]
    return "\n".join([*rows, rows[-1][:20], *rows[:4]]).encode()


def _of_form(form: Form) -> Iterator[bytes]:
    if form.write is not None:
        for scene in (SESSION, SESSION[:2]):
            yield b"".join(form.write(scene))
    if form.name == "saifu":
        yield _recorded()
    if form.name == "gsmtap":
        yield from ((FOLDER / name).read_bytes() for name in CAPTURES)
    yield from (sample.raw for sample in SAMPLES if sample.form == form.name)


def _pieces(raw: bytes) -> Iterator[bytes]:
    """A long text whole, and in pieces of whole lines."""
    yield raw
    while len(raw) > 2 * _PIECE and b"\n" in raw[_PIECE:]:
        at = raw.index(b"\n", _PIECE) + 1
        yield raw[:at]
        raw = raw[at:]


def _inspected() -> Iterator[bytes]:
    """Payments between cards of the model, and cards of others, in saifu's form."""
    payments = (FOLDER / "saifu-payments.txt").read_bytes().splitlines(keepends=True)
    yield from (b"".join([payments[0], *payments[at : at + 12]]) for at in range(1, len(payments), 6))
    foreign = [Exchange(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in _FOREIGN]
    rows = [own.header("fuzz"), *map(own.encode, foreign)]
    yield "\n".join(rows).encode()
    yield from seeds("detection")


@cache
def seeds(target: str) -> tuple[bytes, ...]:
    """Traces of a form, by its name; ``detection`` and ``inspection`` have some of each."""
    if target == "inspection":
        return tuple(_inspected())
    found = {form.name: [piece for raw in _of_form(form) for piece in _pieces(raw)] for form in FORMS}
    if target in found:
        return tuple(sorted(set(found[target]), key=len))
    return tuple(raw for each in found.values() for raw in sorted(each, key=len)[:4])


def words(target: str) -> tuple[bytes, ...]:
    """Words of a form's traces, without bytes in hexadecimal, and the odd ones: what a mutation puts in."""
    found = {word for raw in seeds(target) for word in re.findall(rb"[^\s\x00-\x1f\x7f-\xff]{2,40}", raw)}
    told = sorted(word for word in found if not re.fullmatch(rb"[0-9A-Fa-f:]+|\d+", word))
    return (*told[:: max(len(told) // 200, 1)], *(word for word in ODD if len(word) <= 100))
