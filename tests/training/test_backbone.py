"""The ImageNet network: its features, its export with a head, and what the artifact serves of it."""

from pathlib import Path

import backbone
import int8
import mxnet as mx
import numpy as np
import pytest
import second
import torch_weights

SIDE = 32
KERNELS = (3, 3, 5, 3, 5, 5)  # of the stages


def _random() -> torch_weights.Weights:
    """Weights of the network's shapes that keep the scale of what passes."""
    rng, weights = np.random.default_rng(1), {}

    def add(name: str, norm: str, *shape: int) -> None:
        weights[f"_{name}.weight"] = rng.normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[1:]) / 4)
        for field, low in (("weight", 0.5), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 0.5)):
            weights[f"_{norm}.{field}"] = rng.uniform(low, 1, shape[0]).astype(np.float32)

    add("conv_stem", "bn0", 32, 3, 3, 3)
    block, channels = 0, 32
    for kernel, (repeats, _, expansion, outputs) in zip(KERNELS, backbone.STAGES, strict=True):
        for _ in range(repeats):
            name, wide = f"blocks.{block}.", channels * expansion
            if expansion > 1:
                add(f"{name}_expand_conv", f"{name}_bn0", wide, channels, 1, 1)
            add(f"{name}_depthwise_conv", f"{name}_bn1", wide, 1, kernel, kernel)
            add(f"{name}_project_conv", f"{name}_bn2", outputs, wide, 1, 1)
            block, channels = block + 1, outputs
    return weights


def _reference(weights: torch_weights.Weights, images: np.ndarray) -> np.ndarray:
    """The network layer by layer as TensorFlow defines it: upright, padded by hand, normalised after each layer."""

    def layer(x: mx.nd.NDArray, name: str, norm: str, stride: int = 1, clip: bool = True) -> mx.nd.NDArray:
        kernels = weights[f"_{name}.weight"]
        size, side = kernels.shape[-1], x.shape[-1]
        border = max((-(-side // stride) - 1) * stride + size - side, 0)
        x = mx.nd.pad(x, mode="constant", pad_width=(0, 0, 0, 0, *(border // 2, border - border // 2) * 2))
        groups = len(kernels) if kernels.shape[1] == 1 else 1
        x = mx.nd.Convolution(x, mx.nd.array(kernels), kernel=(size, size), stride=(stride, stride), no_bias=True,
                              num_filter=len(kernels), num_group=groups)  # fmt: skip
        gamma, beta, mean, variance = (
            mx.nd.array(weights[f"_{norm}.{field}"]).reshape((1, -1, 1, 1))
            for field in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / mx.nd.sqrt(variance + 1e-3) * gamma + beta
        return mx.nd.clip(x, 0, 6) if clip else x

    x = mx.nd.array(second.enlarge(images, SIDE)[:, :, ::-1, ::-1])
    x = layer(x, "conv_stem", "bn0", 2)
    block = 0
    for repeats, first, expansion, _ in backbone.STAGES:
        for repeat in range(repeats):
            name, before = f"blocks.{block}.", x
            if expansion > 1:
                x = layer(x, f"{name}_expand_conv", f"{name}_bn0")
            x = layer(x, f"{name}_depthwise_conv", f"{name}_bn1", 1 if repeat else first)
            x = layer(x, f"{name}_project_conv", f"{name}_bn2", clip=False)
            if x.shape == before.shape:
                x = x + before
            block += 1
    features: np.ndarray = x.mean(axis=(2, 3)).asnumpy()
    return features


def _photos(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 24, 20, 3), np.uint8)


@pytest.fixture(scope="module")
def weights() -> torch_weights.Weights:
    return _random()


@pytest.fixture(scope="module")
def network(weights: torch_weights.Weights) -> backbone.Backbone:
    return backbone.Backbone(weights, SIDE)


@pytest.fixture(scope="module")
def real() -> backbone.Backbone:
    return backbone.Backbone(backbone.load(), 64)


def _head(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, backbone.FEATURES)) / 10, rng.normal(size=3)


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_folded_and_turned_it_is_the_network_as_published(
    weights: torch_weights.Weights, network: backbone.Backbone
) -> None:
    features, true = network.exact(second.enlarge(_photos(5), SIDE)), _reference(weights, _photos(5))
    assert features.shape == (5, backbone.FEATURES)
    assert features.dtype == np.float32
    assert np.sqrt(np.square(features - true).mean()) < 0.02 * true.std()  # weights are rounded to half precision


def test_the_installed_weights_tell_stripes_from_spots(real: backbone.Backbone) -> None:
    grid = np.indices((32, 32))
    stripes = [np.where((grid[0] + shift) // 4 % 2, 220, 30) for shift in range(3)]
    spots = [np.where(((grid[0] + shift) // 4 + grid[1] // 4) % 2, 220, 30) for shift in range(3)]
    features = real.features(np.stack([*stripes, *spots]).astype(np.uint8)[..., None].repeat(3, axis=3))
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    assert max(distances[:3, :3].max(), distances[3:, 3:].max()) < distances[:3, 3:].min()


def _difference(network: backbone.Backbone, photos: np.ndarray) -> float:
    """Of 8 bits from float: root mean square, as a share of the standard deviation."""
    fast, exact = (one(second.enlarge(photos, 64)) for one in (network.fast, network.exact))
    return float(np.sqrt(np.square(fast - exact).mean()) / exact.std(axis=0).mean())


def test_eight_bits_are_near_the_float_network(real: backbone.Backbone) -> None:
    # 0.18 with 8-bit dot products, 0.3 to 0.4 where sums saturate, above 1 with a scale that is wrong.
    assert 0.01 < _difference(real, int8.probes((32, 32))[:8]) < 0.5


def test_a_batch_of_another_size_changes_no_answer(real: backbone.Backbone) -> None:
    photos = second.enlarge(_photos(4), 64)
    before = real.fast(photos)
    assert [np.abs(real.fast(photos[:size]) - before[:size]).max() for size in (1, 2, 3, 4)] == [0, 0, 0, 0]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_features_do_not_depend_on_the_rest_of_the_batch(count: int, network: backbone.Backbone) -> None:
    photos = _photos(count, seed=count)
    alone = np.concatenate([network.features(photo[None]) for photo in photos])
    np.testing.assert_allclose(network.features(photos), alone, atol=1e-5, rtol=1e-5)


def test_the_same_photos_give_the_same_bits(weights: torch_weights.Weights, network: backbone.Backbone) -> None:
    again = backbone.Backbone(weights, SIDE)
    assert network.features(_photos(6)).tobytes() == again.features(_photos(6)).tobytes()


def test_what_is_served_are_features_and_head(network: backbone.Backbone, tmp_path: Path) -> None:
    network.export(tmp_path, *_head())
    served = second.load(tmp_path)
    assert served is not None
    served.warm()
    matrix, bias = _head()
    np.testing.assert_allclose(served(_photos(7)), network.features(_photos(7)) @ matrix.T + bias, atol=1e-4)


def test_the_same_head_gives_the_same_artifact(
    weights: torch_weights.Weights, network: backbone.Backbone, tmp_path: Path
) -> None:
    for name, one in (("first", network), ("again", backbone.Backbone(weights, SIDE))):
        (tmp_path / name).mkdir()
        one.export(tmp_path / name, *_head())
    assert _files(tmp_path / "first") == _files(tmp_path / "again")


def test_a_head_of_another_length_is_refused(network: backbone.Backbone, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"of shape \(3, 191\), not \(3, 192\)"):
        network.export(tmp_path, np.zeros((3, 191)), np.zeros(3))


def test_where_the_processor_differs_the_float_network_is_served(
    real: backbone.Backbone, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(second, "LIMIT", 1.0)
    assert second.choose(real.fast, real.exact, 64) is real.fast
    monkeypatch.setattr(second, "LIMIT", 0.01)
    assert second.choose(real.fast, real.exact, 64) is real.exact
    assert "differs by" in caplog.text


def test_an_artifact_without_a_second_opinion_has_none(tmp_path: Path) -> None:
    assert second.load(tmp_path) is None


def test_an_artifact_that_is_not_whole_says_what_is_missing(network: backbone.Backbone, tmp_path: Path) -> None:
    network.export(tmp_path, *_head())
    (tmp_path / second.PARAMETERS).unlink()
    with pytest.raises(FileNotFoundError, match=second.PARAMETERS):
        second.load(tmp_path)


def test_without_the_package_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone, "PACKAGE", "no_such_package")
    with pytest.raises(torch_weights.WeightsError, match=r"no_such_package is not installed: container/requirements"):
        backbone.load()


@pytest.mark.parametrize("size", [100, backbone.MAX_BYTES + 1])
def test_a_file_of_other_bytes_is_refused(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "other_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    with (package / backbone.FILE).open("wb") as file:
        file.truncate(size)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(backbone, "PACKAGE", package.name)
    with pytest.raises(torch_weights.WeightsError, match=r"has the SHA-256 \w{64}, not 5793"):
        backbone.load()
