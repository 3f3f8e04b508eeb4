"""The journal of a batch: which row got which card, and which are done, so that a batch can be resumed.

JSON lines, each written to the disk before the next step; a last line that was cut off is ignored. It is read once,
and decides then which rows get cards: it is held from before that until the batch ends, so that a second batch of the
same list makes none of them again.

Before the keys of a card's maker are replaced, the card's diversification data and the master key of its new keys are
noted, by name and check value. Which keys the card has after a cut, the card itself tells; the journal sees to it that
the batch goes on with that master key.
"""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from apdu.errors import FormatError, InputError, StoreError
from apdu.identity import CardId
from host.files import append, locked, read_private
from personalization.keystore import MasterKey
from personalization.orders import Order, OrderList

__all__ = ["Journal"]

_FORMAT = "saifu batch 1"
_REMEDY = "when that has ended, run the same command again: it goes on where the other one has stopped"


class Journal:
    """The journal beside an order list, held until it is closed."""

    def __init__(self, path: Path, orders: OrderList) -> None:
        """Open or begin; raises InputError when it belongs to another list, StoreError when it is damaged or held."""
        self.path = path
        with ExitStack() as held:
            held.enter_context(locked(path, 0, _REMEDY))
            self._begin(orders)
            self._held = held.pop_all()

    def _begin(self, orders: OrderList) -> None:
        self.allotted: dict[int, CardId] = {}
        self.done: set[int] = set()
        self.keys: dict[int, tuple[str, str]] = {}
        """By row: name and check value of the master key from which its card got keys, or was about to."""
        if not self.path.exists() or not self._read(orders):
            self._append({"format": _FORMAT, "list": orders.digest})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let another batch of the list go on."""
        self._held.close()

    def _read(self, orders: OrderList) -> bool:
        """Take over what is there; returns False when even the first line was cut off."""
        raw = read_private(self.path)
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            os.truncate(self.path, len(whole))
        if not whole:
            return False
        try:
            head, *entries = [json.loads(line) for line in whole.splitlines()]
            if (head.get("format"), head.get("list")) != (_FORMAT, orders.digest):
                raise InputError(f"{self.path} belongs to another list; finish that one, or move its journal away")
            for entry in entries:
                self._note(entry)
        except (ValueError, KeyError, TypeError, AttributeError, FormatError):
            raise StoreError(f"{self.path} is damaged: look which cards are done, and move it away") from None
        return True

    def _note(self, entry: dict[str, Any]) -> None:
        if "card" in entry:
            self.allotted[entry["line"]] = CardId.parse(entry["card"])
        if "kcv" in entry:
            self.keys[entry["line"]] = entry["key"], entry["kcv"]
        if entry.get("done"):
            self.done.add(entry["line"])

    def _append(self, entry: dict[str, Any]) -> None:
        append(self.path, json.dumps(entry) + "\n")

    def allot(self, order: Order, card: CardId) -> None:
        """Note that a row got a card ID."""
        self.allotted[order.line] = card
        self._append({"line": order.line, "card": card.text})

    def put_keys(self, order: Order, chip: bytes, master: MasterKey) -> None:
        """Note that the card with this diversification data is about to get keys from a master key."""
        self.keys[order.line] = master.name, master.kcv
        self._append({"line": order.line, "chip": chip.hex().upper(), "key": master.name, "kcv": master.kcv})

    def require_key(self, master: MasterKey) -> None:
        """Raise InputError where a row that is not done was given keys of another master key than this."""
        for line, (name, kcv) in self.keys.items():
            if line not in self.done and kcv != master.kcv:
                raise InputError(
                    f"line {line}: an earlier run has given its card keys of key {name} (check value {kcv}), "
                    f"not of {master.name} ({master.kcv}): go on with that one"
                )

    def finish(self, order: Order) -> None:
        """Note that a row's card is personalized."""
        self.done.add(order.line)
        self._append({"line": order.line, "done": True})
