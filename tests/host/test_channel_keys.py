"""Keys of one card out of a small file, which only its owner may read."""

import os
from pathlib import Path

import pytest

from apdu.errors import InputError
from host.channel_keys import read_channel_keys
from host.scp03 import StaticKeys

GOOD = f'enc = "{"01" * 16}"\nmac = "{"02" * 16}"\ndek = "{"03" * 16}"\n'
BAD = {
    "nothing": "",
    "two keys": GOOD.split("dek")[0],
    "another field": GOOD + "kek = 1\n",
    "a number": GOOD.replace(f'"{"01" * 16}"', "1"),
    "no hex": GOOD.replace("01", "0g"),
    "sizes": GOOD.replace("01" * 16, "01" * 24),
    "no TOML": GOOD.replace("=", ":"),
    "too long": GOOD + "#" * 5000,
    "no text": "\udcff",
}


def keys_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("size", [16, 24, 32])
def test_keys_are_read(size: int, tmp_path: Path) -> None:
    text = GOOD.replace("01" * 16, "01" * size).replace("02" * 16, "02" * size).replace("03" * 16, "03" * size)
    assert read_channel_keys(keys_file(tmp_path, text)) == StaticKeys(b"\1" * size, b"\2" * size, b"\3" * size)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_no_file_of_keys_is_refused_without_quoting_it(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file of keys") as caught:
        read_channel_keys(keys_file(tmp_path, text))
    assert "0101" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_can_reach_is_refused_with_the_remedy(mode: int, tmp_path: Path) -> None:
    path = keys_file(tmp_path, GOOD, mode)
    with pytest.raises(InputError, match=f"chmod 600 {path}"):
        read_channel_keys(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_channel_keys(tmp_path / "nothing")
