"""Numbers of things in words for people."""

__all__ = ["counted"]


def counted(number: int, what: str, several: str = "") -> str:
    """``1 card``, ``2 cards``; ``several`` is what many are called where no s makes it, as in ``2 tries``."""
    return f"{number} {what if number == 1 else several or what + 's'}"
