"""The parts of a job that need no server: keys, archives, reasons of failure, metrics."""

import json
import os
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import regex

from localcloud.jobs.archive import collect, write_tar_gz
from localcloud.jobs.failure import ErrorTail, JobError, algorithm_error
from localcloud.jobs.layout import make_hosts
from localcloud.jobs.metrics import MetricReader, check_definitions
from localcloud.jobs.processing import Processing
from localcloud.jobs.training import Training
from localcloud.jobs.transfer import Location, Mirror, Transfer
from localcloud.sandbox.sandbox import Sandbox
from tests.waiting import soon


def test_an_archive_depends_on_contents_alone(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        root = tmp_path / name
        (root / "code").mkdir(parents=True)
        for file in ("z.txt", "code/b.py", "a.txt")[:: 1 if name == "one" else -1]:
            (root / file).write_text(file)
        (root / "link").symlink_to("/etc/passwd")
        write_tar_gz(collect([root]), tmp_path / f"{name}.tar.gz")
        archives.append((tmp_path / f"{name}.tar.gz").read_bytes())
        time.sleep(0.01)
    assert archives[0] == archives[1]
    with tarfile.open(tmp_path / "one.tar.gz") as tar:
        assert tar.getnames() == ["a.txt", "code/b.py", "z.txt"]


def tail_of(text: str) -> ErrorTail:
    tail = ErrorTail()
    for line in text.splitlines():
        tail.line(line)
    return tail


TRACEBACK = """
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    fit()
ValueError: loss is nan
2026-11-22 sagemaker-training-toolkit ERROR    Reporting training FAILURE
"""
SYNTAX = """
  File "train.py", line 163
    f"x
    ^
SyntaxError: unterminated string literal
"""
TOOLKIT = 'ExecuteUserScriptError:\nExitCode 1\nErrorMessage ""\nCommand "python train.py"'


@pytest.mark.parametrize(
    ("message", "stderr", "code", "reason"),
    [
        ("", TRACEBACK, 1, "AlgorithmError: ValueError: loss is nan, exit code: 1"),
        ("", SYNTAX, 1, "AlgorithmError: SyntaxError: unterminated string literal, exit code: 1"),
        ("", "no memory\n\n", 2, "AlgorithmError: no memory, exit code: 2"),
        ("", "", -9, "AlgorithmError: See the job's log for more information, killed by signal 9"),
        ("bad data", TRACEBACK, 1, "AlgorithmError: bad data, exit code: 1"),
        (
            TOOLKIT,
            TRACEBACK,
            1,
            "AlgorithmError: ValueError: loss is nan, exit code: 1",
        ),
    ],
)
def test_the_reason_of_a_failure_is_what_helps_most(message: str, stderr: str, code: int, reason: str) -> None:
    assert str(algorithm_error(message, tail_of(stderr), code)) == reason


def test_a_missing_package_is_named_with_the_image_that_lacks_it() -> None:
    tail = tail_of("Traceback (most recent call last):\nModuleNotFoundError: No module named 'shap.plots'\n")

    reason = str(algorithm_error("", tail, 1, "a/sagemaker-xgboost:1.7-1"))

    assert (
        "The environment of the image a/sagemaker-xgboost:1.7-1 has no shap: add the line shap to a requirements.txt"
        in reason
    )
    assert "exit code: 1" in reason


def test_a_missing_module_is_named_by_its_package() -> None:
    tail = tail_of("Traceback (most recent call last):\nModuleNotFoundError: No module named 'sklearn'\n")

    assert "add the line scikit-learn to" in str(algorithm_error("", tail, 1, "own:1"))


@pytest.mark.parametrize(
    "last",
    [
        "FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/input/config/resourceconfig.json'",
        "PermissionError: [Errno 13] Permission denied: '/opt/ml'",
        "PermissionError: [Errno 13] Permission denied: '/opt'",
    ],
)
def test_a_script_that_names_opt_ml_where_nothing_can_be_mounted_says_so(last: str) -> None:
    tail = tail_of(f"Traceback (most recent call last):\n{last}\n")

    reason = str(algorithm_error("", tail, 1, "own:1", mounted=False))

    assert last in reason
    assert "nothing is mounted at /opt/ml" in reason
    assert "nothing is mounted" not in str(algorithm_error("", tail, 1, "own:1", mounted=True))


def test_another_missing_file_is_not_told_as_a_missing_mount() -> None:
    tail = tail_of("Traceback (most recent call last):\nFileNotFoundError: [Errno 2] No such file: '/data/opt/ml'\n")

    assert "nothing is mounted" not in str(algorithm_error("", tail, 1, "own:1", mounted=False))


def test_requirements_that_cannot_be_installed_say_why() -> None:
    wrong = "ERROR: Could not find a version that satisfies the requirement nosuch==1.0 (from versions: none)"
    last = "ERROR: No matching distribution found for nosuch==1.0"
    toolkit = (
        'InstallRequirementsError:\nExitCode 1\nErrorMessage ""\nCommand "python -m pip install -r requirements.txt"'
    )

    reason = str(algorithm_error(toolkit, tail_of(f"{wrong}\n{last}\n"), 1))

    assert reason == (
        "AlgorithmError: The requirements.txt beside the script cannot be installed: No matching distribution found "
        "for nosuch==1.0, exit code: 1"
    )


def test_metrics_are_the_last_values_in_the_log() -> None:
    reader = MetricReader(
        [{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "n", "Regex": "no group"}], lambda: 5.0
    )
    for line in ("loss=0.5", "loss=bad", "no group", "epoch=2 loss=0.25 x"):
        reader.line(line)
    assert reader.final() == [{"MetricName": "loss", "Value": 0.25, "Timestamp": 5.0}]


def test_metrics_go_to_cloudwatch_by_name_and_second() -> None:
    times = iter([5.0, 5.5, 6.25, 7.0, 7.5])
    reader = MetricReader([{"Name": "loss", "Regex": "loss=(.+)"}], lambda: next(times))
    for number in ("0.5", "0.25", "0.125", "nan", "inf"):
        reader.line(f"loss={number}")
    assert list(reader.data()) == [
        {"MetricName": "loss", "Timestamp": 5, "Values": [0.5, 0.25]},
        {"MetricName": "loss", "Timestamp": 6.25, "Values": [0.125]},
    ]


def test_an_entry_for_cloudwatch_holds_at_most_150_values() -> None:
    reader = MetricReader([{"Name": "loss", "Regex": "loss=(.+)"}], lambda: 5.0)
    for number in range(151):
        reader.line(f"loss={number}")
    assert [len(entry["Values"]) for entry in reader.data()] == [150, 1]


def test_a_regex_that_would_search_for_ever_is_given_up() -> None:
    endless, line = "^(a|aa)+$", "a" * 60 + "!"
    with pytest.raises(TimeoutError):
        regex.compile(endless).search(line, timeout=0.1)
    reader = MetricReader([{"Name": "x", "Regex": endless}])
    reader.line(line)
    assert reader.final() == []


def test_a_regex_that_does_not_compile_is_named() -> None:
    with pytest.raises(ValueError, match="metric 'x' does not compile"):
        check_definitions([{"Name": "x", "Regex": "("}])


class Uploads:
    """Stands for a Transfer: remembers what it was told to put."""

    def __init__(self) -> None:
        self.put_files: list[tuple[str, bytes]] = []

    def put(self, path: Path, target: Location) -> None:
        self.put_files.append((str(target), path.read_bytes()))


def test_a_mirror_uploads_what_changes_and_at_the_end_what_is_left(tmp_path: Path) -> None:
    uploads: Any = Uploads()
    mirror = Mirror(uploads, tmp_path / "checkpoints", "s3://b/checkpoints", interval=0.02)
    (tmp_path / "checkpoints").mkdir()

    def write(name: str, text: str) -> None:
        # At once, so that it is never seen empty.
        (tmp_path / name).write_text(text)
        (tmp_path / name).rename(tmp_path / "checkpoints" / name)

    write("old", "already there")
    mirror.start()
    write("new", "1")
    assert soon(lambda: uploads.put_files)
    write("last", "2")
    mirror.finish()
    assert uploads.put_files == [("s3://b/checkpoints/new", b"1"), ("s3://b/checkpoints/last", b"2")]


@pytest.mark.parametrize(
    ("linked", "directory"),
    [
        ("opt/ml/output", "opt/ml/output/data"),
        ("opt/ml/output/data", "opt/ml/output/data"),
        ("opt/ml/output/opt/ml", "opt/ml/output/opt/ml/data"),
    ],
)
def test_a_directory_that_a_job_replaced_by_a_link_is_not_read(tmp_path: Path, linked: str, directory: str) -> None:
    secret = tmp_path / "home"
    (secret / "data").mkdir(parents=True)
    (secret / "data" / "credentials").write_text("secret")
    link = tmp_path / "job" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(secret)

    with pytest.raises(JobError, match="symbolic link in the place of its directory"):
        collect([tmp_path / "job" / directory])


def test_links_above_a_job_are_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "real" / "opt/ml/output").mkdir(parents=True)
    (tmp_path / "real" / "opt/ml/output" / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert list(collect([tmp_path / "link" / "opt/ml/output"])) == ["a"]


def test_a_file_whose_name_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.txt")
    path.touch()

    with pytest.raises(JobError, match=r"ClientError: The name of the file 'outputs/\\udcff.txt' is not UTF-8"):
        Transfer(None).upload(tmp_path, "s3://bucket/outputs")


def test_a_sparse_file_larger_than_the_disk_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**43)

    said = r"have 8,796,093,022,2\d\d bytes \(the largest file, 'sparse', .*bytes free"
    with pytest.raises(JobError, match=said):
        Transfer(None).upload(tmp_path, "s3://bucket/key")
    with pytest.raises(JobError, match="bytes free"):
        Transfer(None).put(tmp_path / "sparse", Location("bucket", "key"))
    with pytest.raises(JobError, match="bytes free"):
        write_tar_gz(collect([tmp_path]), tmp_path / "archive.tar.gz")

    assert not (tmp_path / "archive.tar.gz").exists()


def configuration(tmp_path: Path, kind: Any, sandbox: Sandbox, name: str, **job: Any) -> tuple[Any, str]:
    """A configuration file that a job on one host finds, and the directory that stands for its /opt/ml."""
    hosts = make_hosts(tmp_path, 1)
    run: Any = SimpleNamespace(sandbox=sandbox, notes={}, cloud=SimpleNamespace(clock=time.time))
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    given = {
        "AlgorithmSpecification": {},
        "ResourceConfig": cluster,
        "ProcessingResources": {"ClusterConfig": cluster},
        **job,
    }
    kind.prepare(run, given, hosts, ["localhost"])
    return json.loads(next(hosts[0].ml.rglob(name)).read_text()), str(hosts[0].ml)


@pytest.mark.parametrize("mounted", [True, False])
def test_hyperparameters_name_the_opt_ml_of_the_job(tmp_path: Path, mounted: bool) -> None:
    given = {"data": "/opt/ml/input/data/train", "json": '"/opt/ml/code"', "s3": "s3://b/opt/ml", "epochs": "3"}
    found, ml = configuration(
        tmp_path, Training(), Sandbox("user" if mounted else ""), "hyperparameters.json", HyperParameters=given
    )

    own = {"data": f"{ml}/input/data/train", "json": f'"{ml}/code"'}
    assert found == (given if mounted else given | own)


def test_a_processing_job_without_namespaces_is_told_where_its_inputs_are(tmp_path: Path) -> None:
    arguments = ["--input", "/opt/ml/processing/input"]
    found, ml = configuration(
        tmp_path,
        Processing(),
        Sandbox(),
        "processingjobconfig.json",
        AppSpecification={"ContainerArguments": arguments},
    )

    assert found["AppSpecification"] == {"ContainerArguments": ["--input", f"{ml}/processing/input"]}
