"""The card: a reference model of the purse applet, without input or output of its own.

Bytes in, bytes out; storage and randomness are injected. Imports apdu only.
"""
