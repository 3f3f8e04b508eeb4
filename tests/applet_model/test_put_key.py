"""PUT KEY on the card: the maker's keys give way to the issuer's, all of them at once or none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.cipher import cbc_encrypt, key_check_value
from apdu.commands import Ins
from apdu.errors import SecureChannelError
from apdu.identity import LifeCycle
from applet_model.backing import MemoryBacking
from applet_model.memory_map import SCP_TRIES, ChipKeys, MemoryMap, blank_image
from host.scp03 import StaticKeys
from tests.applet_model.cards import ISSUER, SERIAL, CopiedCard, blank, image_in
from tests.applet_model.personalizing import Personalizing, assert_usable, begun
from tests.issuer import STATIC

VERSION = 5
NEW = StaticKeys(bytes(range(50, 66)), bytes(range(66, 82)), bytes(range(82, 98)))


def block(key: bytes, dek: bytes = STATIC.dek, check: bytes | None = None, filling: bytes = b"") -> bytes:
    """One key as it comes."""
    secret = cbc_encrypt(dek, bytes(16), key + filling.ljust(-len(key) % 16, b"\0"))
    told = key_check_value(key) if check is None else check
    return bytes((0x88, 1 + len(secret), len(key))) + secret + bytes((len(told),)) + told


def data(keys: StaticKeys = NEW, version: int = VERSION, dek: bytes = STATIC.dek) -> bytes:
    return bytes((version,)) + b"".join(block(key, dek) for key in (keys.enc, keys.mac, keys.dek))


def put(work: Personalizing, raw: bytes, p1: int = 0) -> int:
    return work.send(Ins.PUT_KEY, p1, 0x81, raw).sw


def keys_in(card: CopiedCard) -> tuple[int, StaticKeys]:
    cells = MemoryMap.open(MemoryBacking(card.image()))
    size = cells.key_size.number()
    raw = (cell.get()[:size] for cell in (cells.static_enc, cells.static_mac, cells.static_dek))
    return cells.key_version.number(), StaticKeys(*raw)


# --- what it does ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("before", [16, 24, 32])
def test_keys_of_any_size_take_the_place_of_keys_of_any_size(before: int, size: int) -> None:
    old = StaticKeys(*(bytes(range(first, first + before)) for first in (1, 2, 3)))
    new = StaticKeys(*(bytes(range(first, first + size)) for first in (101, 102, 103)))
    card = CopiedCard(blank_image(ChipKeys(bytes(10), 0xFF, old.enc, old.mac, old.dek), 8, 1))
    answer = Personalizing(card, old).send(Ins.PUT_KEY, 0, 0x81, data(new, dek=old.dek))
    checks = b"".join(map(key_check_value, (new.enc, new.mac, new.dek)))
    assert (answer.sw, answer.data) == (0x9000, bytes((VERSION,)) + checks)
    assert keys_in(card) == (VERSION, new)
    assert Personalizing(card, new).generate()
    with pytest.raises(SecureChannelError, match="cryptogram"):
        Personalizing(card, old)


def test_the_answer_comes_through_the_channel_and_then_the_channel_is_gone() -> None:
    work = begun()
    assert put(work, data()) == 0x9000
    assert work.send(Ins.GENERATE_KEY_PAIR, 0x81, 0).sw == 0x6882
    assert work.card.send(0x80, Ins.GENERATE_KEY_PAIR, 0x81, 0).sw == 0x6982


def test_what_was_stored_counts_and_the_purse_is_made_with_the_new_keys() -> None:
    work = begun()
    groups = work.groups()
    first = {name: group for name, group in groups.items() if name not in ("CREDIT", "REFERENCE_DATA")}
    assert [work.store(group) for group in first.values()] == [0x9000] * len(first)
    assert put(work, data()) == 0x9000
    again = Personalizing(work.card, NEW)
    secret = {"REFERENCE_DATA": again.reference_data(), "CREDIT": groups["CREDIT"]}
    assert again.store_all(secret) == 0x9000
    assert_usable(work.card)


@pytest.mark.parametrize("state", [LifeCycle.BLANK, LifeCycle.PERSONALIZATION])
def test_the_state_stays(state: LifeCycle) -> None:
    work = Personalizing(CopiedCard(image_in(state)))
    assert put(work, data()) == 0x9000
    assert work.state is state


def test_the_sequence_counter_goes_on_so_that_no_challenge_comes_twice_with_keys_that_come_back() -> None:
    """Whoever recorded the first channel could repeat it, if the old keys began anew at 0."""
    card = blank()
    seen = set()
    for keys, other, p1 in ((STATIC, NEW, 0), (NEW, STATIC, 5), (STATIC, NEW, 5)):
        work = Personalizing(card, keys)
        seen.add(work.channel.card.card_challenge)
        assert put(work, data(other, dek=keys.dek), p1) == 0x9000
    assert len(seen) == 3


def test_a_key_of_24_bytes_is_filled_up_with_anything() -> None:
    keys = [bytes(range(first, first + 24)) for first in (1, 2, 3)]
    raw = bytes((VERSION,)) + b"".join(block(key, filling=b"whatever") for key in keys)
    work = begun()
    assert put(work, raw) == 0x9000
    assert keys_in(work.card) == (VERSION, StaticKeys(*keys))


# --- what it declines --------------------------------------------------------------------------------------

SPOILT: dict[str, tuple[int, Callable[[], bytes]]] = {
    "version 00": (0x6A80, lambda: data(version=0)),
    "version 80": (0x6A80, lambda: data(version=0x80)),
    "version FF": (0x6A80, lambda: data(version=0xFF)),
    "no key": (0x6A80, lambda: data()[:1]),
    "two keys": (0x6A80, lambda: data()[:-23]),
    "four keys": (0x6A80, lambda: data() + block(NEW.enc)),
    "a byte behind": (0x6A80, lambda: data() + b"\0"),
    "another type": (0x6A80, lambda: data()[:1] + b"\x80" + data()[2:]),
    "a length that is not right": (0x6A80, lambda: data()[:2] + b"\x10" + data()[3:]),
    "keys of two sizes": (0x6A80, lambda: data()[:-23] + block(bytes(range(32)))),
    "a check value of two bytes": (0x6A80, lambda: data()[:-4] + b"\x02" + data()[-3:-1]),
    "a wrong check value": (0x9485, lambda: data()[:-1] + bytes((data()[-1] ^ 1,))),
    "a key under another DEK": (0x9485, lambda: data(dek=NEW.dek)),
    "a key in clear": (0x9485, lambda: data()[:4] + NEW.enc + data()[20:]),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_changes_nothing_takes_no_try_and_leaves_the_channel_open(name: str) -> None:
    word, spoilt = SPOILT[name]
    work = begun()
    before = work.card.image()
    assert [put(work, spoilt()) for _ in range(SCP_TRIES + 1)] == [word] * (SCP_TRIES + 1)
    assert work.card.image() == before
    assert put(work, data()) == 0x9000


@pytest.mark.parametrize(("has", "right"), [(0xFF, 0x00), (0x01, 0x01), (0x7F, 0x7F)])
def test_the_version_to_replace_is_that_of_the_card(has: int, right: int) -> None:
    card = CopiedCard(blank_image(ChipKeys(bytes(10), has, STATIC.enc, STATIC.mac, STATIC.dek), 8, 1))
    work = Personalizing(card)
    assert {put(work, data(), p1) for p1 in range(0x80) if p1 != right} == {0x6A88}
    assert {put(work, data(), p1) for p1 in (0x80, 0xFF)} == {0x6A86}
    assert put(work, data(), right) == 0x9000


def test_without_a_channel_there_are_no_new_keys() -> None:
    card = blank().selected()
    assert card.send(0x80, Ins.PUT_KEY, 0, 0x81, data()).sw == 0x6982


def test_a_purse_takes_no_keys_any_more() -> None:
    card = blank()
    ISSUER.personalize(card, ISSUER.parameters(SERIAL))
    assert card.selected().send(0x80, Ins.PUT_KEY, 0, 0x81, data()).sw == 0x6985


@given(st.binary(min_size=1, max_size=150))
def test_bytes_that_are_no_keys_change_nothing(raw: bytes) -> None:
    work = Personalizing()
    before = keys_in(work.card)
    assert put(work, raw) in (0x6A80, 0x9485)
    assert keys_in(work.card) == before


@given(st.integers(0, 69), st.integers(1, 255))
def test_keys_with_a_byte_changed_are_not_taken(at: int, change: int) -> None:
    good = data()
    work = Personalizing()
    spoilt = good[:at] + bytes((good[at] ^ change,)) + good[at + 1 :]
    taken = at == 0 and 0 < spoilt[0] < 0x80
    assert put(work, spoilt) in ((0x9000,) if taken else (0x6A80, 0x9485))
    assert keys_in(work.card) == ((spoilt[0], NEW) if taken else (0xFF, STATIC))
