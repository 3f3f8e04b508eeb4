"""Worked examples of docs/reference/protocol.md as text: transcripts, keys, proof and hash chain, byte by byte."""

from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, Ins
from apdu.identity import CardId
from apdu.objects import HistoryRecord
from apdu.payload import Tag, pack, unpack
from apdu.proof import BLOCK_BITS, DEPTH, Proof, inner_hash, leaf_hash
from apdu.response import ResponseApdu
from apdu.signature import point_of, private_key
from host.scp03 import derive
from saifu.example_purses import CHIP, ISSUER, LISTED, Exchange, center_key, edition, scenes, stream
from saifu.reference_tables import table

__all__ = ["REGIONS"]

_LINE = 40
"""Bytes on a line."""
_PAYER = 2


def _hex(raw: bytes, indent: int = 4) -> str:
    """Bytes in lines of at most 40."""
    text = raw.hex().upper()
    return "\n".join(" " * indent + text[i : i + 2 * _LINE] for i in range(0, len(text), 2 * _LINE))


def _objects(raw: bytes, tags: tuple[Tag, ...]) -> Iterator[str]:
    """Payload objects, one below the other, each with its name."""
    for tag, value in unpack(raw, (), tags).items():
        yield f"    # {tag.name.replace('_', ' ').lower()}"
        yield _hex(pack({tag: value}))


def _command_lines(command: CommandApdu) -> Iterator[str]:
    row = BY_INS[command.ins]
    if not row.carries or command.cla & CHAINING or command.ins == Ins.LOCK_OUT:
        yield _hex(command.encode())
        return
    yield _hex(command.header + bytes((len(command.data),)))
    yield from _objects(command.data, row.carries)
    if command.ne is not None:
        yield "    # Le"
        yield _hex(bytes((command.ne & 0xFF,)))


def _answer_lines(ins: int, answer: ResponseApdu, secret: bool) -> Iterator[str]:
    gives = BY_INS[ins].gives
    if answer.data and gives and answer.sw == 0x9000 and not secret:
        yield from _objects(answer.data, gives)
    elif answer.data:
        yield _hex(answer.data)
    yield f"    {answer.sw:04X}"


def _exchange(exchange: Exchange) -> str:
    command, answer = CommandApdu.decode(exchange.command), ResponseApdu.decode(exchange.answer)
    secret = bool(command.cla & SECURE_MESSAGING)
    name = f"{exchange.card}: {BY_INS[command.ins].name}" + (" (more follows)" if command.cla & CHAINING else "")
    lines = [name]
    if secret and exchange.plain is not None:
        lines += ["  plain", _hex(exchange.plain.encode())]
    lines += ["  command", *([_hex(command.encode())] if secret else _command_lines(command))]
    return "\n".join([*lines, "  answer", *_answer_lines(command.ins, answer, secret)])


def _transcript(name: str) -> str:
    return "```text\n" + "\n\n".join(_exchange(each) for each in scenes()[name]) + "\n```"


def _payment_sizes() -> str:
    rows: list[tuple[str, ...]] = []
    for card in ("payer", "payee"):
        parts = [each for each in scenes()["payment"] if each.card == card]
        names = [BY_INS[each.command[1]].name for each in parts]
        rows += [
            (card, name, str(len(each.command)), str(len(each.answer)), str(len(each.command) + len(each.answer)))
            for name, each in zip(names, parts, strict=True)
        ]
        sums = [sum(map(len, column)) for column in ([each.command for each in parts], [each.answer for each in parts])]
        rows.append((f"**{card}**", f"**{len(parts)} APDUs**", *(f"**{size}**" for size in (*sums, sum(sums)))))
    return table(("card", "command", "command, bytes", "answer, bytes", "both"), rows)


def _key_row(name: str, key: EllipticCurvePrivateKey) -> tuple[str, str, str]:
    secret = key.private_numbers().private_value.to_bytes(32).hex().upper()
    point = point_of(key).hex().upper()
    return name, f"`{secret}`", f"`{point[:64]}` `{point[64:]}`"


def _keys() -> str:
    cards = ((name, private_key(stream(f"card {serial}", 1, 40))) for name, serial in (("payer", 2), ("payee", 3)))
    rows = [_key_row(f"center key {number}", center_key(number)) for number in (1, 2)]
    rows += [_key_row(name, key) for name, key in cards]
    static = table(
        ("chip key", "value"),
        (
            (name, f"`{key.hex().upper()}`")
            for name, key in zip(("ENC", "MAC", "DEK"), (CHIP.enc, CHIP.mac, CHIP.dek), strict=True)
        ),
    )
    return f"{table(('key', 'private', 'public X and Y'), rows)}\n\n{static}"


def _session_keys() -> str:
    """Keys and cryptograms of the channel in the personalization."""
    opening = scenes()["personalization"][1]
    host, card = CommandApdu.decode(opening.command).data, ResponseApdu.decode(opening.answer).data[13:21]
    context = host + card
    mac = derive(CHIP.mac, 0x06, context, 16)
    rows = [
        ("context: host challenge, card challenge", context),
        ("card challenge: from ENC, constant 02, context 000001 and the AID", card),
        ("S-ENC: from ENC, constant 04", derive(CHIP.enc, 0x04, context, 16)),
        ("S-MAC: from MAC, constant 06", mac),
        ("S-RMAC: from MAC, constant 07", derive(CHIP.mac, 0x07, context, 16)),
        ("card cryptogram: from S-MAC, constant 00", derive(mac, 0x00, context, 8)),
        ("host cryptogram: from S-MAC, constant 01", derive(mac, 0x01, context, 8)),
    ]
    return table(("what", "value"), ((name, f"`{value.hex().upper()}`") for name, value in rows))


def _proof() -> str:
    """The proof of the payer's card in the example's edition, node by node."""
    listed, proof = edition(), edition().tree.prove(_PAYER)
    block = _PAYER >> BLOCK_BITS
    lines = [
        f"listed serials {', '.join(map(str, LISTED))}; proof for serial {_PAYER}, block {block}",
        "bitmap of the block",
        _hex(proof.bitmap),
        f"forks {proof.forks:06X}, siblings, the lowest fork's first",
        *(_hex(sibling) for sibling in proof.siblings),
        "leaf: SHA-256 of",
        _hex(b"\0" + block.to_bytes(4) + proof.bitmap),
        "is, cut to 24 bytes",
        _hex(leaf_hash(block, proof.bitmap)),
        *_climb(proof, block),
        "which is the root in the head",
        _hex(listed.head.raw),
    ]
    return "```text\n" + "\n".join(lines) + "\n```"


def _climb(proof: Proof, block: int) -> Iterator[str]:
    node, siblings = leaf_hash(block, proof.bitmap), iter(proof.siblings)
    for level in range(DEPTH):
        if proof.forks >> level & 1:
            sibling, right = next(siblings), block >> level & 1
            pair = (sibling, node) if right else (node, sibling)
            node = inner_hash(*pair)
            yield f"fork at bit {level}, the node is its {'right' if right else 'left'} child: SHA-256 of"
            yield _hex(b"\1" + pair[0] + pair[1])
            yield "is, cut to 24 bytes"
            yield _hex(node)


def _chain() -> str:
    """The first link of the payer's chain: what a card begins with, and its first record."""
    card = CardId.of(ISSUER, _PAYER)
    first = sha256(card).digest()
    record = _first_record()
    lines = [
        "card ID", _hex(card),
        "chain at activation: SHA-256 of the card ID", _hex(first),
        "record 1", _hex(record),
        "chain behind record 1: SHA-256 of chain and record", _hex(sha256(first + record).digest()),
    ]  # fmt: skip
    return "```text\n" + "\n".join(lines) + "\n```"


def _first_record() -> bytes:
    """Record 1 of the payer's card, as its READ RECORD gave it."""
    reads = (each for each in scenes()["history"] if each.command[1] == Ins.READ_RECORD)
    raw = ResponseApdu.decode(next(reads).answer).data
    return HistoryRecord.decode(raw).encode()


_TRANSCRIPTS = ("personalization", "payment", "pin", "resume", "refusal", "history", "renewal", "lock out")
REGIONS: dict[str, Callable[[], str]] = {
    "payment sizes": _payment_sizes,
    "example keys": _keys,
    "session keys": _session_keys,
    "proof example": _proof,
    "chain example": _chain,
    **{f"transcript {name}": partial(_transcript, name) for name in _TRANSCRIPTS},
}
"""Regions by name."""
