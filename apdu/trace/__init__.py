"""Traces of what was said to cards: one model, the own form, forms of other programs, and redaction.

Bytes and lines go in, objects come out, and the other way round; no input or output.
"""
