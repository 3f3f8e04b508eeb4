"""Numbers of things, and ages, in words for people."""

__all__ = ["counted", "duration"]


def counted(number: int, what: str, several: str = "") -> str:
    """``1 card``, ``2 cards``; ``several`` is what many are called where no s makes it, as in ``2 tries``."""
    return f"{number} {what if number == 1 else several or what + 's'}"


def duration(seconds: int) -> str:
    """A time of some seconds in its largest whole unit, once there are two of it: minutes, hours, days."""
    if seconds < 7200:
        return counted(seconds // 60, "minute")
    return counted(seconds // 3600, "hour") if seconds < 172_800 else counted(seconds // 86400, "day")
