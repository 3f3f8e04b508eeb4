"""The front door: the command line, composed from each room's own, and the demo."""

__version__ = "0.1.0"
