"""The transmission protocols of ISO 7816-3 under a command."""

from enum import Enum

__all__ = ["Protocol"]


class Protocol(Enum):
    """Transmission protocol of ISO 7816-3; the command layer differs only in what a wrong Le means."""

    T0 = "T=0"
    T1 = "T=1"
