"""The blacklist store: what is believed, what is kept, what is known of newer editions."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from filelock import FileLock

from apdu.errors import AuthenticityError, FormatError, InputError, RefusedError, StoreError
from apdu.money import currency
from broadcast.cipher_key import CipherKey, CipherKeys
from broadcast.edition import Delta, Edition
from broadcast.tree import ProofTree
from host.terminal.blacklist_store import BlacklistStore
from host.terminal.trust import Trust
from tests.issuer import NOW, Issuer

ISSUER, STRANGER = Issuer(), Issuer(seed=1)
HOUR = 3600


def trust_of(issuer: Issuer) -> str:
    return Trust(issuer.number, currency("EUR"), issuer.keys).encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "terminal"


@pytest.fixture
def store(folder: Path) -> BlacklistStore:
    return BlacklistStore.import_trust(folder, trust_of(ISSUER))


def test_without_trust_there_is_no_store(folder: Path) -> None:
    with pytest.raises(InputError, match="saifu terminal import TRUST-FILE"):
        BlacklistStore(folder)


def test_the_same_trust_may_come_again_another_may_not(store: BlacklistStore, folder: Path) -> None:
    assert BlacklistStore.import_trust(folder, trust_of(ISSUER)).trust == store.trust
    with pytest.raises(RefusedError, match="trusts another center"):
        BlacklistStore.import_trust(folder, trust_of(STRANGER))
    assert BlacklistStore(folder).trust == store.trust


def test_an_empty_store_lists_nobody_and_is_stale(store: BlacklistStore) -> None:
    assert store.number == store.newest_known == 0
    assert ISSUER.id(1) not in store
    assert store.staleness(NOW) == "there is no blacklist in this terminal"
    with pytest.raises(KeyError):
        store.prove(ISSUER.id(1))


def test_an_edition_lists_its_cards_and_no_others(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(1, 5, 70_000).encode())
    assert [serial for serial in (4, 5, 6, 69_999, 70_000) if ISSUER.id(serial) in store] == [5, 70_000]
    assert Issuer(number=2).id(5) not in store


def test_the_proof_leads_to_the_signed_root(store: BlacklistStore) -> None:
    edition = store.import_edition(ISSUER.edition(1, 5, 70_000).encode())
    head, proof = store.prove(ISSUER.id(70_000))
    assert head == edition.head
    assert proof.lists(70_000)
    assert proof.root(70_000) == head.body.root
    with pytest.raises(KeyError):
        store.prove(ISSUER.id(6))


def test_an_edition_outlives_the_program(store: BlacklistStore, folder: Path) -> None:
    store.import_edition(ISSUER.edition(3, 5).encode())
    again = BlacklistStore(folder)
    assert (again.number, ISSUER.id(5) in again) == (3, True)


def test_an_older_edition_is_refused_and_the_newer_stays(store: BlacklistStore, folder: Path) -> None:
    store.import_edition(ISSUER.edition(3, 5).encode())
    with pytest.raises(RefusedError, match="edition 2 is older than edition 3"):
        store.import_edition(ISSUER.edition(2).encode())
    assert ISSUER.id(5) in store
    assert ISSUER.id(5) in BlacklistStore(folder)


def test_an_edition_that_another_process_has_put_in_force_stays(store: BlacklistStore, folder: Path) -> None:
    BlacklistStore(folder).import_edition(ISSUER.edition(3, 5).encode())
    with pytest.raises(RefusedError, match="edition 2 is older than edition 3"):
        store.import_edition(ISSUER.edition(2).encode())
    assert store.number == BlacklistStore(folder).number == 3
    assert ISSUER.id(5) in store


def test_a_newer_head_that_another_process_has_noted_stays(store: BlacklistStore, folder: Path) -> None:
    assert store.newest_known == 0
    BlacklistStore(folder).note_head(ISSUER.edition(3).head)
    store.note_head(ISSUER.edition(2).head)
    assert store.newest_known == BlacklistStore(folder).newest_known == 3


@pytest.mark.parametrize("write", [
    lambda store: store.import_edition(ISSUER.edition(3).encode()),
    lambda store: store.note_head(ISSUER.edition(3).head),
])  # fmt: skip
def test_nothing_is_written_while_another_process_writes(
    store: BlacklistStore, folder: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[BlacklistStore], object]
) -> None:
    monkeypatch.setattr("host.terminal.blacklist_store._PATIENCE", 0)
    with FileLock(folder / "store.lock"), pytest.raises(StoreError, match="in use by another process"):
        write(store)
    assert BlacklistStore(folder).newest_known == 0
    write(store)
    assert BlacklistStore(folder).newest_known == 3


def forged() -> list[bytes]:
    """A stranger's, of another issuer, with a card more, a card less, another card, cut, and with a byte more."""
    edition = ISSUER.edition(9, 5, 6)
    raw = edition.encode()
    others = [Edition(edition.head, 7, ProofTree(serials)) for serials in ((5, 6, 7), (5,), (5, 7))]
    strangers = [STRANGER.edition(9, 5).encode(), Issuer(number=2).edition(9, 5).encode()]
    return [*strangers, *(other.encode() for other in others), raw[:-1], raw + b"\0", raw[:60]]


@pytest.mark.parametrize("raw", forged())
def test_a_forged_edition_changes_nothing(store: BlacklistStore, folder: Path, raw: bytes) -> None:
    store.import_edition(ISSUER.edition(3, 5).encode())
    with pytest.raises((AuthenticityError, FormatError)):
        store.import_edition(raw)
    assert store.number == BlacklistStore(folder).number == 3


def test_every_bit_of_a_signed_head_counts(store: BlacklistStore) -> None:
    raw = ISSUER.edition(9, 5).encode()
    for place in range(14, 14 + 109):
        turned = raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]
        with pytest.raises((AuthenticityError, FormatError)):
            store.import_edition(turned)
    assert store.number == 0


def test_something_else_is_no_edition(store: BlacklistStore) -> None:
    with pytest.raises(InputError, match="neither an edition"):
        store.import_edition(b"hello")


# --- damage ------------------------------------------------------------------------------------------------


def test_a_damaged_edition_says_what_to_do(store: BlacklistStore, folder: Path) -> None:
    store.import_edition(ISSUER.edition(3, 5).encode())
    (folder / "edition").write_bytes(b"\xff" * 100)
    with pytest.raises(StoreError, match="remove this file and import the newest edition again"):
        BlacklistStore(folder)
    (folder / "edition").unlink()
    assert BlacklistStore(folder).import_edition(ISSUER.edition(3, 5).encode()).serials.tolist() == [5]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"format": "saifu trust 1"}'])
def test_a_damaged_trust_file_is_told(store: BlacklistStore, folder: Path, content: bytes) -> None:
    assert store.number == 0
    (folder / "trust.json").write_bytes(content)
    with pytest.raises(InputError, match="not a trust file"):
        BlacklistStore(folder)


@pytest.mark.parametrize("content", [b"", b"\0" * 108])
def test_a_damaged_note_of_the_newest_head_is_told(store: BlacklistStore, folder: Path, content: bytes) -> None:
    store.note_head(ISSUER.edition(4).head)
    (folder / "newest-head").write_bytes(content)
    with pytest.raises(StoreError, match="remove this file"):
        assert BlacklistStore(folder).newest_known


# --- age ---------------------------------------------------------------------------------------------------


def test_a_current_list_is_current_until_the_next_is_due(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(1, time=NOW).encode())
    assert store.staleness(NOW + 24 * HOUR) is None
    assert store.staleness(NOW + 27 * HOUR) == "edition 1 is old: the next one was due 3 hours ago"


def test_a_clock_that_is_behind_does_not_make_an_old_list_current(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(1, time=NOW).encode())
    assert store.staleness(NOW - HOUR) is None
    assert (
        store.staleness(NOW - 3 * HOUR)
        == "this terminal's clock is wrong: edition 1 was made 3 hours after what it says"
    )


def test_a_head_makes_an_older_list_stale_and_the_edition_makes_it_current_again(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(1).encode())
    store.note_head(ISSUER.edition(3).head)
    assert store.staleness(NOW) == "edition 1 is old: edition 3 has been seen"
    store.import_edition(ISSUER.edition(2).encode())
    assert store.staleness(NOW) == "edition 2 is old: edition 3 has been seen"
    store.import_edition(ISSUER.edition(3).encode())
    assert store.staleness(NOW) is None


def test_an_older_head_teaches_nothing(store: BlacklistStore, folder: Path) -> None:
    store.note_head(ISSUER.edition(3).head)
    store.note_head(ISSUER.edition(2).head)
    assert store.newest_known == BlacklistStore(folder).newest_known == 3


@pytest.mark.parametrize("issuer", [STRANGER, Issuer(number=2)])
def test_a_forged_head_is_not_noted(store: BlacklistStore, folder: Path, issuer: Issuer) -> None:
    with pytest.raises(AuthenticityError):
        store.note_head(issuer.edition(99).head)
    assert store.newest_known == BlacklistStore(folder).newest_known == 0


def test_what_cannot_be_read_is_told(store: BlacklistStore, folder: Path) -> None:
    (folder / "edition").mkdir()
    with pytest.raises(StoreError, match="edition cannot be read"):
        BlacklistStore(folder)
    (folder / "edition").rmdir()
    (folder / "newest-head").mkdir()
    with pytest.raises(StoreError, match="newest-head cannot be read"):
        assert store.newest_known


class Slow(Delta):
    """A step that looks, while it is made, whether somebody else could write."""

    __slots__ = ()

    def apply(self, older: Edition) -> Edition:
        with FileLock(Slow.folder / "store.lock").acquire(0):
            return Delta.apply(self, older)

    folder: ClassVar[Path]


def test_while_a_step_is_made_others_may_write(store: BlacklistStore, folder: Path) -> None:
    one, two = ISSUER.edition(1, 5), ISSUER.edition(2, 5, 6)
    store.import_edition(one.encode())
    read = delta(one, two, store)
    Slow.folder = folder
    store.take(Slow(read.head, read.base, read.last, read.removed, read.off, read.on), NOW)
    assert BlacklistStore(folder).number == 2


# --- expiry, steps, other processes ------------------------------------------------------------------------


def test_an_edition_that_has_expired_is_refused_and_known(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(1, 5).encode(), NOW)
    late = NOW + 25 * HOUR
    with pytest.raises(RefusedError, match=r"edition 2 has expired: .* edition 1 stays in force"):
        store.import_edition(ISSUER.edition(2, 6).encode(), late)
    assert (store.number, store.newest_known) == (1, 2)
    assert store.staleness(NOW) == "edition 1 is old: edition 2 has been seen"
    store.import_edition(ISSUER.edition(2, 6).encode())  # an operator who knows what he does
    assert store.number == 2


def test_another_edition_of_the_same_number_is_refused(store: BlacklistStore) -> None:
    store.import_edition(ISSUER.edition(2, 5).encode())
    with pytest.raises(RefusedError, match="another edition 2"):
        store.import_edition(ISSUER.edition(2, 6).encode())
    assert ISSUER.id(5) in store


def delta(older: Edition, newer: Edition, store: BlacklistStore) -> Delta:
    read = store.read(newer.delta_from(older))
    assert isinstance(read, Delta)
    return read


def test_a_step_is_taken_on_the_edition_in_force_only(store: BlacklistStore, folder: Path) -> None:
    one, two, three = ISSUER.edition(1, 5), ISSUER.edition(2, 5, 6), ISSUER.edition(3, 6)
    with pytest.raises(RefusedError, match="does not help a terminal without a list"):
        store.take(delta(one, two, store), NOW)
    store.take(store.read(one.content()), NOW)
    with pytest.raises(RefusedError, match="does not fit"):
        store.take(delta(two, three, store), NOW)
    store.take(delta(one, two, store), NOW)
    store.take(delta(two, three, store), NOW)
    again = BlacklistStore(folder)
    assert (again.number, ISSUER.id(5) in again, ISSUER.id(6) in again) == (3, False, True)
    assert again.prove(ISSUER.id(6))[1].root(6) == three.head.body.root


def test_what_another_process_takes_is_in_force_here_after_a_look(store: BlacklistStore, folder: Path) -> None:
    other = BlacklistStore(folder)
    other.import_edition(ISSUER.edition(3, 5).encode())
    other.note_head(ISSUER.edition(4).head)
    assert ISSUER.id(5) not in store
    store.refresh()
    assert ISSUER.id(5) in store
    assert store.newest_known == 4
    (folder / "edition").unlink()
    store.refresh()
    assert store.number == 0


def test_a_file_that_is_damaged_meanwhile_is_told_at_every_look(store: BlacklistStore, folder: Path) -> None:
    store.import_edition(ISSUER.edition(3, 5).encode())
    (folder / "edition").write_bytes(b"\xff" * 100)
    for _ in range(2):
        with pytest.raises(StoreError, match="remove this file"):
            store.refresh()


# --- cipher keys -------------------------------------------------------------------------------------------


def cipher_keys(issuer: int = 1, *numbers: int) -> CipherKeys:
    return CipherKeys(issuer, "terminals", tuple(CipherKey(number, bytes(32)) for number in numbers or (1,)))


def test_cipher_keys_are_kept_and_replaced_by_the_next_file(store: BlacklistStore, folder: Path) -> None:
    assert store.cipher_keys is None
    store.import_cipher_keys(cipher_keys().encode())
    assert store.cipher_keys == BlacklistStore(folder).cipher_keys == cipher_keys()
    BlacklistStore(folder).import_cipher_keys(cipher_keys(1, 1, 2).encode())
    store.refresh()
    assert store.cipher_keys == cipher_keys(1, 1, 2)


def test_cipher_keys_are_readable_by_their_owner_alone(store: BlacklistStore, folder: Path) -> None:
    store.import_cipher_keys(cipher_keys().encode())
    assert (folder / "cipher-keys.json").stat().st_mode & 0o777 == 0o600


def test_an_older_file_of_cipher_keys_takes_no_newer_key_away(store: BlacklistStore) -> None:
    store.import_cipher_keys(cipher_keys(1, 1, 2).encode())
    with pytest.raises(RefusedError, match="newest cipher key is 1, and this terminal holds 2"):
        store.import_cipher_keys(cipher_keys(1, 1).encode())
    store.import_cipher_keys(cipher_keys(1, 2).encode())
    other = CipherKeys(1, "shops", cipher_keys().keys)
    store.import_cipher_keys(other.encode())
    assert store.cipher_keys == other


def test_cipher_keys_of_another_issuer_are_refused(store: BlacklistStore) -> None:
    with pytest.raises(RefusedError, match="of issuer 2, not 1"):
        store.import_cipher_keys(cipher_keys(2).encode())
    assert store.cipher_keys is None


# --- what a killed process leaves --------------------------------------------------------------------------


def test_what_a_killed_process_has_left_is_removed_by_the_next_write(store: BlacklistStore, folder: Path) -> None:
    for name in (".edition.ab_c1d2e", ".newest-head.abcdefgh", ".cipher-keys.json.abcdefgh", ".policy.json.abcdefgh"):
        (folder / name).write_bytes(b"half")
    (folder / ".editions-of-mine").write_bytes(b"not ours")
    store.import_edition(ISSUER.edition(1, 5).encode())
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".editions-of-mine"]
