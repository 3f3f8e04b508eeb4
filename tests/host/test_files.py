"""Files that are replaced whole, and what may be replaced."""

from pathlib import Path

import pytest

from apdu.errors import InputError
from host.files import require_replaceable


def test_a_file_of_its_own_kind_and_nothing_else_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "list.wav"
    require_replaceable(file, b"RIFF", "a recording")
    file.write_bytes(b"RIFF....")
    require_replaceable(file, b"RIFF", "a recording")
    for content in (b"", b"another", bytes(1024) + b"RIFF"):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"list\.wav is there already, and is not a recording"):
            require_replaceable(file, b"RIFF", "a recording")
    with pytest.raises(InputError, match="name another place"):
        require_replaceable(tmp_path, b"RIFF", "a recording")
