"""The image networks: the output of the fixed first layer, and the packages that an artifact may import."""

import mxnet as mx
import network
import numpy as np
import outliers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = (32, 32)


@pytest.fixture(scope="module")
def net() -> network.Mean:
    return network.build(3, (16, 32, 64), SIZE, seed=4)


def _noise(count: int) -> mx.nd.NDArray:
    return mx.nd.array(np.random.default_rng(0).normal(0, 1, (count, 3, *SIZE)))


def _maps(folded: mx.nd.NDArray) -> np.ndarray:
    """(n, 64, 8, 8), four cells in the channels of one, as (n, 16, 16, 16)."""
    cells = folded.asnumpy().reshape(-1, 2, 2, 16, 8, 8)
    return cells.transpose(0, 3, 4, 1, 5, 2).reshape(-1, 16, 16, 16)


def _seen(net: network.Mean, photos: mx.nd.NDArray) -> np.ndarray:
    return _maps(net.members.orientations(photos))


@pytest.mark.parametrize(("degrees", "bin_"), [(0, 0), (45, 2), (90, 4), (180, 8), (292.5, 13)])
def test_an_edge_answers_in_the_bin_of_its_own_direction(net: network.Mean, degrees: float, bin_: int) -> None:
    y, x = np.mgrid[0:32, 0:32]
    along = x * np.cos(np.deg2rad(degrees)) + y * np.sin(np.deg2rad(degrees))
    ramp = np.repeat(along[None, None], 3, axis=1) * 0.2
    seen = _seen(net, mx.nd.array(ramp))[0, :, 4:12, 4:12]
    assert (seen.argmax(axis=0) == bin_).all()


def test_a_flat_picture_has_no_edges(net: network.Mean) -> None:
    seen = _seen(net, mx.nd.ones((1, 3, *SIZE)))
    assert np.abs(seen[:, :, 4:12, 4:12]).max() < 1e-6


def test_brightness_and_contrast_hardly_change_the_edges(net: network.Mean) -> None:
    photo = _noise(1)
    plain, changed = (_seen(net, p)[:, :, 4:12, 4:12] for p in (photo, photo * 0.6 + 0.3))
    assert np.abs(plain - changed).max() < 0.03


def test_what_ships_is_the_mean_of_the_members(net: network.Mean) -> None:
    photos = _noise(4)
    members = net.members(photos).asnumpy()
    assert members.shape == (4, 2, 4)  # three classes, and none of them
    assert np.allclose(net(photos).asnumpy(), members.mean(axis=1), atol=1e-5)


def test_fixed_values_are_not_learned(net: network.Mean) -> None:
    fixed = [name for name, p in net.collect_params().items() if "orientations" in name and p.grad_req == "null"]
    assert len(fixed) == 3


def test_names_and_weights_depend_on_the_arguments_alone(net: network.Mean) -> None:
    again, other = network.build(3, (16, 32, 64), SIZE, seed=4), network.build(3, (16, 32, 64), SIZE, seed=5)
    first = {name: p.data().asnumpy() for name, p in net.collect_params().items()}
    second = {name: p.data().asnumpy() for name, p in again.collect_params().items()}
    assert first.keys() == second.keys() == other.collect_params().keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], p.data().asnumpy()) for name, p in other.collect_params().items())


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(0, 6), st.sampled_from([16, 32, 48]))
def test_outliers_are_finite_pictures_of_the_photos_size(seed: int, count: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    views = rng.uniform(0, 255, (4, side, side, 3)).astype(np.float32)
    drawn = outliers.draw(count, views, rng)
    assert drawn.shape == (count, side, side, 3)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("side", [16, 32, 96])
def test_crops_of_natural_photographs_are_the_same_each_time_and_differ(side: int) -> None:
    crops = outliers.crops((side, side), 12)
    assert crops.shape == (12, side, side, 3)
    assert np.array_equal(crops, outliers.crops((side, side), 12))
    assert len({crop.tobytes() for crop in crops}) == 12
