"""Draws vehicles by code: the photos to work with where there is neither an archive nor a network.

- `archive`: writes drawn photos as an archive in CIFAR-100's python format
- `scene`: one photo: camera, background, vehicle, what hides it, and how the photo is developed
- `bicycle`, `motorcycle`, `truck`, `rider`: what is drawn
- `pen`, `paint`: project and draw solids in space; colours
"""

from loadingbay.data.samples.archive import write_archive
from loadingbay.data.samples.scene import KINDS, draw

__all__ = ["KINDS", "draw", "write_archive"]
