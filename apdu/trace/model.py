"""What every form of a trace comes down to: exchanges, resets and remarks."""

from dataclasses import dataclass

__all__ = ["Exchange", "Item", "Remark", "Reset"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command that went to a card, and its answer."""

    command: bytes
    response: bytes | None
    """The answer with its status word; None: no answer came."""
    slot: str = ""
    """Reader or slot; empty if the form does not say."""
    time: float | None = None
    """Unix seconds when the command was sent."""
    seconds: float | None = None
    """Seconds until the answer."""
    redacted: tuple[tuple[str, int, int], ...] = ()
    """Bytes that were blanked: ``("command" | "response", start, end)``; they are zeros now."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The card was powered on or reset; the answer to reset is empty where it is not known."""

    atr: bytes = b""
    slot: str = ""
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """What a form says beside the exchanges."""

    text: str
    slot: str = ""
    time: float | None = None


Item = Exchange | Reset | Remark
"""One entry of a trace."""
