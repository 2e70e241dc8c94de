"""Pictures of none of the classes, which training shows the network as examples of "none of them".

Noise of several grains, smooth gradients, stripes, rows of small marks on a plain ground, and training photos cut into
shuffled tiles (their colours and textures without their shapes); and crops of natural photographs. Evaluate measures
refusal on pictures of its own.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import sklearn.datasets

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]

CROPS = 2000


def _noise(height: int, width: int, rng: np.random.Generator) -> Float32:
    """Random colours at a random grain, from single pixels to a few large blobs."""
    side = int(rng.integers(2, max(3, height) + 1))
    coarse = rng.uniform(0, 255, (side, side, 3 if rng.random() < 0.7 else 1)).astype(np.float32)
    if coarse.shape[2] == 1:
        coarse = np.repeat(coarse, 3, axis=2)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _gradient(height: int, width: int, rng: np.random.Generator) -> Float32:
    """A straight blend of two random colours in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    along = np.clip(0.5 + (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle), 0, 1)[:, :, None]
    return np.asarray(rng.uniform(0, 255, 3) * along + rng.uniform(0, 255, 3) * (1 - along), np.float32)


def _stripes(height: int, width: int, rng: np.random.Generator) -> Float32:
    """Two random colours in waves of random direction, length and sharpness."""
    angle, waves = rng.uniform(0, np.pi), rng.uniform(1, height / 3)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    wave = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6.3))
    share = (0.5 + 0.5 * np.tanh(wave * rng.uniform(0.5, 6)))[:, :, None]
    return np.asarray(rng.uniform(0, 255, 3) * share + rng.uniform(0, 255, 3) * (1 - share), np.float32)


def _marks(height: int, width: int, rng: np.random.Generator) -> Float32:
    """Rows of short strokes of one colour on a ground of another, as of writing seen from afar."""
    zoom = 4
    ground, ink = rng.uniform(0, 255, (2, 3))
    page = np.empty((height * zoom, width * zoom, 3), np.float32)
    page[:] = ground
    tall = int(rng.integers(3, 17))
    for top in range(int(rng.integers(0, 8)), height * zoom - tall, int(tall * rng.uniform(1.2, 2))):
        left = int(rng.integers(0, 12))
        while left < width * zoom:
            wide = int(rng.integers(1, tall + 2))
            if rng.random() < 0.8:
                cut = int(rng.integers(0, tall))
                page[top + cut // 2 : top + tall - cut // 3, left : left + max(1, wide // 2)] = ink
            left += wide + int(rng.integers(1, 4))
    return np.asarray(cv2.resize(page, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _shuffled(photo: Float32, rng: np.random.Generator) -> Float32:
    """The photo cut into 4 x 4 tiles, or 8 x 8, put together in a random order."""
    height, width = photo.shape[:2]
    tiles = 4 if rng.random() < 0.5 else 8
    tile_h, tile_w = height // tiles, width // tiles
    if tile_h == 0 or tile_w == 0:
        return photo[::-1].copy()
    used = photo[: tile_h * tiles, : tile_w * tiles]
    grid = used.reshape(tiles, tile_h, tiles, tile_w, 3).swapaxes(1, 2).reshape(tiles * tiles, tile_h, tile_w, 3)
    grid = grid[rng.permutation(len(grid))]
    mixed = grid.reshape(tiles, tiles, tile_h, tile_w, 3).swapaxes(1, 2).reshape(used.shape)
    return np.asarray(cv2.resize(mixed, (width, height), interpolation=cv2.INTER_NEAREST), np.float32)


def draw(count: int, views: Float32, rng: np.random.Generator) -> Float32:
    """(count, h, w, 3) float32 outliers; `views`, at least one photo of (n, h, w, 3), gives the size and the tiles."""
    height, width = views.shape[1:3]
    drawn = np.empty((count, height, width, 3), np.float32)
    for picture in drawn:
        kind = rng.random()
        if kind < 0.25:
            picture[:] = _noise(height, width, rng)
        elif kind < 0.33:
            picture[:] = _gradient(height, width, rng)
        elif kind < 0.41:
            picture[:] = _stripes(height, width, rng)
        elif kind < 0.56:
            picture[:] = _marks(height, width, rng)
        else:
            picture[:] = _shuffled(views[int(rng.integers(len(views)))], rng)
    return drawn


def crops(size: tuple[int, int], count: int = CROPS) -> UInt8:
    """(count, h, w, 3) crops of the two photographs that scikit-learn ships, a temple and a flower: always the same.

    Squares from the target's own size up to the whole photograph, turned by quarters and with channels exchanged, so
    that two photographs give many textures and shapes (Asano and Saeed, 2023, learn from crops of a single one).
    """
    rng = np.random.default_rng(3)
    photographs = [sklearn.datasets.load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    drawn = np.empty((count, *size, 3), np.uint8)
    for crop in drawn:
        photograph = photographs[int(rng.integers(len(photographs)))]
        shorter = min(photograph.shape[:2])
        side = int(np.exp(rng.uniform(np.log(min(32, shorter)), np.log(shorter))))
        top, left = (int(rng.integers(0, length - side + 1)) for length in photograph.shape[:2])
        square = np.rot90(photograph[top : top + side, left : left + side], int(rng.integers(4)))
        order = rng.permutation(3) if rng.random() < 0.5 else np.arange(3)
        interpolation = cv2.INTER_AREA if side >= max(size) else cv2.INTER_LINEAR
        # Channels are exchanged last, when there are few pixels.
        crop[:] = cv2.resize(np.ascontiguousarray(square), size[::-1], interpolation=interpolation)[:, :, order]
    return drawn
