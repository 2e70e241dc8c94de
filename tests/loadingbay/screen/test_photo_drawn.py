"""Photos drawn with characters."""

import io

import pytest
from PIL import Image

from loadingbay.screen.photo import draw


def _png(width, height, colour=(10, 20, 30)):
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def _lines(photo, columns=8):
    text = "".join(segment.text for segment in draw(photo, columns).segments)
    return text.splitlines()


def test_a_square_photo_has_half_as_many_lines_as_columns():
    assert _lines(_png(32, 32)) == ["▀" * 8] * 4


@pytest.mark.parametrize(("width", "height", "lines"), [(320, 10, 1), (10, 3200, 8)])
def test_a_long_photo_stays_within_the_screen(width, height, lines):
    assert len(_lines(_png(width, height))) == lines


def test_each_character_has_the_colours_of_its_two_pixels():
    style = draw(_png(4, 4), 4).segments[0].style
    assert (style.color.triplet, style.bgcolor.triplet) == ((10, 20, 30), (10, 20, 30))


@pytest.mark.parametrize("photo", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", _png(32, 32)[:60]])
def test_what_is_no_photo_is_not_drawn(photo):
    assert draw(photo) is None
