"""Conformance: any card, behind any connection, held to the protocol with the model as the oracle."""
