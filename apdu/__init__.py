"""The wire language: commands, responses, status words, TLV, and the signed objects that travel in them.

Imports nothing of ours, and does no input or output.
"""

__version__ = "0.2.0"
