"""Broken rules of transmission, PIN, secure channel and personalization."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from unittest.mock import patch

from apdu.command import CommandApdu
from apdu.commands import BY_INS, Command, Ins
from apdu.dgi import Dgi
from apdu.identity import AID, LifeCycle
from apdu.payload import Tag
from apdu.response import ResponseApdu
from applet_model import personalization, pin
from applet_model.card_state import Call, CardState
from applet_model.decline import Decline
from applet_model.key_pair import KeyPair
from applet_model.memory import Cell, NumberCell
from applet_model.memory_map import MemoryMap
from applet_model.scp03 import CardChannel
from applet_model.transmission import Transmission
from tests.saifu.conformance.mutants import Handler, handler, mutant, never, other_word, put

__all__: list[str] = []

# --- transmission and the order of checks ----------------------------------------------------------------------


@mutant("What belongs to the platform", "logical channels are taken for the basic one")
def _() -> AbstractContextManager[object]:
    return patch("applet_model.dispatch._CHANNELS", 0)


@mutant("Order of checks 11", "a locked-out card says 6985 like any other")
def _() -> AbstractContextManager[object]:
    def check(state: LifeCycle, row: Command) -> None:
        if state not in row.states:
            raise Decline(0x6985)

    return patch("applet_model.dispatch._check_state", check)


@mutant("Order of checks 10", "commands before the selection are executed")
def _() -> AbstractContextManager[object]:
    right = CardState.__init__

    def selected(card: CardState, cells: MemoryMap, random: Callable[[int], bytes], key_pair: KeyPair) -> None:
        right(card, cells, random, key_pair)
        card.selected = True

    return patch.object(CardState, "__init__", selected)


@mutant("Order of checks 12", "P1 and P2 are not looked at")
def _() -> AbstractContextManager[object]:
    row = BY_INS[Ins.ATTEST]
    return patch.dict(BY_INS, {int(Ins.ATTEST): replace(row, p1=range(256), p2=range(256))})


@mutant("Order of checks 14", "a PIN may be shorter")
def _() -> AbstractContextManager[object]:
    return patch.dict(BY_INS, {int(Ins.VERIFY): replace(BY_INS[Ins.VERIFY], lc=range(9))})


@mutant("Order of checks 16", "unknown objects are passed over")
def _() -> AbstractContextManager[object]:
    return patch.dict(BY_INS, {int(Ins.ATTEST): replace(BY_INS[Ins.ATTEST], optional=(Tag.DATE,))})


@mutant("Command chaining", "another command goes on with a chain")
def _() -> AbstractContextManager[object]:
    right = Transmission._collect

    def collect(self: Transmission, row: Command, command: CommandApdu, chain: CommandApdu | None) -> ResponseApdu:
        same = chain is not None and chain.header[1:] == command.header[1:]
        return right(self, row, command, chain if same else None)

    return patch.object(Transmission, "_collect", collect)


@mutant("Answers longer than Le, and GET RESPONSE", "an answer that waits outlives other commands")
def _() -> AbstractContextManager[object]:
    right = Transmission.exchange

    def exchange(self: Transmission, raw: bytes) -> ResponseApdu:
        held = self._held
        answer = right(self, raw)
        if self._held is None and raw[1:2] != bytes((Ins.GET_RESPONSE,)):
            self._held = held
        return answer

    return patch.object(Transmission, "exchange", exchange)


@mutant("Answers longer than Le, and GET RESPONSE", "after 6Cxx the command is executed again")
def _() -> AbstractContextManager[object]:
    return patch("applet_model.transmission._Held.answers", lambda *_: False)


@mutant("Selection and what it holds", "SELECT leaves the PIN verified")
def _() -> AbstractContextManager[object]:
    return never(CardState, "forget_selection")


@mutant("What belongs to the platform", "a part of the AID selects")
def _() -> AbstractContextManager[object]:
    def select(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        whole = AID if AID.startswith(call.command.data) else call.command.data
        return right(card, replace(call, command=call.command.with_data(whole)))

    return handler(Ins.SELECT, select)


@mutant("GET DATA 1", "an object that is not there is called a wrong P1 P2")
def _() -> AbstractContextManager[object]:
    return handler(Ins.GET_DATA, lambda right, card, call: other_word(right, card, call, 0x6A88, 0x6A86))


@mutant("READ RECORD 1", "one record more than there are is read")
def _() -> AbstractContextManager[object]:
    def read(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        records = min(card.cells.record.number(), card.cells.history_capacity)
        beyond = records > 0 and call.command.p1 == records + 1
        return right(card, replace(call, command=replace(call.command, p1=1)) if beyond else call)

    return handler(Ins.READ_RECORD, read)


# --- PIN -------------------------------------------------------------------------------------------------------


@mutant("VERIFY 3", "the try is counted after the comparison")
def _() -> AbstractContextManager[object]:
    def compare(card: CardState, given: bytes, secret: Cell, tries: NumberCell, most: int) -> None:
        left = tries.number()
        if left == 0:
            raise Decline(0x6983)
        if given != secret.get():
            with card.cells.memory.transaction() as tx:
                tx.put(tries, left - 1)
            raise Decline(0x6983 if left == 1 else 0x63C0 | left - 1)
        with card.cells.memory.transaction() as tx:
            tx.put(tries, most)

    return patch.object(pin, "_compare", compare)


@mutant("VERIFY 4", "the first four digits are enough")
def _() -> AbstractContextManager[object]:
    return patch.object(pin, "compare_digest", lambda one, other: one[:4] == other[:4])


@mutant("VERIFY 1", "a wrong PIN leaves the old success")
def _() -> AbstractContextManager[object]:
    def compare(card: CardState, given: bytes) -> None:
        pin._compare(card, given, card.cells.pin, card.cells.pin_tries, card.parameters.pin_tries)
        card.session.pin_verified = True

    return patch.object(pin, "_compare_pin", compare)


@mutant("RESET RETRY COUNTER 2", "the resetting code is not compared")
def _() -> AbstractContextManager[object]:
    def reset(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        data = card.cells.puk.get() + call.command.data[8:]
        return right(card, replace(call, command=call.command.with_data(data)))

    return handler(Ins.RESET_RETRY_COUNTER, reset)


@mutant("CHANGE REFERENCE DATA 1", "a new PIN may be anything")
def _() -> AbstractContextManager[object]:
    return never(pin, "is_pin", True)


# --- secure channel and personalization ------------------------------------------------------------------------


@mutant("Order of checks 7", "the MAC of a command is not compared")
def _() -> AbstractContextManager[object]:
    right = CardChannel._check_mac

    def check(self: CardChannel, command: CommandApdu) -> bytes:
        with patch("applet_model.scp03.compare_digest", lambda *_: True):
            return right(self, command)

    return patch.object(CardChannel, "_check_mac", check)


@mutant("Secure channel", "a MAC is over the shortest form of Lc, whatever was sent")
def _() -> AbstractContextManager[object]:
    right = CardChannel._check_mac
    return patch.object(
        CardChannel, "_check_mac", lambda channel, command: right(channel, replace(command, long=False))
    )


@mutant("Order of checks 4", "INITIALIZE UPDATE is taken for a command of the open channel")
def _() -> AbstractContextManager[object]:
    return patch("applet_model.dispatch._NEVER_SECURED", ())


@mutant("EXTERNAL AUTHENTICATE 4", "the host's cryptogram is not compared")
def _() -> AbstractContextManager[object]:
    def authenticate(self: CardChannel, command: CommandApdu) -> bool:
        self._check_mac(command)
        self.level = command.p1
        return True

    return patch.object(CardChannel, "authenticate", authenticate)


@mutant("INITIALIZE UPDATE", "the sequence counter is used again")
def _() -> AbstractContextManager[object]:
    def update(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.scp_sequence.number()
        answer = right(card, call)
        put(card, scp_sequence=before)
        return answer

    return handler(Ins.INITIALIZE_UPDATE, update)


@mutant("GENERATE KEY PAIR", "the second key pair is the first")
def _() -> AbstractContextManager[object]:
    def generate(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        before = card.cells.private_key.get()
        answer = right(card, call)
        if not any(before):
            return answer
        put(card, private_key=before)
        return right(card, replace(call, command=replace(call.command, p1=0x81)))

    return handler(Ins.GENERATE_KEY_PAIR, generate)


@mutant("STORE DATA 7", "the PIN is taken in clear")
def _() -> AbstractContextManager[object]:
    right = personalization._store_reference_data
    table = {
        **personalization._STORE,
        Dgi.REFERENCE_DATA: lambda card, tx, value, _: right(card, tx, value, True),
    }
    return patch.object(personalization, "_STORE", table)


@mutant("STORE DATA 1", "blocks may come in any order")
def _() -> AbstractContextManager[object]:
    def store(right: Handler, card: CardState, call: Call) -> ResponseApdu:
        card.session.next_block = call.command.p2
        return right(card, call)

    return handler(Ins.STORE_DATA, store)


@mutant("STORE DATA 9", "the certificate of another key is stored")
def _() -> AbstractContextManager[object]:
    return never(personalization, "_check_certificate")
