"""A model artifact with another threshold: everything else keeps its bytes, and damaged artifacts are refused."""

import io
import json
import tarfile

import pytest

from loadingbay.errors import WorkError
from loadingbay.learning.repacking import repacked
from pipelines.costs import Costs

COSTS = Costs({"bicycle": 2.0, "motorcycle": 10.0}, 1.0)
SAME = {"bicycle": 0.9, "motorcycle": 0.9}
ABOUT = {
    "classes": ["bicycle", "motorcycle"],
    "threshold": 0.8,
    "class_thresholds": {},
    "costs": {},
    "temperature": 1.25,
    "out_of_fold": {"accuracy": 0.9, "costs": {"of_a_thousand": 3.0}},
}
NETWORK = bytes(range(256)) * 40


def artifact(about=ABOUT, **more):
    """A model.tar.gz with this model.json and more files, as bytes."""
    files = {"model.json": json.dumps(about).encode(), "network-0000.params": NETWORK, "code/inference.py": b"x = 1\n"}
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        folder = tarfile.TarInfo("code")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, content in {**files, **more}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(content), 1_700_000_000, 0o644
            tar.addfile(member, io.BytesIO(content))
    return body.getvalue()


def members(packed):
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        return {one.name: tar.extractfile(one).read() if one.isfile() else None for one in tar}


def model(packed):
    return json.loads(members(packed)["model.json"])


def test_only_the_models_description_changes():
    before, after = members(artifact()), members(repacked(artifact(), SAME, COSTS, {"why": "x"}))
    assert list(after) == list(before)
    assert {name for name in before if before[name] != after[name]} == {"model.json"}
    assert after["network-0000.params"] == NETWORK


def test_the_description_says_threshold_costs_and_origin():
    found = model(repacked(artifact(), SAME, COSTS, {"why": "x"}))
    assert (found["threshold"], found["class_thresholds"]) == (0.9, {})
    assert found["costs"] == {"wrong_bay": {"bicycle": 2.0, "motorcycle": 10.0}, "review": 1.0}
    assert found["new_threshold"] == {"why": "x"}
    assert found["out_of_fold"] == {"accuracy": 0.9}  # the costs there are of the threshold before
    assert found["temperature"] == 1.25


def test_the_same_input_gives_the_same_bytes():
    assert repacked(artifact(), SAME, COSTS, {}) == repacked(artifact(), SAME, COSTS, {})


def test_thresholds_may_differ_by_class():
    found = model(repacked(artifact(), {"motorcycle": 0.95, "bicycle": 0.7}, COSTS, {}))
    assert (found["threshold"], found["class_thresholds"]) == (0.95, {"bicycle": 0.7, "motorcycle": 0.95})


def test_a_handler_that_knows_one_threshold_is_given_no_two():
    old = {name: value for name, value in ABOUT.items() if name not in {"class_thresholds", "costs"}}
    with pytest.raises(WorkError, match="knows one threshold for all classes"):
        repacked(artifact(old), {"motorcycle": 0.95, "bicycle": 0.7}, COSTS, {})
    assert "class_thresholds" not in model(repacked(artifact(old), SAME, COSTS, {}))


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"no archive", "damaged"),
        (artifact()[:-200], "damaged"),
        (artifact({"classes": ["a"]}), "not understood"),
        (artifact({**ABOUT, "classes": ["car", "van"]}), "knows car,van, but the thresholds are for"),
    ],
)
def test_an_artifact_that_is_none_is_refused(packed, says):
    with pytest.raises(WorkError, match=says):
        repacked(packed, SAME, COSTS, {})


def test_a_link_in_an_artifact_is_refused():
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        link = tarfile.TarInfo("model.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(WorkError, match="no plain file"):
        repacked(body.getvalue(), SAME, COSTS, {})
