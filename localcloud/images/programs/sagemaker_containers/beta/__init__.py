"""Holds `framework`, which is all that scripts import."""
