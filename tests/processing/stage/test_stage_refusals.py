"""Staging refuses bad input with one sentence that names it, in the message file and on stderr, and exit status 1."""

import gzip
import io
import os
import pickle
import struct
import tarfile
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from processing import photos as photos_module
from processing.stage import __main__ as stage
from processing.stage import archives
from tests.processing.stage.stage_archives import members, split, tar_bytes, write_archive


@pytest.fixture
def refusal(tmp_path, capsys):
    """Stages an input that must be refused; returns the sentence."""

    def refuse(source, *more):
        outputs = [item for name in ("train", "test", "photos") for item in (f"--{name}", str(tmp_path / name))]
        status = stage.main(["--input", str(source), *outputs, "--message", str(tmp_path / "out" / "message"), *more])
        sentence = (tmp_path / "out" / "message").read_text().strip()
        assert status == 1
        assert sentence == capsys.readouterr().err.strip()
        assert "\n" not in sentence
        assert sentence.endswith(".")
        return sentence

    return refuse


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes with six photos each."""
    for name in ("cat", "dog"):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(6):
            colour = (number * 20, 50 if name == "cat" else 90, 7)
            Image.new("RGB", (9, 9), colour).save(tmp_path / "in" / name / f"{number}.png")
    return tmp_path / "in"


class Payload:
    """Unpickled freely, it would run a command."""

    def __reduce__(self):
        import os

        return os.system, ("touch executed",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_names_a_class_is_refused_and_does_not_run(tmp_path, refusal, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    sentence = refusal(write_archive(tmp_path, train=pickle.dumps({b"data": Payload()}, protocol)))
    assert "its 'train'" in sentence
    assert "posix.system" in sentence or protocol == 0  # text pickles are refused as a whole
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "name", ["numpy.load", "numpy.testing.measure", "numpy.core.multiarray.fromfile", "builtins.eval"]
)
def test_names_near_the_allowed_ones_are_refused_by_name(tmp_path, refusal, name):
    module, attribute = name.rsplit(".", 1)
    sentence = refusal(write_archive(tmp_path, meta=f"\x80\x02c{module}\n{attribute}\n.".encode("latin1")))
    assert repr(name) in sentence


def test_a_truncated_archive_is_refused_by_name(tmp_path, refusal):
    whole = write_archive(tmp_path).read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    assert "cut.tar.gz is truncated or damaged" in refusal(cut)


def test_a_damaged_checksum_at_the_very_end_is_noticed(tmp_path, refusal):
    path = write_archive(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    assert "damaged" in refusal(path)


def test_a_file_that_is_no_archive_is_refused(tmp_path, refusal):
    (tmp_path / "x.tar.gz").write_bytes(b"hello")
    assert "x.tar.gz is truncated or damaged" in refusal(tmp_path / "x.tar.gz")


@pytest.mark.parametrize("name", ["../train", "/etc/train", "a/../../train", "..\\train"])
def test_a_path_that_climbs_out_is_refused(tmp_path, refusal, name):
    assert "climbs out" in refusal(write_archive(tmp_path, extra=[tarfile.TarInfo(name)]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_special_files_are_refused(tmp_path, refusal, kind):
    member = tarfile.TarInfo("cifar-100-python/train")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "link or a special file" in refusal(write_archive(tmp_path, extra=[member]))


def test_a_member_above_the_limit_is_refused_before_it_is_read(tmp_path, refusal):
    member = tarfile.TarInfo("cifar-100-python/file.txt")
    member.size = archives.MAX_MEMBER_BYTES + 1
    header = tarfile.TarInfo.tobuf(member)
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(header))
    assert "the limit is" in refusal(tmp_path / "x.tar.gz")


def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", 3 << 20)
    path = write_archive(tmp_path, padding=b"\0" * (4 << 20))
    assert "unpacks to more than 3 MiB" in refusal(path)


def test_an_archive_without_meta_is_refused(tmp_path, refusal):
    content = members()
    del content["meta"]
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(tar_bytes(content)))
    assert "lacks meta" in refusal(tmp_path / "x.tar.gz")


def test_pixels_of_another_shape_are_refused(tmp_path, refusal):
    sentence = refusal(write_archive(tmp_path, test=split(8, data=np.zeros((8, 1024), np.uint8))))
    assert "'test' should hold 'data' as uint8 of shape (rows, 3072); it is uint8 of shape (8, 1024)" in sentence


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path, refusal):
    honest = pickle.dumps(split(8), 2)
    lying = honest.replace(b"K\x08M\x00\x0c\x86", b"J\xff\xff\xff\x7fM\x00\x0c\x86")
    assert lying != honest
    assert "holds an array of shape (2147483647, 3072) with 24576 bytes" in refusal(write_archive(tmp_path, test=lying))


def test_a_pickle_that_asks_for_memory_is_refused_at_once(tmp_path, refusal):
    assert "pickle of plain data" in refusal(
        write_archive(tmp_path, meta=b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x0f.")
    )


def nested(depth=70):
    """A small pickle whose written form would have 2 to the depth parts."""
    value: tuple[Any, ...] = ()
    for _ in range(depth):
        value = (value, value)
    return value


@pytest.mark.timeout(120)
def test_values_that_would_print_for_ever_are_refused_at_once(tmp_path, refusal):
    assert "has the label" in refusal(write_archive(tmp_path, train=split(4, fine_labels=[0, 1, 2, nested()])))
    program = pickle.dumps(nested(), 2)[2:-1]
    array = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01" + program
    assert "impossible shape" in refusal(
        write_archive(tmp_path, meta=array + b"cnumpy\ndtype\nU\x02u1\x85R\x89U\x00tb.")
    )
    kind = b"\x80\x02cnumpy\ndtype\n" + program + b"\x85R."
    assert "array of type" in refusal(write_archive(tmp_path, meta=kind))


def test_dictionary_keys_that_are_not_strings_are_refused(tmp_path, refusal):
    assert "keys are not strings" in refusal(write_archive(tmp_path, meta=pickle.dumps({((),): 1}, 2)))


def test_fewer_labels_than_rows_are_refused(tmp_path, refusal):
    sentence = refusal(write_archive(tmp_path, train=split(12, fine_labels=[1] * 11)))
    assert "'train' has 12 rows of pixels and 11 fine labels" in sentence


@pytest.mark.parametrize("label", [4, -1, True, "1"])
def test_a_label_out_of_range_is_refused(tmp_path, refusal, label):
    sentence = refusal(write_archive(tmp_path, train=split(4, fine_labels=[0, 1, 2, label])))
    assert f"'train' row 3 has the label {label!r}, outside 0 to 3" in sentence


def test_a_class_the_archive_does_not_name_is_refused(tmp_path, refusal):
    sentence = refusal(write_archive(tmp_path), "--classes", "bicycle,tank")
    assert "no class 'tank'; it names apple, bicycle, bus, motorcycle" in sentence


def test_a_class_without_photos_is_refused(tmp_path, refusal):
    path = write_archive(tmp_path, test=split(4, fine_labels=[0, 1, 1, 3]))
    assert "no test photos of motorcycle" in refusal(path)


@pytest.mark.parametrize("classes", ["bicycle", "", "a,a", "../x,y", "a/b,c"])
def test_unusable_class_lists_are_refused(tmp_path, refusal, classes):
    assert "class" in refusal(write_archive(tmp_path), "--classes", classes)


def test_a_missing_input_is_named(tmp_path, refusal):
    assert "nowhere does not exist" in refusal(tmp_path / "nowhere")


def test_a_folder_with_one_class_is_refused(photos, refusal):
    for path in (photos / "dog").iterdir():
        path.unlink()
    (photos / "dog").rmdir()
    assert "one class folder, 'cat'" in refusal(photos, "--classes", "cat,dog")


def test_an_empty_folder_is_refused(tmp_path, refusal):
    (tmp_path / "empty").mkdir()
    assert "no class folders" in refusal(tmp_path / "empty")


def test_a_class_folder_that_is_not_there_is_named(photos, refusal):
    assert "no folder 'horse'; it has cat, dog" in refusal(photos, "--classes", "cat,horse")


def test_broken_photos_are_all_named_up_to_ten(photos, refusal):
    for number in range(11):
        (photos / "cat" / f"broken-{number:02}.png").write_bytes(b"not a photo")
    sentence = refusal(photos, "--classes", "cat,dog")
    assert sentence.startswith("11 of the photos cannot be used: cat/broken-00.png is not a readable PNG or JPEG;")
    assert "broken-09" in sentence
    assert "broken-10" not in sentence
    assert sentence.endswith("and 1 more.")


def test_truncated_empty_huge_and_foreign_photos_are_broken(photos, refusal, monkeypatch):
    monkeypatch.setattr(photos_module, "MAX_PIXELS", 10_000)
    whole = io.BytesIO()
    Image.fromarray(np.random.RandomState(0).randint(0, 255, (90, 90, 3)).astype(np.uint8)).save(whole, "JPEG")
    (photos / "dog" / "a.jpg").write_bytes(whole.getvalue()[:-900])
    (photos / "dog" / "b.png").write_bytes(b"")
    Image.new("RGB", (101, 100)).save(photos / "dog" / "c.png")
    Image.new("RGB", (9, 9)).save(photos / "dog" / "d.png", "BMP")
    with (photos / "dog" / "e.jpg").open("wb") as sparse:
        sparse.truncate(photos_module.MAX_BYTES + 1)
    sentence = refusal(photos, "--classes", "cat,dog")
    assert "dog/a.jpg is not a readable" in sentence
    assert "dog/b.png is empty" in sentence
    assert "dog/c.png has 0 megapixels" in sentence
    assert "dog/d.png is BMP, not PNG or JPEG" in sentence
    assert "dog/e.jpg has 6.0 MiB, more than" in sentence


def test_the_same_photo_in_two_classes_is_refused(photos, refusal):
    (photos / "dog" / "twin.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    assert "cat/0.png and dog/twin.png are the same photo in two classes" in refusal(photos, "--classes", "cat,dog")


def test_a_link_out_of_the_folder_is_refused(tmp_path, photos, refusal):
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (photos / "dog" / "link.png").symlink_to(tmp_path / "secret.png")
    assert "dog/link.png is a link that leads out" in refusal(photos, "--classes", "cat,dog")


def test_too_few_different_photos_are_refused(photos, refusal):
    for number in range(4):
        (photos / "cat" / f"{number}.png").write_bytes((photos / "cat" / "5.png").read_bytes())
    assert "'cat' has 2 different photos; at least 5 are needed" in refusal(photos, "--classes", "cat,dog")


def test_two_archives_in_one_folder_are_refused(tmp_path, refusal):
    folder = tmp_path / "two"
    folder.mkdir()
    write_archive(folder).rename(folder / "other.tar.gz")
    write_archive(folder)
    assert "other.tar.gz, small.tar.gz; give one archive" in refusal(folder)


def test_a_disk_that_takes_no_more_is_a_sentence(tmp_path, capsys):
    outputs = [item for name in ("train", "test", "photos") for item in (f"--{name}", "/dev/full/" + name)]
    source = write_archive(tmp_path)
    assert stage.main(["--input", str(source), *outputs, "--message", "/dev/full/message"]) == 1
    assert capsys.readouterr().err.startswith("Reading or writing failed")


def test_a_photo_of_900_megapixels_is_told_the_limit(photos, refusal):
    rows = zlib.compress(b"\0" * (30_000 * 4 + 1) * 100, 9)
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    (photos / "cat" / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
    )
    assert "cat/bomb.png has 900 megapixels, more than 50" in refusal(photos, "--classes", "cat,dog")


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_an_iphones_photo_under_another_name_is_called_by_its_kind(photos, refusal):
    (photos / "cat" / "iphone.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert "cat/iphone.jpg is HEIC, not PNG or JPEG" in refusal(photos, "--classes", "cat,dog")


def test_four_megabytes_that_unpack_to_four_gigabytes_are_refused_early(tmp_path, refusal):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(tarfile.TarInfo("zeros").tobuf() + b"\0" * (70 << 20)))
    (tmp_path / "pax.tar.gz").write_bytes(gzip.compress(_long_name(70 << 20)))
    for name in ("x.tar.gz", "pax.tar.gz"):
        assert "unpacks to more than 64 MiB" in refusal(tmp_path / name)


def _long_name(size):
    """A member whose name alone has `size` bytes: tarfile reads it before anybody can look at it."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, size
    return header.tobuf(tarfile.GNU_FORMAT) + b"a" * size


def test_a_name_that_is_no_text_is_shown_in_the_message(photos, refusal):
    (photos / os.fsdecode(b"caf\xe9")).mkdir()
    assert "it has caf\\udce9, cat, dog" in refusal(photos, "--classes", "cat,horse")


def test_a_photo_whose_name_is_no_text_is_read(photos, tmp_path, capsys):
    for path in sorted((photos / "cat").iterdir()):
        path.rename(path.with_name(os.fsdecode(b"\xe9" + os.fsencode(path.name))))
    outputs = [item for name in ("train", "test", "photos") for item in (f"--{name}", str(tmp_path / name))]
    assert stage.main(["--input", str(photos), *outputs, "--classes", "cat,dog"]) == 0


def test_the_other_names_of_jpeg_files_are_read_too(photos, tmp_path):
    for number, path in enumerate(sorted((photos / "dog").iterdir())):
        path.rename(path.with_suffix((".jfif", ".JPE")[number % 2]))
    outputs = [item for name in ("train", "test", "photos") for item in (f"--{name}", str(tmp_path / name))]
    assert stage.main(["--input", str(photos), *outputs, "--classes", "cat,dog"]) == 0
