"""The weights that are fetched from a training job's artifact: the one file, and nothing of another kind."""

import io
import tarfile

import pytest

from loadingbay.errors import WorkError
from loadingbay.story.pretraining import FILE, weights


def artifact(name=FILE, content=b"weights", kind=tarfile.REGTYPE):
    """A model.tar.gz with one member, as bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.type = (len(content), kind) if kind == tarfile.REGTYPE else (0, kind)
        member.linkname = "/etc/passwd" if kind == tarfile.SYMTYPE else ""
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("name", [FILE, f"./{FILE}"])
def test_the_file_of_weights_is_taken_from_the_artifact(name):
    assert weights(artifact(name)) == b"weights"


@pytest.mark.parametrize("packed", [artifact("model.json"), artifact(kind=tarfile.SYMTYPE)])
def test_an_artifact_without_the_file_is_refused(packed):
    with pytest.raises(WorkError, match="holds no file"):
        weights(packed)


@pytest.mark.parametrize("packed", [b"no archive", artifact()[:20]])
def test_a_damaged_artifact_is_refused(packed):
    with pytest.raises(WorkError, match="damaged"):
        weights(packed)
