"""Bad input from the air, kind by kind: nothing of it is taken, and what is true is taken all the same."""

import tracemalloc
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broadcast.carousel import Carousel, OnAir
from broadcast.edition import Edition
from broadcast.packets import Packet
from host.terminal.blacklist_store import BlacklistStore
from tests.host.terminal.bad_air import DAY, KEY, NOISE, SIZE, Terminal, edition, full, sent, step
from tests.issuer import NOW

MOST_MEMORY = 64 << 20
"""Bytes: what the longest object takes while it is opened, several times over."""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path / "terminal")


@pytest.mark.parametrize("kind", NOISE)
def test_noise_is_not_taken_and_does_not_keep_the_truth_out(terminal: Terminal, kind: str) -> None:
    terminal.hear(NOISE[kind]())
    assert terminal.lists() == [5]
    assert terminal.store.number == BlacklistStore(terminal.folder).number == 1
    assert not any("in force:" in line for line in terminal.told)
    assert len(terminal.told) <= 32
    terminal.now = NOW + 3 * DAY
    assert (terminal.store.staleness(terminal.now) or "").startswith("edition 1 is old: ")
    terminal.hear(islice(Carousel([full(edition(300, 5, 7, time=terminal.now))], SIZE).packets(), 40))
    assert terminal.lists() == [5, 7]
    assert terminal.listener.reception.current == 300


@pytest.mark.parametrize("kind", [
    "oversize",
    "a_list_of_everybody_in_few_bytes",
    "ever_new_objects_that_do_not_end",
    "ever_new_steps_that_wait_for_what_never_comes",
])  # fmt: skip
def test_noise_costs_bounded_memory(terminal: Terminal, kind: str) -> None:
    noise = NOISE[kind]()
    tracemalloc.start()
    try:
        terminal.hear(noise)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert len(terminal.listener.reception.progress) <= 6


def test_of_steps_that_wait_the_nearest_are_kept_and_what_was_dropped_can_come_again(terminal: Terminal) -> None:
    lists = {number: edition(number, *range(5, 5 + number)) for number in range(1, 22)}
    terminal.store.import_edition(lists[1].encode())
    steps = {number: sent(step(lists[number - 1], lists[number])) for number in range(3, 22)}
    for number in reversed(steps):
        terminal.hear(steps[number])
    terminal.hear(sent(step(lists[1], lists[2])))
    assert terminal.store.number == 18
    for number in (19, 20, 21):
        terminal.hear(steps[number])
    assert terminal.store.number == 21


def test_a_step_that_waits_is_taken_when_another_process_brings_its_base(terminal: Terminal) -> None:
    two, three = edition(2, 5, 6), edition(3, 6)
    terminal.hear(sent(step(two, three)))
    BlacklistStore(terminal.folder).import_edition(two.encode())
    terminal.hear([b""])
    assert (terminal.store.number, terminal.lists()) == (3, [6])


def test_what_had_expired_by_a_wrong_clock_is_taken_when_the_clock_is_right(terminal: Terminal) -> None:
    new = sent(full(edition(2, 5, 6)))
    terminal.now = NOW + 1000 * DAY
    terminal.hear(new)
    assert terminal.store.number == 1
    terminal.now = NOW
    terminal.hear(new)
    assert terminal.lists() == [5, 6]


def test_bad_news_is_told_ever_less_until_there_is_good_news(terminal: Terminal) -> None:
    bad = Packet(2, 0, 1, 0, (20).to_bytes(4) + bytes(20)).encode(KEY.packet_key)
    terminal.hear([bad] * 1000)
    assert len(terminal.told) == 16 + 5
    assert terminal.told[-1].endswith("(512 of this kind so far)")
    terminal.hear(sent(full(edition(2, 5, 6))))
    terminal.hear([Packet(3, 0, 1, 0, bytes(4) + bytes(20)).encode(KEY.packet_key)])
    assert terminal.told[-2].startswith("edition 2 is in force")
    assert terminal.told[-1].startswith("refused: ")


# --- any mixture -------------------------------------------------------------------------------------------


def dated(number: int, *, is_expired: bool) -> Edition:
    return edition(number, *range(5, 5 + number), time=NOW - 2 * DAY if is_expired else NOW)


LISTS = {number: dated(number, is_expired=number in (4, 7)) for number in range(1, 9)}
EXPIRED = {4, 7}
OBJECTS: dict[tuple[int, int], OnAir] = {(0, number): full(LISTS[number]) for number in LISTS} | {
    (base, number): step(LISTS[base], LISTS[number]) for base, number in ((1, 2), (2, 3), (3, 5), (5, 6), (6, 8))
}
"""By base (0: full) and number; 4 and 7 have expired. One step goes on from each edition."""
PACKETS = {name: sent(one) for name, one in OBJECTS.items()}
ENDLESS = list(Carousel([OnAir(900, 0, KEY, Random(1).randbytes(20_000))], SIZE).bundle()[0])[:100]
"""By somebody of the group: a false edition that never ends."""


@dataclass
class Model:
    """What a terminal must come to: a full list or a step counts when all of it was heard."""

    number: int
    heard: dict[tuple[int, int], set[bytes]] = field(default_factory=dict)
    waiting: dict[int, int] = field(default_factory=dict)

    def hear(self, name: tuple[int, int], packet: bytes) -> None:
        heard = self.heard.setdefault(name, set())
        if packet in heard or name[1] <= self.number:
            return
        heard.add(packet)
        if len(heard) < len(PACKETS[name]):
            return
        base, number = name
        if base > self.number:
            self.waiting[base] = number
        elif number not in EXPIRED and base in (0, self.number):
            self.number = number
            while self.number in self.waiting:
                self.number = self.waiting[self.number]


@settings(max_examples=60)
@given(
    number=st.sampled_from([0, 1]),
    names=st.lists(st.sampled_from(sorted(OBJECTS)), unique=True, min_size=1, max_size=5),
    loss=st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    seed=st.integers(0, 1 << 32),
)
def test_any_mixture_leads_to_the_newest_edition_that_was_heard_whole_and_nowhere_else(
    number: int, names: list[tuple[int, int]], loss: float, seed: int
) -> None:
    random = Random(seed)
    air: list[tuple[tuple[int, int] | None, bytes]] = [
        (name, packet)
        for name in names
        for packet in PACKETS[name] * random.choice([1, 1, 2])
        if random.random() >= loss
    ]
    air += [(None, packet[:-1] + bytes([packet[-1] ^ 1])) for _, packet in air]
    air += [(None, packet) for packet in ENDLESS[: random.randrange(100)]]
    if random.random() < 0.8:
        random.shuffle(air)
    with TemporaryDirectory() as folder:
        terminal, model = Terminal(Path(folder), number), Model(number)
        for name, packet in air:
            before = model.number
            terminal.listener.take(packet)
            if name is not None:
                model.hear(name, packet)
            assert terminal.store.number == model.number >= before
        assert terminal.lists() == (LISTS[model.number].serials.tolist() if model.number else [])
