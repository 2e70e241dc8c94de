"""Drawn photos of other things: the same each time, of seven kinds."""

from processing.evaluate import out_of_distribution


def test_the_same_photos_of_seven_kinds_are_drawn_each_time() -> None:
    assert out_of_distribution.photos(2) == out_of_distribution.photos(2)
    assert {len(bodies) for bodies in out_of_distribution.photos(3).values()} == {3}
    assert len(out_of_distribution.KINDS) == 7
