"""Views: flipped or not, and only what the generator decides."""

import augmentation
import cv2
import numpy as np

STILL = augmentation.Strength(0, 0, 0, 0, 0, 0, 0, 0, jpeg=0)


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


def test_a_share_of_the_photos_is_saved_as_jpeg_of_the_quality_asked_for() -> None:
    photos = np.random.default_rng(2).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    rough, fine = (augmentation.recompress(photos, 0.5, low, np.random.default_rng(0)) for low in (10, 95))
    changed = (rough != photos).any(axis=(1, 2, 3))
    assert 8 < changed.sum() < 32
    assert np.array_equal(changed, (fine != photos).any(axis=(1, 2, 3)))
    far = [np.abs(copies[changed].astype(int) - photos[changed]).mean() for copies in (rough, fine)]
    assert far[0] > far[1] > 0


def test_colours_keep_more_where_jpeg_saves_them_at_full_resolution() -> None:
    red_and_blue = np.zeros((8, 32, 32, 3), np.uint8)
    red_and_blue[:, :, ::2, 0] = red_and_blue[:, :, 1::2, 2] = 255
    full, halved = (
        augmentation.recompress(red_and_blue, 1.0, 95, np.random.default_rng(0), full_colour) for full_colour in (1, 0)
    )
    lost = [np.abs(copies.astype(int) - red_and_blue).mean() for copies in (full, halved)]
    assert lost[0] < lost[1] / 4
