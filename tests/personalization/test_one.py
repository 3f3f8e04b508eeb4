"""One card: from blank to purse, over SCP03, with every way in which that goes wrong."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import pytest

from apdu.errors import (
    CardRemovedError,
    FormatError,
    InputError,
    OutcomeUnknownError,
    RefusedError,
    SecureChannelError,
    StoreError,
)
from apdu.identity import CardId, LifeCycle
from apdu.status import StatusError
from host.connection import CardConnection, CardSlot, Ejection
from host.model import Cut, ModelSlot
from host.session import PurseSession, pin_block
from personalization.card_keys import CardKeys, derived, issuer_session, public_transport_keys
from personalization.diversification import resetting_code
from personalization.keystore import MasterKey
from personalization.one import Letter, create_blank, personalize_card, random_pin
from tests.personalization.bureau import KEYS, MASTER, TRANSPORT, Bureau, has_issuer_keys, keys_in, tries

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau(tmp_path / "bureau")


@pytest.fixture
def image(bureau: Bureau) -> Path:
    """A blank card."""
    path = bureau.folder / "one.card"
    create_blank(path, TRANSPORT, bureau.profile)
    return path


@pytest.fixture
def letter(bureau: Bureau) -> Letter:
    return new_letter(bureau)


def new_letter(bureau: Bureau) -> Letter:
    """A letter for a new card ID."""
    card = bureau.center.allot(bureau.profile.role, "Aoi")
    return Letter(card, "Aoi", "2468", resetting_code(MASTER.key, card))


def slot(image: Path) -> ModelSlot:
    return ModelSlot("desk", path=image)


@contextmanager
def look(image: Path) -> Iterator[PurseSession]:
    """A session with the card of an image."""
    found = slot(image)
    try:
        yield PurseSession(found.connect())
    finally:
        found.close()


def make(bureau: Bureau, image: Path, letter: Letter, keys: CardKeys = KEYS) -> None:
    personalize_card(slot(image), letter, bureau.profile, keys, bureau.center)


def test_a_blank_card_becomes_a_purse(bureau: Bureau, image: Path, letter: Letter) -> None:
    make(bureau, image, letter)
    with look(image) as session:
        assert (session.card, session.selected.status.state) == (letter.card, LifeCycle.ACTIVE)
        assert session.get_parameters() == bureau.profile.parameters(letter.card, bureau.center.unit)
        assert bureau.center.trust.certified(session.get_certificate()).subject == letter.card
        assert session.get_credit()[0].body.serial == 1
        assert (session.get_capacities().history, session.get_capacities().unsettled) == (200, 4)
        assert (session.selected.status.balance, session.get_unsettled(), session.history(9)) == (0, [], [])


def test_pin_and_resetting_code_are_those_of_the_letter(bureau: Bureau, image: Path, letter: Letter) -> None:
    make(bureau, image, letter)
    with look(image) as session:
        session.verify(pin_block("2468"))
        session.reset_retry_counter(pin_block(letter.resetting_code), pin_block("1357"))
        session.verify(pin_block("1357"))
        with pytest.raises(StatusError, match="wrong"):
            session.verify(pin_block("2468"))


def test_a_letter_does_not_show_its_codes(letter: Letter) -> None:
    assert letter.pin not in repr(letter)
    assert letter.resetting_code not in repr(letter)


def test_random_pins_have_four_digits_and_are_not_always_the_same() -> None:
    pins = {random_pin() for _ in range(500)}
    assert all(len(pin) == 4 and pin.isdigit() for pin in pins)
    assert len(pins) > 400


def test_neither_pin_nor_master_key_nor_private_key_is_beside_the_image(
    bureau: Bureau, image: Path, letter: Letter
) -> None:
    make(bureau, image, letter)
    others = [path for path in bureau.folder.rglob("*") if path.is_file() and path != image]
    assert others
    for path in others:
        content = path.read_bytes()
        assert MASTER.key not in content, path
        assert b"2468" not in content, path
        assert letter.resetting_code.encode() not in content, path


# --- blank cards -------------------------------------------------------------------------------------------


@posix_only
def test_a_blank_image_is_its_owners_alone(image: Path) -> None:
    assert stat.S_IMODE(image.stat().st_mode) == 0o600


def test_a_card_is_never_overwritten(bureau: Bureau, image: Path) -> None:
    before = image.read_bytes()
    with pytest.raises(StoreError, match="there is a card of this name already"):
        create_blank(image, TRANSPORT, bureau.profile)
    assert image.read_bytes() == before


def test_every_blank_card_has_keys_of_its_own_and_never_the_master_key(bureau: Bureau, image: Path) -> None:
    other = bureau.folder / "other.card"
    create_blank(other, TRANSPORT, bureau.profile)
    contents = [image.read_bytes(), other.read_bytes()]
    assert contents[0] != contents[1]
    assert all(MASTER.key not in content for content in contents)


@pytest.mark.parametrize("scheme", ["sp800-108", "an10922"])
@pytest.mark.parametrize("size", [16, 24, 32])
def test_every_scheme_and_size_of_key(bureau: Bureau, letter: Letter, scheme: str, size: int) -> None:
    master, image = MasterKey("m", 7, scheme, bytes(range(size))), bureau.folder / "sized.card"
    create_blank(image, public_transport_keys, bureau.profile)
    make(bureau, image, letter, CardKeys(master))
    assert len(keys_in(image)[1].enc) == size
    assert has_issuer_keys(image, master)
    with look(image) as session:
        assert session.card == letter.card


# --- what is refused ---------------------------------------------------------------------------------------


def put_issuer_keys(image: Path) -> None:
    """A run was cut right after the maker's keys were replaced."""
    found = slot(image)
    issuer_session(found.connect(), KEYS)
    found.close()
    assert has_issuer_keys(image)


@pytest.mark.parametrize("wrong", [CardKeys(MASTER), CardKeys(MASTER, derived(MASTER))], ids=["public", "derived"])
def test_wrong_transport_keys_burn_no_try(bureau: Bureau, image: Path, letter: Letter, wrong: CardKeys) -> None:
    before = image.read_bytes()
    for _ in range(12):
        with pytest.raises(SecureChannelError, match=r"those of its maker \(see --transport-keys\); no try was taken"):
            make(bureau, image, letter, wrong)
    assert (tries(image), keys_in(image)[0]) == (10, 0xFF)
    assert len(before) == image.stat().st_size
    make(bureau, image, letter)


@pytest.mark.parametrize(
    "wrong",
    [
        MasterKey("cards", 1, "sp800-108", bytes(range(1, 17))),
        MasterKey("cards", 1, "an10922", MASTER.key),
    ],
)
def test_a_wrong_master_key_burns_no_try_of_a_card_that_was_given_another(
    bureau: Bureau, image: Path, letter: Letter, wrong: MasterKey
) -> None:
    put_issuer_keys(image)
    for _ in range(12):
        with pytest.raises(SecureChannelError, match=r"those of this master key \(see --key\); no try was taken"):
            make(bureau, image, letter, CardKeys(wrong, TRANSPORT))
    assert has_issuer_keys(image)
    make(bureau, image, letter)


def test_a_key_of_another_version_is_told(bureau: Bureau, image: Path, letter: Letter) -> None:
    put_issuer_keys(image)
    with pytest.raises(InputError, match="the card has key version 1, key cards is 9"):
        make(bureau, image, letter, CardKeys(MasterKey("cards", 9, "sp800-108", MASTER.key), TRANSPORT))
    assert tries(image) == 10


def test_a_makers_master_key_is_not_taken_for_cards_of_ones_own() -> None:
    with pytest.raises(InputError, match=r"key maker is a card maker's \(version 255\)"):
        CardKeys(MasterKey("maker", 255, "sp800-108", MASTER.key))


def test_no_key_is_in_a_repr() -> None:
    assert repr(KEYS) == "CardKeys(issuer=MasterKey(name='cards', version=1, scheme='sp800-108'))"


def test_a_card_that_is_made_is_not_made_again(bureau: Bureau, image: Path, letter: Letter) -> None:
    make(bureau, image, letter)
    before = image.read_bytes()
    with pytest.raises(RefusedError, match=f"card {letter.card} is active already; put a blank card in"):
        make(bureau, image, letter)
    assert image.read_bytes() == before


def test_a_number_that_was_never_given_out_gets_no_card(bureau: Bureau, image: Path) -> None:
    stranger = Letter(CardId.of(1, 99), "nobody", "1234", "12345678")
    with pytest.raises(RefusedError, match="not in this center's registry"):
        make(bureau, image, stranger)
    with look(image) as session:
        assert session.selected.card is None


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "\uff11\uff12\uff13\uff14"])
def test_a_pin_that_is_none_reaches_no_card(bureau: Bureau, image: Path, letter: Letter, pin: str) -> None:
    before = image.read_bytes()
    with pytest.raises(FormatError, match="a PIN has 4 to 8 digits"):
        make(bureau, image, Letter(letter.card, "Aoi", pin, letter.resetting_code))
    assert image.read_bytes() == before


# --- a card that is pulled out -----------------------------------------------------------------------------


class LooseSlot:
    """A slot whose contact is lost at the n-th command, before or after the card has seen it."""

    name = "loose"

    def __init__(self, image: Path, command: int, after: bool) -> None:
        self._slot, self._left, self._after = slot(image), command, after

    def connect(self) -> CardConnection:
        self._slot.connect()
        return self

    def transmit(self, command: bytes) -> bytes:
        self._left -= 1
        if self._left >= 0:
            return self._slot.transmit(command)
        if self._after:
            self._slot.transmit(command)
        raise CardRemovedError("the card is out")

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def eject(self) -> Ejection:
        return self._slot.eject()

    def close(self) -> None:
        self._slot.close()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_pulled_out_at_any_command_it_can_begin_again(bureau: Bureau, after: bool) -> None:
    """Under a new ID, since the old one may have been certified, and an ID has one key for ever."""
    commands, cut = 0, True
    while cut:
        image = bureau.folder / f"cut-{commands}.card"
        create_blank(image, TRANSPORT, bureau.profile)
        cut = is_cut(bureau, image, LooseSlot(image, commands, after))
        commands += 1
    assert commands > 15


@pytest.mark.parametrize("how", Cut)
def test_cut_at_any_write_of_the_cards_memory_it_can_begin_again(bureau: Bureau, how: Cut) -> None:
    """Whichever keys the card has after the cut, it ends active with the issuer's, and with all tries."""
    write, cut, between = 0, True, set[int]()
    while cut:
        image = bureau.folder / f"torn-{write}.card"
        create_blank(image, TRANSPORT, bureau.profile)
        torn = slot(image)
        torn.connect()
        torn.tear(write, how)
        cut = is_cut(bureau, image, torn, between)
        write += 1
    assert write > 60
    assert between == {0xFF, MASTER.version}


def is_cut(bureau: Bureau, image: Path, cut: CardSlot, between: set[int] | None = None) -> bool:
    """Whether personalization was cut; it is run again then, and either way the card is whole in the end.

    ``between`` gathers the versions of the keys that cards had after a cut.
    """
    letter, was_cut = new_letter(bureau), False
    try:
        personalize_card(cut, letter, bureau.profile, KEYS, bureau.center)
    except (CardRemovedError, OutcomeUnknownError):
        was_cut = True
        with look(image) as session:
            made = session.selected.status.state is LifeCycle.ACTIVE
        assert tries(image) >= 9
        if between is not None:
            between.add(keys_in(image)[0])
        if not made:
            letter = new_letter(bureau)
            make(bureau, image, letter)
    with look(image) as session:
        assert (session.card, session.selected.status.state) == (letter.card, LifeCycle.ACTIVE)
        session.verify(pin_block("2468"))
    assert has_issuer_keys(image)
    return was_cut
