"""Acquiring the data: what is named goes first, then the cache, then a download, then drawn samples, saying why."""

import gzip
import hashlib
import http.server
import json
import os
import socket
import threading
from functools import partial

import pytest
from PIL import Image

from loadingbay.data import acquire as data
from loadingbay.data import samples
from loadingbay.data.acquire import ARCHIVE_NAME, DataError, Source, acquire, cache_folder

ARCHIVE = gzip.compress(os.urandom(2 << 20))
MD5 = hashlib.md5(ARCHIVE, usedforsecurity=False).hexdigest()


@pytest.fixture
def nowhere():
    """A source that refuses connections, on this machine."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield Source(f"http://127.0.0.1:{taken.getsockname()[1]}/{ARCHIVE_NAME}", MD5, len(ARCHIVE))


@pytest.fixture
def served(tmp_path):
    """A source on a loopback server; add a file of its name to tmp_path/served to have it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "served")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Source(f"http://127.0.0.1:{server.server_address[1]}/{ARCHIVE_NAME}", MD5, len(ARCHIVE))
        server.shutdown()
        thread.join()


@pytest.fixture
def quick_samples(monkeypatch):
    """Draws four photos in place of 1,200."""
    monkeypatch.setattr(samples, "write_archive", partial(samples.write_archive, train=2, test=2))


@pytest.fixture
def photos(tmp_path):
    for name, colour in (("cat", "red"), ("dog", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8), colour).save(tmp_path / "photos" / name / "a.png")
    return tmp_path / "photos"


def get(tmp_path, named=None, source=None, environment=None, **options):
    return acquire(
        named, environment=environment or {}, cache=tmp_path / "cache", source=source or data.CIFAR_100, **options
    )


def test_a_named_archive_is_taken_whatever_its_md5(tmp_path):
    (tmp_path / "mine.tgz").write_bytes(ARCHIVE)
    found = get(tmp_path, tmp_path / "mine.tgz", environment={"CIFAR100_ARCHIVE": "/nowhere"})
    assert (found.label, found.sha256) == ("cifar-100", hashlib.sha256(ARCHIVE).hexdigest())
    assert found.files == ((ARCHIVE_NAME, tmp_path / "mine.tgz"),)


def test_the_environment_names_the_archive(tmp_path):
    (tmp_path / "mine.tgz").write_bytes(ARCHIVE)
    found = get(tmp_path, environment={"CIFAR100_ARCHIVE": str(tmp_path / "mine.tgz")})
    assert found.path == tmp_path / "mine.tgz"
    assert found.origin == f"CIFAR100_ARCHIVE={tmp_path / 'mine.tgz'}"


def test_an_archive_that_is_not_there_is_refused_with_the_variables_name(tmp_path):
    with pytest.raises(DataError, match="CIFAR100_ARCHIVE=/nowhere: there is no such"):
        get(tmp_path, environment={"CIFAR100_ARCHIVE": "/nowhere"})


@pytest.mark.parametrize(("content", "words"), [(b"", "the file is empty"), (b"PK\x03\x04", r"not a \.tar\.gz")])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content, words):
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(DataError, match=words):
        get(tmp_path, tmp_path / "x.tar.gz")


def test_a_named_archive_of_drawn_samples_is_called_so(tmp_path):
    samples.write_archive(tmp_path / data.DRAWN_NAME, train=2, test=2)
    (tmp_path / data.DRAWN_NAME).rename(tmp_path / "renamed.tar.gz")
    assert get(tmp_path, tmp_path / "renamed.tar.gz").label == "drawn samples"


def test_the_cache_serves_without_a_network(tmp_path, nowhere):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ARCHIVE_NAME).write_bytes(ARCHIVE)
    found = get(tmp_path, source=nowhere)
    assert (found.label, found.path) == ("cifar-100", tmp_path / "cache" / ARCHIVE_NAME)


def test_the_download_fills_the_cache(tmp_path, served):
    (tmp_path / "served" / ARCHIVE_NAME).write_bytes(ARCHIVE)
    said = []
    found = get(tmp_path, source=served, say=said.append)
    assert found.label == "cifar-100"
    assert (tmp_path / "cache" / ARCHIVE_NAME).read_bytes() == ARCHIVE
    assert said[-1].endswith("100 % of 2 MB")


def test_a_damaged_cache_is_reported_set_aside_and_fetched_anew(tmp_path, served):
    (tmp_path / "served" / ARCHIVE_NAME).write_bytes(ARCHIVE)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ARCHIVE_NAME).write_bytes(b"damaged")
    said = []
    found = get(tmp_path, source=served, say=said.append)
    assert found.path.read_bytes() == ARCHIVE
    aside = [path for path in (tmp_path / "cache").iterdir() if ".wrong-md5-" in path.name]
    assert [path.read_bytes() for path in aside] == [b"damaged"]
    assert str(aside[0]) in said[0]
    assert str(aside[0]) in found.origin


def test_a_download_with_a_wrong_md5_is_an_error_not_a_drawing(tmp_path, served):
    (tmp_path / "served" / ARCHIVE_NAME).write_bytes(ARCHIVE[:-1] + b"!")
    with pytest.raises(DataError, match=f"instead of {MD5}"):
        get(tmp_path, source=served)


@pytest.mark.usefixtures("quick_samples")
def test_without_network_samples_are_drawn_and_it_says_why(tmp_path, nowhere):
    said = []
    found = get(tmp_path, source=nowhere, say=said.append)
    assert found.label == "drawn samples"
    assert found.files[0][0] == ARCHIVE_NAME
    assert found.origin.startswith(
        f"drawn samples, because CIFAR-100 could not be downloaded from {nowhere.host} (no connection"
    )
    assert said[0].endswith("drawing samples instead")


@pytest.mark.usefixtures("quick_samples")
def test_samples_are_drawn_once_and_again_when_damaged(tmp_path, nowhere):
    first = get(tmp_path, source=nowhere)
    written = first.path.stat().st_mtime_ns
    assert get(tmp_path, source=nowhere).path.stat().st_mtime_ns == written
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[: len(whole) // 2])
    assert get(tmp_path, source=nowhere).path.read_bytes() == whole


def test_a_folder_of_photos_is_hashed_over_names_and_contents(tmp_path, photos):
    (photos / "notes.txt").write_text("x")
    (photos / "cat" / ".hidden.png").write_bytes(b"x")
    found = get(tmp_path, photos)
    assert found.label == "photos"
    assert [name for name, _ in found.files] == ["cat/a.png", "dog/a.png"]
    hashes = {found.sha256}
    (photos / "cat" / "a.png").rename(photos / "cat" / "b.png")
    hashes.add(get(tmp_path, photos).sha256)
    Image.new("RGB", (8, 8), "green").save(photos / "cat" / "b.png")
    hashes.add(get(tmp_path, photos).sha256)
    assert len(hashes) == 3


def test_the_same_photos_elsewhere_have_the_same_hash(tmp_path, photos):
    first = get(tmp_path, photos).sha256
    photos.rename(tmp_path / "moved")
    assert get(tmp_path, tmp_path / "moved").sha256 == first


def test_a_folder_with_one_class_is_refused(tmp_path, photos):
    (photos / "dog" / "a.png").unlink()
    with pytest.raises(DataError, match="photos of one class only, 'cat'"):
        get(tmp_path, photos)


def test_a_folder_without_photos_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="the folder has no photos"):
        get(tmp_path, tmp_path / "photos")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("meta", "train", "test"), "an archive that was unpacked: name the .tar.gz itself"),
        (("cifar-100-python/meta", "cifar-100-python/train"), "an archive that was unpacked: name the .tar.gz itself"),
        (("mine.tar.gz",), "the archive in it, mine.tar.gz, was meant, name that"),
        (("cat/a.png", "mine.tgz"), "the archive in it, mine.tgz, was meant, name that"),
        (("a.png", "b.jpg"), "photos in the folder itself: move those of each class into a folder of its name"),
        (("test/cat/a.png", "train/cat/a.png"), "photos one folder deeper: name .*/photos/test$"),
    ],
)
def test_a_folder_that_is_nearly_right_is_refused_with_the_way_on(tmp_path, files, said):
    for name in files:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(DataError, match=said):
        get(tmp_path, tmp_path / "photos")


def test_a_link_out_of_the_folder_is_refused(tmp_path, photos):
    Image.new("RGB", (8, 8)).save(tmp_path / "private.png")
    (photos / "dog" / "link.png").symlink_to(tmp_path / "private.png")
    with pytest.raises(DataError, match=r"dog/link\.png is a link that leads out"):
        get(tmp_path, photos)


def test_a_large_file_is_hashed_once_until_it_changes(tmp_path):
    path = tmp_path / "mine.tar.gz"
    path.write_bytes(ARCHIVE)
    get(tmp_path, path)
    notes = tmp_path / "cache" / "digests.json"
    known = json.loads(notes.read_text())
    known[str(path)]["sha256"] = "remembered"
    notes.write_text(json.dumps(known))
    assert get(tmp_path, path).sha256 == "remembered"
    os.utime(path, ns=(1, 1))
    assert get(tmp_path, path).sha256 == hashlib.sha256(ARCHIVE).hexdigest()


def test_spoiled_notes_of_hashes_are_ignored(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "digests.json").write_text('["not", "notes"]')
    (tmp_path / "mine.tar.gz").write_bytes(ARCHIVE)
    assert get(tmp_path, tmp_path / "mine.tar.gz").sha256 == hashlib.sha256(ARCHIVE).hexdigest()


def test_a_cache_that_cannot_be_written_is_a_sentence(tmp_path, nowhere):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"failed .*; the cache is "):
        acquire(None, environment={}, cache=tmp_path / "file" / "cache", source=nowhere)


@pytest.mark.parametrize(
    ("environment", "want"),
    [({"XDG_CACHE_HOME": "/x"}, "/x/loadingbay"), ({"HOME": "/home/me"}, "/home/me/.cache/loadingbay")],
)
def test_the_cache_is_where_caches_are(environment, want):
    assert str(cache_folder(environment)) == want


@pytest.mark.real_data
def test_the_real_archive_is_acquired(tmp_path):
    archive = os.environ.get("CIFAR100_ARCHIVE")
    if not archive:
        pytest.skip("CIFAR100_ARCHIVE does not name the CIFAR-100 archive")
    found = get(tmp_path, environment={"CIFAR100_ARCHIVE": archive})
    assert found.label == "cifar-100"


def _class_folders(root, *names):
    for name in names:
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), len(name)).save(root / name / "a.png")
    return root


@pytest.mark.parametrize(
    ("name", "example"),
    [("mountain bike", "mountain-bike"), (" bicycle ", "bicycle"), ("vélo", "velo"), ("摩托", ""), ("motor cycle", "")],
)
def test_a_class_folder_with_another_name_is_refused_with_one_to_take(tmp_path, name, example):
    root = _class_folders(tmp_path / "photos", name, "motorcycle", "motor-cycle")
    with pytest.raises(DataError) as refused:
        acquire(root, environment={}, cache=tmp_path / "cache")
    said = f"the folder {name!r} cannot be a class"
    assert said in str(refused.value)
    assert str(refused.value).endswith(f"and _; rename it{example and f', for example to {example}'}")


def test_files_that_are_left_out_of_a_folder_are_said(tmp_path):
    root = _class_folders(tmp_path / "photos", "bicycle", "motorcycle")
    (root / "bicycle" / "b.jfif").write_bytes(b"x")
    (root / "bicycle" / "._a.png").write_bytes(b"x")
    found = acquire(root, environment={}, cache=tmp_path / "cache")
    assert len(found.files) == 2
    assert found.origin.endswith("left out: 1 file that does not end in .png, .jpg or .jpeg (1 .jfif)")
