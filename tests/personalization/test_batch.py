"""A batch: every row becomes one card, whatever happens in between."""

import json
from pathlib import Path

import pytest

from apdu.errors import InputError, RefusedError, SecureChannelError
from apdu.identity import CardId, LifeCycle
from apdu.messages import Certificate, Credit, Signed
from host.model import ModelSlot
from host.session import PurseSession
from personalization.card_keys import CardKeys, issuer_session, public_transport_keys
from personalization.keystore import MasterKey
from personalization.one import Letter, create_blank
from personalization.profile import Profile
from tests.personalization.bureau import (
    KEYS,
    MASTER,
    TRANSPORT,
    Bureau,
    has_issuer_keys,
    kill_at,
    posix_only,
    tries,
)

WRONG = CardKeys(MASTER)
"""Cards do not come with the keys that everybody knows."""
OTHER = MasterKey("others", 1, "sp800-108", bytes(range(1, 17)))


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau(tmp_path / "bureau")


def test_every_row_becomes_a_card(bureau: Bureau) -> None:
    bureau.order("Aoi,1111", "Botan,", '"Chie, of Kyoto",33333333')
    lines = bureau.run()
    assert [(line.order.holder, line.card.serial, line.earlier) for line in lines] == [
        ("Aoi", 1, False),
        ("Botan", 2, False),
        ("Chie, of Kyoto", 3, False),
    ]
    assert [holder for _, _, holder in bureau.center.registered()] == ["Aoi", "Botan", "Chie, of Kyoto"]
    bureau.check_made()


def test_run_again_makes_no_card_twice(bureau: Bureau) -> None:
    bureau.order("Aoi,", "Botan,")
    bureau.run()
    images = [path.read_bytes() for path in sorted(bureau.cards.glob("*.card"))]
    assert [line.earlier for line in bureau.run()] == [True, True]
    assert images == [path.read_bytes() for path in sorted(bureau.cards.glob("*.card"))]
    assert len(bureau.center.registered()) == 2


# --- wrong keys --------------------------------------------------------------------------------------------


def blanks(bureau: Bureau) -> list[Path]:
    """The images of the first two rows, blank."""
    paths = [bureau.cards / f"line-{line}.card" for line in (2, 3)]
    bureau.cards.mkdir()
    for path in paths:
        create_blank(path, TRANSPORT, bureau.profile)
    return paths


def test_wrong_transport_keys_burn_no_try_and_stop(bureau: Bureau) -> None:
    bureau.order("Aoi,", "Botan,")
    paths = blanks(bureau)
    before = [(tries(path), path.read_bytes()) for path in paths]
    for _ in range(12):
        with pytest.raises(SecureChannelError):
            bureau.run(WRONG)
    assert [tries(path) for path in paths] == [tries_before for tries_before, _ in before]
    assert paths[1].read_bytes() == before[1][1], "the next card was never touched"
    assert len(bureau.center.registered()) == 1
    bureau.run()
    bureau.check_made()


def test_a_key_of_another_version_is_told_before_anything(bureau: Bureau) -> None:
    bureau.order("Aoi,")
    path = blanks(bureau)[0]
    found = ModelSlot("earlier", path=path)
    issuer_session(found.connect(), KEYS)
    found.close()
    with pytest.raises(InputError, match="the card has key version 1, key cards is 2"):
        bureau.run(CardKeys(MasterKey("cards", 2, "sp800-108", MASTER.key), TRANSPORT))
    assert tries(path) == 10


def cut_behind_put_key(bureau: Bureau) -> Path:
    """The second card has got its keys, and then the center was gone."""
    bureau.order("Aoi,", "Botan,")
    right, certified = bureau.center.certify, list[CardId]()

    def certify(card: CardId, point: bytes) -> tuple[Signed[Certificate], Signed[Credit]]:
        if certified:
            raise RefusedError("the line is cut")
        certified.append(card)
        return right(card, point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bureau.center, "certify", certify)
        with pytest.raises(RefusedError, match="the line is cut"):
            bureau.run()
    path = bureau.cards / "line-3.card"
    assert has_issuer_keys(path)
    return path


def test_a_batch_goes_on_with_the_master_key_that_it_began_with(bureau: Bureau) -> None:
    path = cut_behind_put_key(bureau)
    before = path.read_bytes()
    value = MASTER.kcv
    with pytest.raises(InputError, match=rf"line 3: .* keys of key cards \(check value {value}\), not of others"):
        bureau.run(CardKeys(OTHER, TRANSPORT))
    assert path.read_bytes() == before
    assert [line.earlier for line in bureau.run()] == [True, False]
    bureau.check_made()


def test_it_is_noted_which_card_gets_keys_of_which_master_key_and_no_key(bureau: Bureau) -> None:
    cut_behind_put_key(bureau)
    notes = [json.loads(line) for line in bureau.journal.read_text().splitlines()]
    keys = [note for note in notes if "kcv" in note]
    assert [(note["line"], note["key"], note["kcv"]) for note in keys] == [
        (2, "cards", MASTER.kcv), (3, "cards", MASTER.kcv),
    ]  # fmt: skip
    assert all(len(bytes.fromhex(note["chip"])) == 10 for note in keys)
    assert MASTER.key.hex() not in bureau.journal.read_text().lower()


def test_another_card_in_the_reader_is_not_overwritten(bureau: Bureau) -> None:
    bureau.order("Aoi,", "Botan,")
    bureau.run()
    other = bureau.cards / "line-2.card"
    bureau.order("Chie,")
    bureau.journal.unlink()
    before = other.read_bytes()
    with pytest.raises(RefusedError, match="a blank card is wanted"):
        bureau.run()
    assert other.read_bytes() == before


def test_a_merchants_profile_makes_merchants(bureau: Bureau) -> None:
    bureau.order("Shop,")
    bureau.profile = Profile.load("merchant", bureau.center.unit)
    bureau.run()
    slot = ModelSlot("look", path=bureau.cards / "line-2.card")
    session = PurseSession(slot.connect())
    assert session.get_parameters().role.name == "MERCHANT"
    assert session.get_capacities().history == 1000
    slot.close()


# --- interruptions -----------------------------------------------------------------------------------------


@posix_only
def test_killed_at_any_moment_it_goes_on_where_it_was(bureau: Bureau, tmp_path: Path) -> None:
    """Killed before the n-th act, for each n from the first to the last: then one more run ends it."""
    bureau.order("Aoi,1111", "Botan,")
    bureau.center.close()
    act, killed = 1, True
    while killed:
        copy = bureau.copy(tmp_path / f"killed at {act}")
        killed = kill_at(act, copy.folder, copy.run)
        copy.run()
        copy.check_made()
        copy.center.close()
        act += 1 if act < 24 else 4
    assert act > 100, "the batch was hardly interrupted"


@posix_only
def test_killed_again_and_again_it_still_ends(bureau: Bureau) -> None:
    """Every run gets a few acts further than the one before was let."""
    bureau.order("Aoi,", "Botan,", "Chie,")
    bureau.center.close()
    runs = 1
    while kill_at(5 * runs, bureau.folder, bureau.run):
        runs += 1
    assert runs > 5
    bureau.check_made()


def test_a_card_that_was_made_but_not_noted_is_its_own_proof(bureau: Bureau) -> None:
    bureau.order("Aoi,")
    bureau.run()
    lines = bureau.journal.read_text().splitlines(keepends=True)
    bureau.journal.write_text("".join(lines[:-1]))
    assert [line.earlier for line in bureau.run()] == [True]
    assert bureau.journal.read_text().splitlines(keepends=True) == lines
    assert len(bureau.letters.read_text().splitlines()) == 1
    bureau.check_made()


def test_a_card_that_was_certified_and_is_gone_is_made_under_a_new_number(bureau: Bureau) -> None:
    """Somebody may hold it, active: there are never two cards with one number."""
    bureau.order("Aoi,")
    bureau.run()
    lines = bureau.journal.read_text().splitlines(keepends=True)
    bureau.journal.write_text("".join(lines[:-1]))
    (bureau.cards / "line-2.card").unlink()
    assert [(line.card.serial, line.earlier) for line in bureau.run()] == [(2, False)]
    assert len(bureau.center.registered()) == 2
    assert len(bureau.letters.read_text().splitlines()) == 2, "a new try, a new letter"
    bureau.check_made()


def test_rows_before_a_failure_stay_done(bureau: Bureau) -> None:
    bureau.order("Aoi,", "Botan,", "Chie,")
    bureau.cards.mkdir()
    create_blank(bureau.cards / "line-3.card", public_transport_keys, bureau.profile)
    with pytest.raises(SecureChannelError):
        bureau.run()
    assert not (bureau.cards / "line-4.card").exists()
    (bureau.cards / "line-3.card").unlink()
    assert [line.earlier for line in bureau.run()] == [True, False, False]
    bureau.check_made()


def test_a_letter_is_there_before_its_card(bureau: Bureau) -> None:
    bureau.order("Aoi,", "Botan,")
    seen: list[LifeCycle] = []
    deliver = bureau.deliver

    def look(letter: Letter) -> None:
        image = bureau.cards / f"line-{len(seen) + 2}.card"
        slot = ModelSlot("look", path=image)
        seen.append(PurseSession(slot.connect()).selected.status.state)
        slot.close()
        deliver(letter)

    bureau.deliver = look  # type: ignore[method-assign]  # looks on
    bureau.run()
    assert seen == [LifeCycle.BLANK, LifeCycle.BLANK]
