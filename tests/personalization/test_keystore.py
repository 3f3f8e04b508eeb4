"""Key ceremony and key file."""

import json
import os
import stat
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given
from hypothesis import strategies as st

from apdu.errors import InputError, StoreError
from host.sealed_file import SCRYPT_COST
from personalization.keystore import Keystore, MasterKey, ceremony, check_value, random_key

PASSPHRASE = b"a passphrase of some length"
CHEAP = 2**14
ISSUER = MasterKey("issuer", 0x30, "sp800-108", bytes(range(16)))
TEST = MasterKey("test-2026", 1, "an10922", bytes(range(32)))
STORE = Keystore((ISSUER, TEST))

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A key file with two keys."""
    path = tmp_path / "keys.json"
    STORE.write(path, PASSPHRASE, CHEAP)
    return path


def document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def by_hand(header: dict[str, Any]) -> tuple[AESGCM, bytes, bytes]:
    """What the format says, without our code: cipher, nonce and what is authenticated."""
    scrypt = Scrypt(salt=b64decode(header["salt"]), length=32, n=header["cost"], r=8, p=1)
    authenticated = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return AESGCM(scrypt.derive(PASSPHRASE)), b64decode(header["nonce"]), authenticated


# --- the ceremony ------------------------------------------------------------------------------------------


@given(
    master=st.binary(min_size=24, max_size=24),
    parts=st.lists(st.binary(min_size=24, max_size=24), min_size=1, max_size=7),
)
def test_components_make_the_master_key(master: bytes, parts: list[bytes]) -> None:
    last = master
    for part in parts:
        last = bytes(a ^ b for a, b in zip(last, part, strict=True))
    components = [*parts, last]
    if len(set(components)) == len(components) and all(map(any, [*components, master])):
        assert ceremony(components) == ceremony(components[::-1]) == master


@pytest.mark.parametrize(
    ("components", "why"),
    [
        ([], "2 to 8"),
        ([bytes(range(16))], "2 to 8"),
        ([bytes((n,) * 16) for n in range(1, 10)], "2 to 8"),
        ([bytes(range(16)), bytes(range(24))], "one size"),
        ([b"k" * 15, b"l" * 15], "16, 24 or 32"),
        ([b"k" * 16, b"k" * 16], "typed twice"),
        ([b"k" * 16, bytes(16)], "all zeros"),
        ([b"\1" * 16, b"\2" * 16, b"\3" * 16], "all zeros"),
    ],
)
def test_ceremony_refuses(components: list[bytes], why: str) -> None:
    with pytest.raises(InputError, match=why):
        ceremony(components)


def test_check_value_as_people_compare_it() -> None:
    assert check_value(bytes.fromhex("404142434445464748494a4b4c4d4e4f")) == "504A77"
    with pytest.raises(InputError, match="16, 24 or 32"):
        check_value(bytes(15))


@pytest.mark.parametrize("size", [16, 24, 32])
def test_random_keys(size: int) -> None:
    keys = {random_key(size) for _ in range(20)}
    assert len(keys) == 20
    assert {len(key) for key in keys} == {size}


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version", "scheme", "size"),
    [
        ("", 1, "an10922", 16),
        ("a b", 1, "an10922", 16),
        ("../keys", 1, "an10922", 16),
        ("k" * 33, 1, "an10922", 16),
        ("key\n", 1, "an10922", 16),
        ("key", 0, "an10922", 16),
        ("key", 128, "an10922", 16),
        ("key", 1, "none", 16),
        ("key", 1, "an10922", 20),
    ],
)
def test_master_key_refuses(name: str, version: int, scheme: str, size: int) -> None:
    with pytest.raises(InputError):
        MasterKey(name, version, scheme, bytes(size))


def test_master_key_tells_about_itself() -> None:
    assert (ISSUER.size, ISSUER.kcv, TEST.size) == (16, check_value(bytes(range(16))), 32)


def test_keys_by_name() -> None:
    assert STORE.key("test-2026") is TEST
    with pytest.raises(InputError, match="'other'; there are: issuer, test-2026"):
        STORE.key("other")
    with pytest.raises(InputError, match="there are: none"):
        Keystore().key("other")


def test_names_are_used_once() -> None:
    assert Keystore().with_key(ISSUER).with_key(TEST) == STORE
    with pytest.raises(InputError, match="a key issuer already"):
        STORE.with_key(ISSUER)


def test_keys_show_themselves_nowhere(path: Path) -> None:
    shown = repr(STORE) + repr(ISSUER) + str(TEST)
    for key in STORE.keys:
        for form in (key.key.hex(), repr(key.key), b64encode(key.key).decode()):
            assert form not in shown
            assert form not in path.read_text("utf-8")


# --- the file ----------------------------------------------------------------------------------------------


def test_what_was_written_is_read(path: Path) -> None:
    assert Keystore.read(path, PASSPHRASE) == STORE


def test_usual_cost_opens_too(tmp_path: Path) -> None:
    STORE.write(tmp_path / "keys", PASSPHRASE)
    assert document(tmp_path / "keys")["cost"] == SCRYPT_COST == 131072
    assert Keystore.read(tmp_path / "keys", PASSPHRASE) == STORE


def test_format_is_what_the_module_says(path: Path) -> None:
    header = document(path)
    secret = b64decode(header.pop("keys"))
    cipher, nonce, authenticated = by_hand(header)
    assert json.loads(cipher.decrypt(nonce, secret, authenticated))[0] == {
        "name": "issuer",
        "version": 48,
        "scheme": "sp800-108",
        "kcv": check_value(ISSUER.key),
        "key": b64encode(ISSUER.key).decode(),
    }


def test_salt_and_nonce_are_new_each_time(path: Path) -> None:
    first = document(path)
    STORE.write(path, PASSPHRASE, CHEAP)
    second = document(path)
    assert all(first[name] != second[name] for name in ("salt", "nonce", "keys"))


@pytest.mark.parametrize("passphrase", [b"", PASSPHRASE[:-1], PASSPHRASE + b"\n", PASSPHRASE.upper()])
def test_wrong_passphrase(path: Path, passphrase: bytes) -> None:
    with pytest.raises(InputError, match="passphrase does not open") as refusal:
        Keystore.read(path, passphrase)
    assert PASSPHRASE.decode() not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("name", ["cost", "salt", "nonce", "keys"])
def test_header_and_keys_are_authenticated(path: Path, name: str) -> None:
    changed = document(path)
    if name == "cost":
        changed[name] *= 2
    else:
        raw = b64decode(changed[name])
        changed[name] = b64encode(bytes((raw[0] ^ 1,)) + raw[1:]).decode()
    path.write_text(json.dumps(changed), "utf-8")
    with pytest.raises(InputError, match="or the file was changed"):
        Keystore.read(path, PASSPHRASE)


DAMAGE: list[dict[str, object]] = [
    {"format": "saifu keystore 2"},
    {"cost": 2**13},
    {"cost": 2**40},
    {"cost": 2.0**14},
    {"cost": "16384"},
    {"cost": None},
    {"salt": "AAAA"},
    {"nonce": ""},
    {"salt": "not base64"},
    {"keys": 7},
    {"more": 1},
]


@pytest.mark.parametrize("damage", DAMAGE, ids=str)
def test_file_of_another_form(path: Path, damage: dict[str, object]) -> None:
    path.write_text(json.dumps({**document(path), **damage}), "utf-8")
    with pytest.raises(StoreError, match="no key file"):
        Keystore.read(path, PASSPHRASE)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_file_that_is_none_of_ours(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no key file"):
        Keystore.read(path, PASSPHRASE)


def test_every_cut_of_the_file_is_refused(path: Path) -> None:
    whole = path.read_bytes().rstrip()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(StoreError, match="no key file"):
            Keystore.read(path, PASSPHRASE)


@pytest.mark.parametrize(
    "change",
    [{"kcv": "000000"}, {"version": 0}, {"key": "AAAA"}, {"scheme": "none"}, {"name": None}],
    ids=str,
)
def test_key_that_is_not_what_it_says(path: Path, change: dict[str, object]) -> None:
    header = document(path)
    header.pop("keys")
    cipher, nonce, authenticated = by_hand(header)
    plain = json.dumps([{**ISSUER.record(), **change}]).encode()
    header["keys"] = b64encode(cipher.encrypt(nonce, plain, authenticated)).decode()
    path.write_text(json.dumps(header), "utf-8")
    with pytest.raises(StoreError, match="no key file"):
        Keystore.read(path, PASSPHRASE)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Keystore.read(tmp_path / "none", PASSPHRASE)
    with pytest.raises(StoreError, match="cannot be written"):
        STORE.write(Path(__file__) / "keys", PASSPHRASE, CHEAP)


@posix_only
def test_file_is_its_owners_alone_whatever_stood_there(path: Path) -> None:
    path.chmod(0o644)
    STORE.write(path, PASSPHRASE, CHEAP)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nothing_is_left_beside_the_file(path: Path) -> None:
    (path.parent / "taken").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        STORE.write(path.parent / "taken", PASSPHRASE, CHEAP)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["keys.json", "taken"]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from personalization.keystore import Keystore, MasterKey
store = Keystore((MasterKey("issuer", 1, "an10922", bytes(range(16))),))
while True:
    store.write(Path(sys.argv[1]), b"a passphrase", 2**14)
    print("written", flush=True)
"""


ADD = """
import sys
from pathlib import Path
from personalization.keystore import Keystore, MasterKey
Keystore.add(Path(sys.argv[1]), MasterKey(sys.argv[2], 1, "an10922", bytes(range(16))), b"a passphrase")
"""


def test_two_ceremonies_at_once_lose_no_key(path: Path) -> None:
    path.unlink()
    line = [sys.executable, "-c", ADD, str(path)]
    ceremonies = [subprocess.Popen([*line, name], cwd=Path(__file__).parents[2]) for name in ("one", "other")]
    assert [each.wait(60) for each in ceremonies] == [0, 0]
    assert {key.name for key in Keystore.read(path, b"a passphrase").keys} == {"one", "other"}


def test_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for lines in range(1, 6):
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
            assert writer.stdout is not None
            for _ in range(lines):
                assert writer.stdout.readline() == b"written\n"
            writer.kill()
        assert Keystore.read(path, b"a passphrase").key("issuer").key == bytes(range(16))
