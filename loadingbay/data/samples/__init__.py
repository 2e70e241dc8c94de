"""Draws vehicles by code: the photos to work with where there is neither an archive nor a network."""

from loadingbay.data.samples.archive import write_archive
from loadingbay.data.samples.scene import KINDS, draw

__all__ = ["KINDS", "draw", "write_archive"]
