"""Personalization: key ceremony, profiles, diversified keys, one card or a batch."""
