"""Mutated pickles and archives never execute, never hang, never crash: they are read, or refused with StageError."""

import gzip
import pickle
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processing import job
from processing.stage import archives, plain_pickle
from tests.processing.stage.stage_archives import members, split, tar_bytes, write_archive

SETTINGS = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
SEEDS = [
    pickle.dumps(
        {b"data": np.arange(12, dtype=np.uint8).reshape(4, 3), b"fine_labels": [1, 2], b"x": ("a", 1.5, None)}, 2
    ),
    pickle.dumps({"data": np.arange(6, dtype=np.int64), "names": [b"x" * 300]}, 4),
    members()["meta"],
]
ACTIONS = ("import", "os.system", "subprocess.Popen", "open", "socket.connect", "os.remove", "exec", "compile")


@pytest.fixture(scope="module")
def forbidden():
    """An audit hook that notes what a pickle makes Python do: imports, files, processes."""
    seen: list[str] = []
    watching = [False]

    def hook(event, _arguments):
        if watching[0] and event in ACTIONS:
            seen.append(event)

    sys.addaudithook(hook)

    def watch(function, *arguments):
        seen.clear()
        watching[0] = True
        try:
            return function(*arguments)
        finally:
            watching[0] = False
            assert seen == []

    return watch


@st.composite
def mutations(draw, whole):
    """Draw bytes that differ from `whole` in one to six places."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["set", "insert", "delete", "cut", "repeat"]))
        chunk = draw(st.binary(min_size=1, max_size=9))
        if kind == "set":
            data[place : place + len(chunk)] = chunk
        elif kind == "insert":
            data[place:place] = chunk
        elif kind == "delete":
            del data[place : place + len(chunk)]
        elif kind == "cut":
            del data[place:]
        else:
            data[place:place] = data[max(0, place - 40) : place]
    return bytes(data)


def read_or_refuse(data):
    try:
        return plain_pickle.load_plain_pickle(data)
    except job.JobError:
        return None


@SETTINGS
@given(data=st.sampled_from(SEEDS).flatmap(mutations))
def test_mutated_pickles_are_read_or_refused(forbidden, data):
    forbidden(read_or_refuse, data)


OPCODES = st.sampled_from([bytes([code]) for code in pickle._Unpickler.dispatch])
PIECES = st.one_of(
    OPCODES,
    st.binary(max_size=5),
    st.sampled_from(
        [
            b"cos\nsystem\n",
            b"cnumpy\nndarray\n",
            b"cnumpy.core.multiarray\n_reconstruct\n",
            b"U\x02id",
            b"K\x01",
            b"}",
            b"(",
        ]
    ),
)


@SETTINGS
@given(pieces=st.lists(PIECES, max_size=40))
def test_arbitrary_programs_for_the_pickle_machine_are_read_or_refused(forbidden, pieces):
    forbidden(read_or_refuse, b"\x80\x02" + b"".join(pieces) + b".")


@SETTINGS
@given(
    module=st.text("abcnumpy._os", min_size=1, max_size=20),
    name=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12),
)
def test_every_name_but_the_allowed_five_is_refused_by_name(module, name):
    if (module, name) in plain_pickle._NAMES:
        return
    with pytest.raises(job.JobError, match=r"and only numpy arrays of plain data are read"):
        plain_pickle.load_plain_pickle(f"\x80\x02c{module}\n{name}\n.".encode("latin1"))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.binary(min_size=1, max_size=300)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.binary(min_size=1, max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@SETTINGS
@given(value=PLAIN, protocol=st.sampled_from([2, 3, 4]))
def test_plain_data_comes_back_as_it_was(value, protocol):
    assert plain_pickle.load_plain_pickle(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("depth", [200_000])
def test_deep_nesting_does_not_crash(depth):
    for program in (b")" + b"\x85" * depth, b"]" * depth + b"a" * (depth - 1), b"}" + b")" + b"\x85" * depth + b"Ns"):
        read_or_refuse(b"\x80\x02" + program + b".")


TAR = tar_bytes(members(train=split(2), test=split(2)))


def archive_or_refusal(path):
    """Read the archive; the refusal as text, or None where it is taken."""
    try:
        archives.read_archive(path)
    except job.JobError as error:
        return str(error)
    return None


@SETTINGS
@given(data=mutations(TAR))
def test_mutated_tars_are_read_or_refused(tmp_path, data):
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(data, 1))
    archive_or_refusal(tmp_path / "x.tar.gz")


@SETTINGS
@given(st.data())
def test_every_mutation_of_the_compressed_bytes_is_noticed_or_harmless(tmp_path, data):
    path = write_archive(tmp_path)
    whole = archives.read_archive(path)
    mutated = data.draw(mutations(path.read_bytes()))
    path.write_bytes(mutated)
    if archive_or_refusal(path) is None:
        again = archives.read_archive(path)
        assert np.array_equal(again["train"][b"data"].value, whole["train"][b"data"].value)
