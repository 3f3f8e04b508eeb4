"""A command or an answer of any card as a tree, down to each object and byte; whatever the bytes are, there is a tree.

Nothing here raises. What does not parse stays one leaf, and the leaves of a tree cover its bytes, each once.
"""

from collections.abc import Callable

from apdu.command import CHAINING, SECURE_MESSAGING, CommandApdu
from apdu.commands import BY_INS, DATA_OBJECTS
from apdu.errors import FormatError
from apdu.objects import HistoryRecord
from apdu.trace.detail_ber import ber_objects, messaging_objects
from apdu.trace.detail_header import class_words, parameter_words
from apdu.trace.detail_purse import history_record, purse_dgis, purse_objects
from apdu.trace.detail_tree import HEAD, VALUE, Detail, Part, cut, lay, leaves, lines, text
from apdu.trace.detail_values import aid_words, privileges, value_words
from apdu.trace.names import Named, name_of, status_of

__all__ = ["HEAD", "VALUE", "Detail", "answer_detail", "command_detail", "leaves", "lines"]

_HEADER = ("CLA", "INS", "P1", "P2")
_MAC = 8
"""Bytes of the MAC of SCP02 and of SCP03 in S8 mode."""
_OURS = ("", "saifu")

Children = tuple[Detail, ...]


def command_detail(command: bytes, application: str = "") -> Detail:
    """Take a command apart; ``application`` is what is selected, as in ``name_of``."""
    named = name_of(command, application)
    said = f"{named.name} ({named.standard})" if named.standard else named.name
    return Detail("command", 0, len(command), said, (*_header(command, named, application), *_body(command, named)))


def _header(command: bytes, named: Named, application: str) -> Children:
    if len(command) < 4:
        return tuple(Detail(label, at, at + 1) for at, label in enumerate(_HEADER[: len(command)]))
    first = Detail("CLA", 0, 1, class_words(command[0], named.standard)), Detail("INS", 1, 2, named.name)
    words = parameter_words(command[:4], named.name, named.standard if named.standard == "PC/SC" else application)
    if isinstance(words, str):
        return *first, Detail("P1 P2", 2, 4, words)
    return *first, Detail("P1", 2, 3, words[0]), Detail("P2", 3, 4, words[1])


def _body(command: bytes, named: Named) -> Children:
    """Lc, data and Le (ISO 7816-4 clause 5.2)."""
    try:
        parsed = CommandApdu.decode(command)
    except FormatError:
        return cut("length fields that do not fit", 4, len(command))
    extended = len(command) > 6 and command[4] == 0
    start = 4 + ((3 if extended else 1) if parsed.data else 0)
    end = start + len(parsed.data)
    data = _command_data(command, start, end, named) if parsed.data else ()
    wanted = "" if parsed.ne is None else f"up to {parsed.ne} bytes"
    return (
        *cut("Lc", 4, start, f"{end - start} bytes"),
        *_grouped("data", start, end, data),
        *cut("Le", end, len(command), wanted),
    )


def _grouped(label: str, start: int, end: int, parts: Children) -> Children:
    """Parts of the data, or the data as one leaf."""
    if not parts:
        return ()
    if len(parts) == 1 and not parts[0].children:
        return parts
    return (Detail(label, start, end, f"{end - start} bytes", parts),)


def _leaf(raw: bytes, start: int, end: int, label: str = "data") -> Children:
    return cut(label, start, end, text(raw[start:end]))


def answer_detail(command: bytes, response: bytes, application: str = "") -> Detail:
    """Take the answer to a command apart."""
    if len(response) < 2:
        return Detail("answer", 0, len(response), "no status word")
    end = len(response) - 2
    sw = int.from_bytes(response[end:])
    words = status_of(sw, application, command[1] if len(command) > 1 else None)
    data = _answer_data(command, response, end, application) if end else ()
    status = Detail("status word", end, len(response), words)
    return Detail("answer", 0, len(response), f"{sw:04X} {words}", (*_grouped("data", 0, end, data), status))


# --- data of commands --------------------------------------------------------------------------------------


def _command_data(raw: bytes, start: int, end: int, named: Named) -> Children:
    if raw[0] & SECURE_MESSAGING and raw[0] < 0xFF and named.name != "EXTERNAL AUTHENTICATE":
        return _secured(raw, start, end)
    if named.standard == "saifu":
        return _payload(raw, start, end)
    if named.name == "STORE DATA" and raw[2] & 0x18 == 0x08:
        parts = purse_dgis(raw, start, end, encrypted=raw[2] & 0x60 == 0x60)
        return parts or _leaf(raw, start, end, "part of the groups")
    say = _COMMAND_DATA.get((named.standard, named.name.split(" [")[0])) or _COMMAND_DATA.get(("", named.name))
    return say(raw, start, end) if say else _any(raw, start, end, named.standard)


def _payload(raw: bytes, start: int, end: int) -> Children:
    """Objects of one of our commands; a part of a chain may end within one, or begin there."""
    row = BY_INS[raw[1]]
    chained = bool(raw[0] & CHAINING)
    parts = purse_objects(raw, start, end, unfinished=chained)
    if parts and row.chaining and (raw[start] not in row.takes or parts[0].end - parts[0].start <= 2):
        parts = None
    return parts or _leaf(raw, start, end, "part of a chain" if row.chaining else "data")


def _secured(raw: bytes, start: int, end: int) -> Children:
    """Data that a secure channel carries: objects of ISO 7816-4 clause 10, or body and MAC (GlobalPlatform)."""
    if (objects := messaging_objects(raw, start, end)) is not None:
        return objects
    body = max(start, end - _MAC)
    clear = _known(ber_objects(raw, start, body)) if start < body else None
    return (*(clear or cut("data of the secure channel", start, body)), *cut("MAC", body, end))


def _known(parts: Children | None) -> Children | None:
    """Objects, if the first has a name: bytes that are encrypted or a MAC are seldom such."""
    return parts if parts and " " in parts[0].label else None


def _any(raw: bytes, start: int, end: int, application: str) -> Children:
    """Data that nobody describes: objects where all of it is TLV, else bytes."""
    known = application if application in ("EMV", "GlobalPlatform", "saifu") else ""
    return ber_objects(raw, start, end, known) or _leaf(raw, start, end)


def _plain(label: str) -> Callable[[bytes, int, int], Children]:
    """Data that are one field, and whose text must not be read."""
    return lambda _, start, end: cut(label, start, end)


def _parts(*parts: Part) -> Callable[[bytes, int, int], Children]:
    return lambda raw, start, end: lay(raw, start, end, parts)


def _name(raw: bytes, start: int, end: int) -> Children:
    """What SELECT selects (ISO 7816-4 clause 11.2.2)."""
    if raw[2] == 0x04:
        return cut("name", start, end, aid_words(raw[start:end]))
    label = "path" if raw[2] & 0x08 else "file identifier"
    return cut(label, start, end, value_words(0x51, label, raw[start:end]))


def _halves(first: str, second: str) -> Callable[[bytes, int, int], Children]:
    def say(_: bytes, start: int, end: int) -> Children:
        """Both halves, each a leaf."""
        middle = start + (end - start) // 2
        return (*cut(first, start, middle), *cut(second, middle, end))

    return say


_FOR_LOAD = ("load file", "security domain", "load file hash", "parameters", "token")
_FOR_INSTALL = ("load file", "module", "application", "privileges", "parameters", "token")
_FOR_OTHERS = ("security domain", "", "application", "privileges", "parameters", "token")
_NAMES = ("load file", "security domain", "module", "application")


def _install(raw: bytes, start: int, end: int) -> Children:
    """Fields with a length byte before each (GlobalPlatform 11.5.2.3)."""
    p1 = raw[2]
    labels = _FOR_LOAD if p1 & 0x02 and not p1 & 0x0C else _FOR_INSTALL if p1 & 0x0C else _FOR_OTHERS
    found: list[Detail] = []
    for label in labels:
        if start >= end or start + 1 + raw[start] > end:
            break
        stop = start + 1 + raw[start]
        found.append(_prefixed(raw, start, stop, label))
        start = stop
    return (*found, *cut("rest", start, end))


def _prefixed(raw: bytes, start: int, end: int, label: str) -> Detail:
    value = raw[start + 1 : end]
    words = aid_words(value) if label in _NAMES else privileges(value) if label == "privileges" else ""
    inside = ber_objects(raw, start + 1, end, "GlobalPlatform") if label == "parameters" else None
    return Detail(
        label or "empty", start, end, words, (Detail(HEAD, start, start + 1), *(inside or cut(VALUE, start + 1, end)))
    )


_HOST: tuple[Part, ...] = (("host cryptogram", 8, None), ("MAC", _MAC, None))
_COMMAND_DATA: dict[tuple[str, str], Callable[[bytes, int, int], Children]] = {
    ("", "SELECT"): _name,
    ("", "VERIFY"): _plain("verification data"),
    ("", "CHANGE REFERENCE DATA"): _halves("old reference data", "new reference data"),
    ("", "RESET RETRY COUNTER"): _halves("resetting code", "new reference data"),
    ("", "PIN CHANGE/UNBLOCK"): _plain("PIN data"),
    ("", "ENABLE VERIFICATION REQUIREMENT"): _plain("verification data"),
    ("", "DISABLE VERIFICATION REQUIREMENT"): _plain("verification data"),
    ("", "INTERNAL AUTHENTICATE"): _plain("authentication data"),
    ("", "INITIALIZE UPDATE"): _plain("host challenge"),
    ("GlobalPlatform", "EXTERNAL AUTHENTICATE"): _parts(*_HOST),
    ("", "EXTERNAL AUTHENTICATE"): _plain("authentication data"),
    ("GlobalPlatform", "INSTALL"): _install,
    ("GlobalPlatform", "PUT KEY"): _plain("keys"),
    ("EMV", "GENERATE AC"): _plain("values of the card's list (CDOL)"),
    ("PC/SC", "LOAD KEYS"): _plain("key"),
    ("", "UPDATE BINARY"): _leaf,
    ("", "WRITE BINARY"): _leaf,
}
"""Data that are no objects, by standard (empty: any) and name."""


# --- data of answers ---------------------------------------------------------------------------------------


_OWN_OBJECTS = frozenset(row.number for row in DATA_OBJECTS)


def _answer_data(command: bytes, raw: bytes, end: int, application: str) -> Children:
    named = name_of(command, application)
    if command[:1] and command[0] & SECURE_MESSAGING and command[0] < 0xFF and end >= _MAC:
        if named.name == "EXTERNAL AUTHENTICATE":
            return _leaf(raw, 0, end)
        return _known(ber_objects(raw, 0, end)) or _secured(raw, 0, end)
    unfinished = raw[end] == 0x61
    if named.standard == "saifu" or (named.name in ("GET DATA", "GET RESPONSE") and application in _OURS):
        parts = purse_objects(raw, 0, end, unfinished=unfinished) if _ours(command, named) else None
        if parts and (application or named.standard == "saifu" or _exact(parts)):
            return parts
    elif named.name == "READ RECORD" and application in _OURS and (parts := _history(raw, end, application)):
        return parts
    say = _ANSWER_DATA.get(named.name)
    return say(raw, 0, end) if say else _any(raw, 0, end, application or named.standard)


def _ours(command: bytes, named: Named) -> bool:
    """Whether an answer may be payload objects; those of GET DATA are by its numbers."""
    return named.name != "GET DATA" or int.from_bytes(command[2:4]) in _OWN_OBJECTS


def _exact(parts: Children) -> bool:
    """Whether all objects have the sizes of ours: then they are, whatever card it is."""
    return not any(leaf.words == "cut off" or leaf.label == "rest" for part in parts for leaf in leaves(part))


def _history(raw: bytes, end: int, application: str) -> Children | None:
    """A history record; where nothing is known to be selected, only if it can be one."""
    parts = history_record(raw, 0, end)
    try:
        if parts and not application:
            HistoryRecord.decode(raw[:end])
    except ValueError:
        return None
    return parts


def _initialize(raw: bytes, _: int, end: int) -> Children:
    """Key information, challenge and cryptogram (Amendment D 7.1.1.6 for SCP03, Card Specification E.5.1 for SCP02)."""
    if raw[11:12] == b"\x02" and end == 28:
        return lay(raw, 0, end, (*_KEYS[:3], ("sequence counter", 2, _number), ("card challenge", 6, None), _CARD))
    return lay(raw, 0, end, (*_KEYS, ("card challenge", 8, None), _CARD, ("sequence counter", 3, _number)))


def _new_keys(raw: bytes, start: int, end: int) -> Children:
    """The version, and a check value for each key (Card Specification 11.8.3.1)."""
    checks = (("check value", 3, None),) * ((end - start - 1) // 3)
    return lay(raw, start, end, (("key version", 1, _number), *checks))


def _number(value: bytes) -> str:
    return str(int.from_bytes(value))


_KEYS: tuple[Part, ...] = (
    ("key diversification data", 10, text),
    ("key version", 1, _number),
    ("protocol", 1, lambda value: f"SCP{value[0]:02X}"),
    ("parameter i", 1, None),
)
_CARD: Part = ("card cryptogram", 8, None)

_ANSWER_DATA: dict[str, Callable[[bytes, int, int], Children]] = {
    "INITIALIZE UPDATE": _initialize,
    "PUT KEY": _new_keys,
    "GET CHALLENGE": _plain("challenge"),
    "INTERNAL AUTHENTICATE": _plain("authentication data"),
    "MANAGE CHANNEL": _parts(("channel", 1, _number)),
}
"""Answers that are no objects, by the command's name."""
