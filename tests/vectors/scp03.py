"""SCP03 vectors, typed: nine recorded sessions and forty rows of the key derivation function."""

import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command before and after wrapping; answer and status only where they were recorded."""

    plain_command: bytes
    wrapped_command: bytes
    wrapped_response_data: bytes | None
    plain_response_data: bytes | None
    status: int | None


@dataclass(frozen=True, slots=True)
class Session:
    """One channel from INITIALIZE UPDATE on; the exchanges follow each other in the same channel."""

    name: str
    level: int
    static_enc: bytes
    static_mac: bytes
    initialize_update_command: bytes
    initialize_update_response_data: bytes
    external_authenticate_command: bytes
    exchanges: tuple[Exchange, ...]

    @property
    def host_challenge(self) -> bytes:
        """Data of INITIALIZE UPDATE."""
        return self.initialize_update_command[5:13]

    @property
    def key_version(self) -> int:
        """P1 of INITIALIZE UPDATE."""
        return self.initialize_update_command[2]

    @property
    def recorded(self) -> Exchange:
        """The exchange whose answer was recorded, the first."""
        return self.exchanges[0]


@dataclass(frozen=True, slots=True)
class KdfRow:
    """A key, the constant of its use, the context, and what is derived."""

    key: bytes
    constant: int
    context: bytes
    derived: bytes


def _exchange(row: dict[str, str]) -> Exchange:
    return Exchange(
        bytes.fromhex(row["plain_command"]),
        bytes.fromhex(row["wrapped_command"]),
        bytes.fromhex(row["wrapped_response_data"]) if "wrapped_response_data" in row else None,
        bytes.fromhex(row["plain_response_data"]) if "plain_response_data" in row else None,
        int(row["status"], 16) if "status" in row else None,
    )


def sessions() -> list[Session]:
    """All nine sessions: AES-128, -192 and -256, each at levels 11, 03 and 33."""
    rows = json.loads((HERE / "scp03-sessions.json").read_text("utf-8"))["sessions"]
    return [
        Session(
            row["name"],
            int(row["security_level"], 16),
            bytes.fromhex(row["static_enc"]),
            bytes.fromhex(row["static_mac"]),
            bytes.fromhex(row["initialize_update_command"]),
            bytes.fromhex(row["initialize_update_response_data"]),
            bytes.fromhex(row["external_authenticate_command"]),
            tuple(map(_exchange, row["exchanges"])),
        )
        for row in rows
    ]


def kdf_rows() -> list[KdfRow]:
    """All forty rows."""
    lines = (HERE / "scp03-kdf.txt").read_text("ascii").splitlines()
    parts = [line.split() for line in lines if line]
    return [KdfRow(bytes.fromhex(k), int(c, 16), bytes.fromhex(x), bytes.fromhex(out)) for k, c, x, out in parts]
