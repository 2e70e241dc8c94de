"""Draws vehicles by code: the photos to work with where there is neither an archive nor a network."""

from loadingbay.samples.archive import write_archive
from loadingbay.samples.scene import KINDS, draw

__all__ = ["KINDS", "draw", "write_archive"]
