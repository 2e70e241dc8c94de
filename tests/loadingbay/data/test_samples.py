"""Drawn samples: the same picture for the same seed, in the archive's own format."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from loadingbay.data import samples
from loadingbay.data.samples import archive


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("drawn") / "drawn.tar.gz"
    samples.write_archive(path, seed=3, train=20, test=10)
    return path


def member(path, name, encoding="bytes"):
    with tarfile.open(path) as tar:
        return pickle.load(io.BytesIO(tar.extractfile(f"cifar-100-python/{name}").read()), encoding=encoding)


@pytest.mark.parametrize("kind", samples.KINDS)
@pytest.mark.parametrize("size", [(32, 32), (120, 90)])
def test_the_same_seed_draws_the_same_pixels(kind, size):
    first, again, other = (np.asarray(samples.draw(kind, seed, size)) for seed in (7, 7, 8))
    assert first.shape == (size[1], size[0], 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_two_kinds_of_one_seed_differ():
    assert samples.draw("bicycle", 5).tobytes() != samples.draw("motorcycle", 5).tobytes()


def test_an_unknown_kind_is_refused():
    with pytest.raises(KeyError, match="tank"):
        samples.draw("tank", 1)


def test_drawn_photos_are_as_varied_as_photos():
    pixels = np.stack([np.asarray(samples.draw(kind, seed)) for kind in samples.KINDS for seed in range(60)]).astype(
        float
    )
    assert len({photo.tobytes() for photo in pixels}) == 180
    assert pixels.std(axis=(1, 2, 3)).min() > 1.5  # none is a flat colour
    brightness = pixels.mean(axis=(1, 2, 3))
    assert brightness.min() < 60
    assert brightness.max() > 200


def test_pixel_statistics_do_not_give_the_kind_away():
    mean = {
        kind: np.mean([np.asarray(samples.draw(kind, seed)).mean(axis=(0, 1)) for seed in range(150)], axis=0)
        for kind in samples.KINDS
    }
    assert np.ptp(list(mean.values()), axis=0).max() < 20


def test_the_same_seed_writes_the_same_archive(written, tmp_path):
    samples.write_archive(tmp_path / "again.tar.gz", seed=3, train=20, test=10)
    samples.write_archive(tmp_path / "other.tar.gz", seed=4, train=20, test=10)
    digests = [
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (written, tmp_path / "again.tar.gz", tmp_path / "other.tar.gz")
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_split_has_the_keys_types_and_shapes_of_cifar_100(written):
    train = member(written, "train")
    assert set(train) == {b"data", b"batch_label", b"fine_labels", b"coarse_labels", b"filenames"}
    assert (train[b"data"].dtype, train[b"data"].shape) == (np.dtype(np.uint8), (20, 3072))
    assert train[b"fine_labels"] == [8, 48] * 10
    assert set(train[b"coarse_labels"]) == {18}
    assert all(type(name) is bytes for name in train[b"filenames"])


def test_other_kinds_are_drawn_when_they_are_asked_for(tmp_path):
    samples.write_archive(tmp_path / "three.tar.gz", seed=3, train=6, test=3, kinds=samples.KINDS)
    assert member(tmp_path / "three.tar.gz", "train")[b"fine_labels"] == [8, 48, 58] * 2


def test_meta_names_the_hundred_classes(written):
    meta = member(written, "meta")
    assert len(meta[b"fine_label_names"]) == 100
    assert len(set(meta[b"fine_label_names"])) == 100
    assert [meta[b"fine_label_names"][label] for label in (0, 8, 48, 58, 99)] == [
        b"apple",
        b"bicycle",
        b"motorcycle",
        b"pickup_truck",
        b"worm",
    ]
    assert (len(meta[b"coarse_label_names"]), meta[b"coarse_label_names"][18]) == (20, b"vehicles_1")


def test_readers_that_decode_python_2_strings_as_latin1_read_it_too(written):
    assert member(written, "train", "latin1")["fine_labels"] == [8, 48] * 10


def test_pixels_are_stored_in_colour_planes(written):
    row = member(written, "train")[b"data"][1].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(row, np.asarray(samples.draw("motorcycle", 3_000_001)))


def test_pickles_name_what_numpy_1_and_numpy_2_both_have(written):
    with tarfile.open(written) as tar:
        data = tar.extractfile("cifar-100-python/train").read()
    assert data.startswith(b"\x80\x02")
    assert b"cnumpy.core.multiarray\n" in data
    assert b"numpy._core" not in data
    assert b"_codecs" not in data


def test_train_and_test_share_no_photo(written):
    train, test = ({row.tobytes() for row in member(written, name)[b"data"]} for name in ("train", "test"))
    assert not train & test


def test_the_default_set_has_a_thousand_and_two_hundred_photos():
    assert (archive.TRAIN_PHOTOS, archive.TEST_PHOTOS) == (1000, 200)


def test_progress_is_told_of_every_photo(tmp_path):
    seen = []
    samples.write_archive(tmp_path / "x.tar.gz", train=3, test=2, progress=lambda: seen.append(1))
    assert len(seen) == 5


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("loadingbay.data.samples.archive.tarfile.TarFile.addfile", full)
    with pytest.raises(OSError, match="No space left"):
        samples.write_archive(tmp_path / "x.tar.gz", train=2, test=2)
    assert list(tmp_path.iterdir()) == []
