"""A terminal that listens: what is on the air comes in force, and nothing else does, whoever sends it."""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from random import Random

import pytest

import host.air
from apdu.errors import BearerError, InputError
from apdu.messages import Head, Signed
from apdu.money import currency
from broadcast.bearer import Receiver, Way
from broadcast.carousel import Carousel, OnAir
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.edition import Edition
from broadcast.modulator import modulate
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.listening import Listener
from host.terminal.trust import Trust
from tests.issuer import NOW, ORDERS, Issuer

ISSUER, STRANGER = Issuer(), Issuer(seed=1)
KEY, NEXT_KEY = CipherKey(1, bytes(range(32))), CipherKey(2, bytes(range(1, 33)))
FOREIGN_KEY = CipherKey(1, bytes(32))
DAY = 86400


class Recording(Receiver):
    """Packets that were recorded before."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = list(packets)

    def packets(self, _seconds: float | None = None) -> Iterator[bytes]:
        while self._packets:
            yield self._packets.pop(0)


class Terminal:
    """A store that listens, and what was told of it."""

    def __init__(self, folder: Path, *keys: CipherKey) -> None:
        self.folder, self.told, self.now = folder, list[str](), NOW
        self.store = BlacklistStore.import_trust(folder, Trust(1, currency("EUR"), ISSUER.keys).encode())
        self.store.import_cipher_keys(CipherKeys(1, "terminals", keys or (KEY,)).encode())
        self.listener = Listener(self.store, self.told.append, lambda: self.now)

    def hear(self, packets: Sequence[bytes], once: bool = False) -> None:
        self.listener.listen(Recording(packets), once=once)
        kept = BlacklistStore(self.folder)
        assert (kept.number, kept.newest_known) == (self.store.number, self.store.newest_known)

    def lists(self, *serials: int) -> bool:
        edition = BlacklistStore(self.folder).edition
        return edition is not None and edition.serials.tolist() == list(serials)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "terminal")


def full(edition: Edition, key: CipherKey = KEY) -> OnAir:
    return OnAir(edition.number, 0, key, modulate(edition.content(), key))


def step(older: Edition, newer: Edition, key: CipherKey = KEY) -> OnAir:
    sealed = modulate(newer.delta_from(older), key)
    return OnAir(newer.number, newer.number - older.number, key, sealed)


def sent(*objects: OnAir) -> list[bytes]:
    """Enough packets of every object, one object after another."""
    return [packet for one in objects for packet in Carousel([one], 64).burst(1.2)]


def edition(number: int, *serials: int, issuer: Issuer = ISSUER, time: int = NOW) -> Edition:
    return issuer.edition(number, *serials, time=time)


# --- what is meant to work ---------------------------------------------------------------------------------


def test_a_full_list_comes_in_force(terminal: Terminal) -> None:
    terminal.hear(sent(full(edition(3, 5, 6))))
    assert terminal.lists(5, 6)
    assert terminal.told == ["edition 3 is in force: 2 cards listed, as a full list"]
    assert terminal.listener.is_current


def test_a_step_comes_in_force_on_the_edition_that_it_goes_on_from(terminal: Terminal) -> None:
    one, two = edition(1, 5, 6), edition(2, 6, 7)
    terminal.hear(sent(full(one), step(one, two)))
    assert terminal.lists(6, 7)
    assert terminal.told[-1] == "edition 2 is in force: 2 cards listed, by the step from edition 1"


def test_steps_that_come_before_their_turn_are_kept(terminal: Terminal) -> None:
    one, two, four = edition(1, 5), edition(2, 5, 6), edition(4, 6, 7)
    terminal.hear(sent(step(two, four), step(one, two), full(one)))
    assert terminal.lists(6, 7)
    assert terminal.store.number == 4


def test_a_terminal_that_missed_editions_catches_up_by_steps_or_by_the_full_list(terminal: Terminal) -> None:
    one, two, three = edition(1, 5), edition(2, 5, 6), edition(3, 5, 6, 7)
    terminal.hear(sent(full(one)))
    terminal.hear(sent(step(two, three)))
    assert terminal.lists(5)
    terminal.hear(sent(full(three)))
    assert terminal.lists(5, 6, 7)


def test_a_carousel_with_losses_reordering_and_repetition_makes_it_current(terminal: Terminal) -> None:
    random = Random(1)
    one, two = edition(1, *range(0, 3000, 7)), edition(2, *range(0, 3000, 6))
    packets = list(islice(Carousel([step(one, two), full(two)], 64).packets(), 400))
    heard = [packet for packet in packets if random.random() > 0.3]
    random.shuffle(heard)
    terminal.hear([packet for packet in heard for _ in range(2)])
    assert terminal.store.number == 2


def test_once_ends_when_what_is_on_the_air_is_in_force(terminal: Terminal) -> None:
    packets = sent(full(edition(3, 5, 6))) * 5
    recording = Recording(packets)
    terminal.listener.listen(recording, once=True)
    assert len(list(recording.packets())) > len(packets) / 2
    again = Recording(packets)
    terminal.listener.listen(again, once=True)
    assert len(list(again.packets())) == len(packets) - 1


class Line(Recording):
    """A line that has these packets, and fails to answer when they are taken."""

    way = Way.LINE

    def __init__(self, packets: Sequence[bytes]) -> None:
        super().__init__(packets)
        self.seconds: list[float | None] = []

    def packets(self, seconds: float | None = None) -> Iterator[bytes]:
        self.seconds.append(seconds)
        if not self._packets:
            raise BearerError("nobody answers")
        yield self._packets.pop(0)


def tuned_in(terminal: Terminal, line: Line, monkeypatch: pytest.MonkeyPatch, *, once: bool) -> None:
    monkeypatch.setattr("host.terminal.listening.open_receiver", lambda *_: line)
    monkeypatch.setattr("host.terminal.listening._AGAIN_SECONDS", 0.01)
    terminal.listener.tune_in("mqtt:broker", host.air.Line(), 0.5, once)


def test_a_line_that_never_answered_is_an_error(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    for once in (False, True):
        with pytest.raises(BearerError, match="nobody answers"):
            tuned_in(terminal, Line([]), monkeypatch, once=once)


def test_a_line_that_has_answered_is_asked_again(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned_in(terminal, Line(sent(full(edition(1, 5)))), monkeypatch, once=False)
    assert terminal.lists(5)
    assert terminal.told.count("nobody answers") > 1


def test_a_line_that_is_asked_again_has_longer_to_answer(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.terminal.listening._ASK_SECONDS", 0.01)
    line = Line([])
    with pytest.raises(BearerError):
        tuned_in(terminal, line, monkeypatch, once=True)
    assert line.seconds[:3] == [0.01, 0.02, 0.04]


def chain(last: int) -> list[Edition]:
    """Editions 1 to the last, each with one card more."""
    return [edition(number, *range(5, 5 + number)) for number in range(1, last + 1)]


def test_once_goes_on_through_every_step_that_is_on_the_way(terminal: Terminal) -> None:
    """As a line gives them: each step whole, the oldest first."""
    editions = chain(5)
    terminal.hear(sent(full(editions[0])))
    steps = [step(older, newer) for older, newer in pairwise(editions)]
    terminal.hear([packet for one in steps for packet in Carousel([one], 16).bundle()[0]], once=True)
    assert terminal.store.number == 5


@pytest.mark.parametrize("steps_only", [True, False])
def test_once_does_not_take_an_older_step_for_the_newest(terminal: Terminal, steps_only: bool) -> None:
    """Whatever is on the air when the terminal is switched on."""
    editions = chain(5)
    steps = [step(older, newer) for older, newer in pairwise(editions)]
    on_air = steps if steps_only else [full(editions[4]), *steps]
    packets = list(islice(Carousel(on_air, 64).packets(), 300))
    BlacklistStore(terminal.folder).import_edition(editions[2].encode())
    first = next(place for place, packet in enumerate(packets) if packet[:2] == b"\0\3")
    recording = Recording(packets[first:])
    terminal.listener.listen(recording, once=True)
    assert terminal.store.number == 5
    assert len(list(recording.packets())) > 100


def test_a_step_that_waits_tells_that_the_list_is_old(terminal: Terminal) -> None:
    editions = chain(4)
    terminal.hear(sent(full(editions[0]), step(editions[2], editions[3])))
    assert terminal.lists(5)
    assert not terminal.listener.is_current
    assert terminal.store.staleness(NOW) == "edition 1 is old: edition 4 has been seen"


def test_group_keys_roll_over_while_it_listens(terminal: Terminal) -> None:
    terminal.hear(sent(full(edition(1, 5))))
    new = sent(full(edition(2, 6), NEXT_KEY))
    terminal.hear(new)
    assert terminal.store.number == 1
    BlacklistStore(terminal.folder).import_cipher_keys(CipherKeys(1, "terminals", (KEY, NEXT_KEY)).encode())
    terminal.hear(new)
    assert terminal.lists(6)
    BlacklistStore(terminal.folder).import_cipher_keys(CipherKeys(1, "terminals", (NEXT_KEY,)).encode())
    terminal.hear(sent(full(edition(3, 7), KEY)))
    assert terminal.lists(6)
    terminal.hear(sent(full(edition(3, 7), NEXT_KEY)))
    assert terminal.lists(7)


def test_an_edition_that_another_process_took_is_known(terminal: Terminal) -> None:
    one, two = edition(1, 5), edition(2, 5, 6)
    BlacklistStore(terminal.folder).import_edition(one.encode())
    terminal.hear(sent(step(one, two)))
    assert terminal.lists(5, 6)


def test_without_cipher_keys_nobody_listens(tmp_path: Path) -> None:
    store = BlacklistStore.import_trust(tmp_path, Trust(1, currency("EUR"), ISSUER.keys).encode())
    with pytest.raises(InputError, match="saifu center cipher-keys"):
        Listener(store, print)


# --- the attacks of TUF, by somebody who has every secret of a terminal ------------------------------------


def test_whoever_holds_every_secret_of_a_terminal_cannot_make_a_list(terminal: Terminal) -> None:
    """Also not with a true head of the center around another list."""
    true = edition(3, 5)
    terminal.hear(sent(full(true)))
    forged_head = Edition(Signed.make(edition(9).head.body, STRANGER.orders), 9, edition(9).tree)
    mixed = Edition(edition(9, 6).head, 9, edition(9, 7).tree)
    for made in (edition(9, 6, issuer=STRANGER), edition(9, 6, issuer=Issuer(number=2)), forged_head, mixed):
        terminal.hear(sent(full(made)))
    assert terminal.lists(5)
    assert terminal.store.number == 3
    assert sum(line.startswith("refused: ") for line in terminal.told) == 4
    terminal.hear(sent(full(edition(9, 8))))
    assert terminal.lists(8)


def test_rollback_an_older_edition_is_never_taken(terminal: Terminal) -> None:
    one, two, three = edition(1, 5), edition(2), edition(3, 5, 6)
    terminal.hear(sent(full(three)))
    terminal.hear(sent(full(two), full(one), step(one, two)))
    assert terminal.lists(5, 6)
    terminal.hear(sent(OnAir(4, 0, KEY, modulate(two.content(), KEY))))
    assert terminal.lists(5, 6)
    assert terminal.told[-1] == "refused: the packets name another edition than the one that they carry"


def test_freeze_a_list_that_should_have_been_replaced_is_not_taken_but_known(terminal: Terminal) -> None:
    terminal.hear(sent(full(edition(1, 5))))
    terminal.now = NOW + DAY + 3600
    assert terminal.store.staleness(terminal.now) == "edition 1 is old: the next one was due 60 minutes ago"
    terminal.hear(sent(full(edition(2, 6))))
    assert terminal.lists(5)
    assert "edition 2 has expired" in terminal.told[-1]
    assert "edition 1 stays in force" in terminal.told[-1]
    assert terminal.store.staleness(terminal.now) == "edition 1 is old: edition 2 has been seen"
    terminal.hear(sent(full(edition(3, 7, time=NOW + DAY))))
    assert terminal.lists(7)
    assert terminal.store.staleness(terminal.now) is None


def test_mix_and_match_the_step_of_one_list_does_not_lead_to_another(terminal: Terminal) -> None:
    one, two, other = edition(1, 5), edition(2, 5, 6), edition(2, 5, 7)
    head_size = 1 + len(two.head.raw)
    mixed = b"\x01" + two.head.raw + other.delta_from(one)[head_size:]
    terminal.hear(sent(full(one), OnAir(2, 1, KEY, modulate(mixed, KEY))))
    assert terminal.lists(5)
    assert "root" in terminal.told[-1]
    terminal.hear(sent(step(one, two)))
    assert terminal.lists(5, 6)


def test_mix_and_match_a_bad_step_that_waited_for_its_turn_does_not_keep_the_good_one_out(terminal: Terminal) -> None:
    one, two, other = edition(1, 5), edition(2, 5, 6), edition(2, 5, 7)
    mixed = b"\x01" + two.head.raw + other.delta_from(one)[1 + len(two.head.raw) :]
    terminal.hear(sent(OnAir(2, 1, KEY, modulate(mixed, KEY)), full(one)))
    assert terminal.lists(5)
    terminal.hear(sent(step(one, two)))
    assert terminal.lists(5, 6)


def test_fast_forward_a_number_that_nobody_signed_does_not_keep_true_editions_out(terminal: Terminal) -> None:
    far = 0xFFFFFFFF
    head = Head(ORDERS, 1, far, NOW, NOW + DAY, 0, bytes(24))
    signed = Signed.make(head, STRANGER.orders)
    terminal.hear(sent(OnAir(far, 0, KEY, modulate(Edition(signed, 0, edition(1).tree).content(), KEY))))
    assert (terminal.store.number, terminal.store.newest_known) == (0, 0)
    terminal.hear(sent(full(edition(1, 5))))
    assert terminal.lists(5)
    for number in (2, 0x7FFF, 0x8001):
        garbage = OnAir(number, 0, KEY, modulate(b"\0" * 300, KEY))
        terminal.hear(sent(garbage))
    terminal.hear(sent(full(edition(2, 6))))
    assert terminal.lists(6)


def test_endless_data_costs_bounded_memory_and_changes_nothing(terminal: Terminal) -> None:
    """A stream that goes on for ever, of an object that never ends, and of ever new ones."""
    terminal.hear(sent(full(edition(1, 5))))
    random = Random(2)
    long = OnAir(2, 0, KEY, random.randbytes(60_000))
    terminal.hear(list(islice(Carousel([long], 64).packets(), 3000)))
    for number in range(3, 60):
        terminal.hear(Carousel([OnAir(number, 0, KEY, random.randbytes(2000))], 64).burst()[:5])
    assert terminal.lists(5)
    assert len(terminal.listener.reception.progress) <= 6
    last = edition(70, 9)
    terminal.hear(sent(full(last)))
    assert terminal.lists(9)


def test_another_groups_broadcast_is_noise(terminal: Terminal) -> None:
    terminal.hear(sent(full(edition(1, 5), FOREIGN_KEY)))
    assert terminal.store.number == 0
    assert terminal.listener.reception.statistics.forged == terminal.listener.reception.statistics.received


def test_half_of_the_traffic_forged_does_not_keep_the_list_out(terminal: Terminal) -> None:
    random = Random(4)
    true = list(islice(Carousel([full(edition(1, *range(0, 9000, 9)))], 64).packets(), 60))
    noise = [one[:7] + random.randbytes(len(one) - 7) for one in true]
    both = [*true, *noise]
    random.shuffle(both)
    terminal.hear(both)
    assert terminal.store.number == 1
    assert terminal.listener.reception.statistics.forged > 20
