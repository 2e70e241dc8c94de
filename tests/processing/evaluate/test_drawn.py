"""Drawn photos of other things: the same each time, of eleven kinds."""

from processing.evaluate import drawn


def test_the_same_photos_of_eleven_kinds_are_drawn_each_time() -> None:
    assert drawn.photos(2) == drawn.photos(2)
    assert {len(bodies) for bodies in drawn.photos(3).values()} == {3}
    assert len(drawn.KINDS) == 11
