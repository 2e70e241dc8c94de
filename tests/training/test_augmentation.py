"""Views: flipped or not, and only what the generator decides."""

import augmentation
import cv2
import numpy as np

STILL = augmentation.Strength(0, 0, 0, 0, 0, 0, 0, 0, 0)


def _photos(count: int = 4, side: int = 32) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([cv2.resize(rng.uniform(0, 255, (6, 6, 3)), (side, side)) for _ in range(count)]).astype(np.uint8)


def test_without_strength_a_view_is_the_photo_or_its_mirror_image() -> None:
    photos = _photos(16)
    views = augmentation.augment(photos, STILL, np.random.default_rng(0))
    plain = [np.allclose(view, photo, atol=1) for view, photo in zip(views, photos, strict=True)]
    mirrored = [np.allclose(view, photo[:, ::-1], atol=1) for view, photo in zip(views, photos, strict=True)]
    assert all(one != other for one, other in zip(plain, mirrored, strict=True))
    assert 0 < sum(plain) < 16


def test_the_same_generator_draws_the_same_views() -> None:
    one, again = (augmentation.augment(_photos(), augmentation.Strength(), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, again)
