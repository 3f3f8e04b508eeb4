"""The front door: the command line, composed from each room's own, and the demo."""

from apdu import __version__

__all__ = ["__version__"]
