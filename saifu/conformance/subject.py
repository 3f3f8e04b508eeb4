"""The card under test, spoken to in lock-step with the model; whatever deviates ends what is being done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from apdu.command import CommandApdu
from apdu.commands import BY_INS, Ins
from apdu.errors import MisbehaviourError, OutcomeUnknownError, ReaderError, RefusedError, SecureChannelError
from apdu.identity import AID, LifeCycle
from apdu.objects import Capacities
from apdu.payload import Tag, pack
from apdu.protocol import Protocol
from apdu.response import ResponseApdu
from apdu.status import StatusError, StatusWord, status_text, tries_left
from applet_model.memory import PowerCutError
from applet_model.memory_map import ChipKeys, blank_image, is_possible
from host.connection import CardConnection, CardSlot, TellsProtocol
from host.exchange import exchange
from host.issuer_session import IssuerSession
from host.model import Cut, ModelSlot
from host.recording import RecordingSlot
from host.scp03 import InitializeUpdateAnswer, SessionKeys, StaticKeys
from host.session import PurseSession
from saifu.conformance.issuer import PIN, PUK, PUT, Issuer
from saifu.conformance.oracle import Deviation, Oracle
from saifu.conformance.twin import Twin

__all__ = ["SERIAL", "DeviationError", "NotHereError", "PlatformError", "Subject", "Told", "UnmetError", "must"]

SERIAL = 2
"""The serial of every card under test."""
_BLANK = (LifeCycle.BLANK, LifeCycle.PERSONALIZATION)
_NE, _CHALLENGE = 256, 8
_VERSIONS, _USUAL_VERSION = range(0x01, 0x80), 0x01
"""Versions under which PUT KEY puts keys; and that of a card whose maker's keys (version FF) were changed once."""


class DeviationError(MisbehaviourError):
    """The card does not do what the protocol says; ``deviation`` has the bytes, if the oracle saw it."""

    def __init__(self, why: str, deviation: Deviation | None = None) -> None:
        """``why`` in words."""
        super().__init__(why)
        self.deviation = deviation


def must(holds: bool, why: str) -> None:
    """A case's own look at what the card said, beside the oracle's; raises DeviationError with ``why``."""
    if not holds:
        raise DeviationError(why)


class UnmetError(MisbehaviourError):
    """A card that cannot be tested at all, because it does not tell rightly what it is; ``clause`` says where."""

    def __init__(self, clause: str, why: str) -> None:
        """``clause`` as that of a case; ``why`` in words."""
        super().__init__(why)
        self.clause = clause


@contextmanager
def _meeting(clause: str) -> Iterator[None]:
    """Whatever a card says in here that nobody can go on from breaks the clause: raises UnmetError."""
    try:
        yield
    except (ReaderError, RefusedError, SecureChannelError, UnmetError):
        raise
    except Exception as error:
        # a card may say what no error of ours foresees: numbers that overflow, lengths that do not fit
        raise UnmetError(clause, str(error) or repr(error)) from None


class PlatformError(Exception):
    """The runtime took a SELECT in the purse's place: what is selected now is its affair, and a case ends here."""


class NotHereError(Exception):
    """A case cannot be run on this card or connection; the text says why."""


@dataclass(slots=True)
class Told:
    """How much was said: exchanges, by instruction and life-cycle state."""

    exchanges: int = 0
    commands: set[tuple[LifeCycle, int]] = field(default_factory=set)
    platforms: list[Deviation] = field(default_factory=list)
    """What the platform has answered otherwise than the purse would, where it may."""


class Subject:
    """One card in a slot, and its twin. Is a CardConnection, so that every session of the host works on it."""

    _connection: CardConnection | None = None

    def __init__(self, slot: CardSlot, issuer: Issuer, keys: StaticKeys) -> None:
        """Ask the card what it is; ``keys`` are its static SCP03 keys, which it is left with.

        Raises RefusedError for a card that must not be tested, UnmetError for one that cannot, SecureChannelError when
        it has other keys, and what the slot raises.
        """
        self.slot, self.issuer, self.keys = slot, issuer, keys
        self.own_keys, self.own_version = keys, _USUAL_VERSION
        self.told = Told()
        self.oracle = self._meet(None)
        if self.twin.cells.key_version.number() in _VERSIONS:
            self.own_version = self.twin.cells.key_version.number()

    # --- the twin ----------------------------------------------------------------------------------------

    def meet(self) -> None:
        """Ask the card what it is now, outside of lock-step, and make the twin the same.

        Raises RefusedError, UnmetError.
        """
        self.oracle = self._meet(self.oracle)

    def _meet(self, before: Oracle | None) -> Oracle:
        self._connection = None
        connection = self.slot.connect()
        with _meeting("SELECT"):
            session = PurseSession(connection)
        if session.selected.status.state in _BLANK:
            return self._heard(self._blank_twin(session, connection), before)
        with _meeting("GET DATA"):
            self._require_ours(session)
            if before is None:
                _require_tested(session, self.issuer)
        return self._adopted(session, before)

    def _heard(self, twin: Twin, before: Oracle | None) -> Oracle:
        """The oracle with another twin: what the card has drawn before is not forgotten."""
        oracle = before or Oracle(twin, self.keys)
        oracle.twin, oracle.keys = twin, self.keys
        return oracle

    def _blank_twin(self, session: PurseSession, connection: CardConnection) -> Twin:
        with _meeting("GET DATA"):
            capacities = session.get_capacities()
        with _meeting("INITIALIZE UPDATE"):
            answer = self._key_information(connection)
        if self.keys is not self.own_keys:
            with _meeting("PUT KEY"):
                answer = self._give_keys_back()
        twin = self._twin(capacities, answer.diversification_data, answer.key_version)
        twin.put(life_cycle=session.selected.status.state, scp_sequence=int.from_bytes(answer.sequence_counter))
        return twin

    def _twin(self, capacities: Capacities, data: bytes = bytes(10), version: int = 0) -> Twin:
        sizes = capacities.history, capacities.unsettled, capacities.chain
        if not is_possible(*sizes):
            told = "{} records, {} unsettled transfers, {} bytes of a chain".format(*sizes)
            raise UnmetError("GET DATA", f"GET DATA 0107: no purse has such capacities: {told}")
        protocol = self.slot.protocol if isinstance(self.slot, TellsProtocol) else Protocol.T1
        chip = ChipKeys(data, version, self.keys.enc, self.keys.mac, self.keys.dek)
        return Twin(blank_image(chip, *sizes), protocol)

    def _key_information(self, connection: CardConnection) -> InitializeUpdateAnswer:
        """What INITIALIZE UPDATE tells of the chip; raises SecureChannelError when it has not the keys."""
        answer = exchange(connection, CommandApdu(0x80, Ins.INITIALIZE_UPDATE, 0, 0, bytes(_CHALLENGE), _NE))
        if answer.sw != StatusWord.OK:
            raise StatusError("INITIALIZE UPDATE", answer.sw)
        try:
            told = InitializeUpdateAnswer.decode(answer.data)
        except SecureChannelError as error:
            raise UnmetError("INITIALIZE UPDATE", str(error)) from None
        context = bytes(_CHALLENGE) + told.card_challenge
        for keys in (self.own_keys, *PUT):
            if SessionKeys.of(keys, context).card_cryptogram(context) == told.card_cryptogram:
                self.keys = keys
                return told
        raise SecureChannelError("the card's cryptogram is not made with these keys: give its own with --keys")

    def _give_keys_back(self) -> InitializeUpdateAnswer:
        """Put a card's own keys again, outside of lock-step: a case that changed them has not come to its end."""
        IssuerSession(self.slot.connect(), lambda _: self.keys).put_key(self.own_version, self.own_keys)
        connection = self.slot.connect()
        PurseSession(connection)
        return self._key_information(connection)

    def take_keys(self, keys: StaticKeys) -> None:
        """PUT KEY has given the card other keys, in lock-step; they are its own or those of ``PUT``."""
        self.keys = self.oracle.keys = keys

    def _require_ours(self, session: PurseSession) -> None:
        if session.card.issuer != self.issuer.number or not self.issuer.has_certified(session.get_certificate().raw):
            raise RefusedError(
                f"card {session.card} is personalized by somebody else: conformance wants a blank card, or one that it "
                "has personalized before"
            )
        if session.selected.status.state is LifeCycle.TERMINATED:
            raise RefusedError(f"card {session.card} is terminated: nothing can be tested with it any more")

    def _adopted(self, session: PurseSession, before: Oracle | None) -> Oracle:
        """The oracle with a twin of what the card has become; its codes are made those of a test card."""
        if session.selected.status.state is LifeCycle.ACTIVE:
            with _meeting("RESET RETRY COUNTER"):
                _reset_codes(session)
        with _meeting("GET DATA"):
            _require_sound(session)
            oracle = before or Oracle(self._twin(session.get_capacities()), self.keys)
            oracle.twin.adopt(session, self.issuer.keys, PIN, PUK)
        return oracle

    @property
    def twin(self) -> Twin:
        """The model in the card's place."""
        return self.oracle.twin

    @property
    def in_process(self) -> bool:
        """Whether the bytes reach the card as they are: between this process and a reader stand drivers."""
        return self._chip is not None

    @property
    def _chip(self) -> ModelSlot | None:
        """The slot of a card in this process, recorded or not."""
        slot = self.slot.inner if isinstance(self.slot, RecordingSlot) else self.slot
        return slot if isinstance(slot, ModelSlot) else None

    @property
    def state(self) -> LifeCycle:
        """The life-cycle state, as the twin has it."""
        return LifeCycle(self.twin.cells.life_cycle.number())

    # --- what is said ------------------------------------------------------------------------------------

    def reset(self) -> CardConnection:
        """Power the card on, or reset it, and its twin too."""
        connection = self._connection = self.slot.connect()
        self.oracle.reset()
        return connection

    def transmit(self, command: bytes) -> bytes:
        """One exchange in lock-step; raises DeviationError, PlatformError, and what the connection raises.

        Where the platform may answer, and has answered otherwise, that is kept, and the model's answer is returned.
        """
        connection = self._connection or self.reset()
        state = self.state
        answer = connection.transmit(command)
        self._count(state, command)
        deviation = self.oracle.hear(command, answer)
        if deviation is None:
            return answer
        if not deviation.is_platforms:
            raise DeviationError(deviation.why, deviation)
        self.told.platforms.append(deviation)
        if not deviation.in_step:
            raise PlatformError(deviation.why)
        return deviation.expected

    def torn(self, command: CommandApdu, write: int, cut: Cut = Cut.AFTER) -> bool:
        """One command, in which card and twin lose their power at the ``write``-th physical write; then a reset.

        False when the command does not write so often, and is executed. For cards of the model in this process.
        Raises DeviationError when only one of the two finishes, and NotHereError for other cards.
        """
        sent, chip = command.encode(), self._torn_chip
        card = _finishes(chip, self._connection or self.reset(), sent, write, cut)
        model = _finishes(self.twin, self.twin, sent, write, cut)
        self.reset()
        if card != model:
            said = {True: "is done with the command", False: "is still writing"}
            why = f"when the power goes at write {write} the card {said[card]}, and the model {said[model]}"
            raise DeviationError(why, Deviation(sent, b"", None, why))
        return not card

    def torn_alone(self, command: CommandApdu, write: int, cut: Cut) -> bool:
        """The same to the card alone: its twin does not hear the command, and has what was before."""
        finished = _finishes(self._torn_chip, self._connection or self.reset(), command.encode(), write, cut)
        self.reset()
        return not finished

    @property
    def _torn_chip(self) -> ModelSlot:
        if (chip := self._chip) is None:
            raise NotHereError("the power can be cut in the middle of a command only for a card in this process")
        return chip

    def apart(self) -> tuple[CardConnection, CardConnection]:
        """Reset card and twin, to tell each of them the same outside of lock-step; ``fresh`` ends that."""
        return self.reset(), self.twin

    def _count(self, state: LifeCycle, command: bytes) -> None:
        self.told.exchanges += 1
        if len(command) > 1:
            self.told.commands.add((state, command[1]))

    def raw(self, command: bytes | CommandApdu, sw: int | None = None) -> ResponseApdu:
        """One command as it stands, once; with ``sw``, what the protocol wants as its status word."""
        sent = command if isinstance(command, bytes) else command.encode()
        answer = ResponseApdu.decode(self.transmit(sent))
        _require(answer.sw, sw, sent)
        return answer

    def send(
        self,
        ins: Ins,
        data: bytes | dict[Tag, bytes] = b"",
        sw: int | None = 0x9000,
        *,
        p1: int = 0,
        p2: int = 0,
        ne: int | None = _NE,
        cla: int | None = None,
    ) -> bytes:
        """A command of the table with chaining, 61xx and 6Cxx followed; ``sw`` is the word that it must end in.

        Returns the answer's data. Raises DeviationError when card and protocol, or card and model, differ.
        """
        raw = pack(data) if isinstance(data, dict) else data
        command = CommandApdu(BY_INS[ins].cla if cla is None else cla, ins, p1, p2, raw, ne)
        answer = exchange(self, command)
        _require(answer.sw, sw, command.encode())
        return answer.data

    def select(self, sw: int | None = None) -> bytes:
        """SELECT by name; returns the FCI."""
        return self.send(Ins.SELECT, AID, sw, p1=0x04)

    def fresh(self) -> None:
        """Reset, and select the purse."""
        self.reset()
        self.select()

    def session(self) -> PurseSession:
        """Reset, select, and speak as a terminal does."""
        self.reset()
        return PurseSession(self)


def _require_tested(session: PurseSession, issuer: Issuer) -> None:
    """Anybody can sign as the test issuer: only a card that tells what the suite has given it is taken for its own.

    Raises RefusedError, before a try of any code is spent.
    """
    others = "a test issuer's card, but conformance has not personalized it"
    if session.card.serial != SERIAL:
        raise RefusedError(f"card {session.card} is {others}: its own cards have serial {SERIAL}, and no other")
    if session.get_parameters() != issuer.parameters(SERIAL):
        raise RefusedError(
            f"card {session.card} is {others}, or it tells other parameters now: nothing was tried with it"
        )


def _reset_codes(session: PurseSession) -> None:
    """Make the PIN that of a test card, with all tries; raises RefusedError where the resetting code is another."""
    try:
        session.reset_retry_counter(PUK, PIN)
    except StatusError as error:
        if tries_left(error.sw) is None and error.sw != StatusWord.BLOCKED:
            raise
        raise RefusedError(
            f"card {session.card} does not take the resetting code of test cards ({error}): it is not one, "
            "and each further run would cost it a try"
        ) from None


def _require_sound(session: PurseSession) -> None:
    """A card that is taken as it describes itself can at least be what it says; raises MisbehaviourError."""
    limits, counters, codes = session.get_parameters(), session.get_counters(), session.get_reference_data()
    credit, used = session.get_credit()
    sound = {
        "more tries than the parameters allow": codes.pin_tries <= limits.pin_tries
        and codes.puk_tries <= limits.puk_tries,
        "more money than the purse may hold": session.selected.status.balance <= limits.balance_max,
        "more used than the credit information allows": used.count <= credit.body.count
        and used.amount <= credit.body.amount,
        "an open request that is neither 00 nor 01": counters.open in (0, 1),
        "more seen than there are records": counters.seen == credit.body.seen <= counters.record,
    }
    for what, holds in sound.items():
        if not holds:
            raise MisbehaviourError(f"card {session.card} tells {what}")


def _finishes(side: ModelSlot | Twin, connection: CardConnection, sent: bytes, write: int, cut: Cut) -> bool:
    """Whether a side is done with a command before the ``write``-th physical write, at which its power is cut."""
    side.tear(write, cut)
    try:
        connection.transmit(sent)
    except (OutcomeUnknownError, PowerCutError):
        return False
    finally:
        side.tear(0, None)
    return True


def _require(sw: int, wanted: int | None, command: bytes) -> None:
    """The test's own expectation, beside the oracle's."""
    if wanted is not None and sw != wanted:
        told = f"{sw:04X} ({status_text(sw)}) where the protocol wants {wanted:04X} ({status_text(wanted)})"
        raise DeviationError(told, Deviation(command, wanted.to_bytes(2), sw.to_bytes(2), told))
