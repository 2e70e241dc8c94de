"""Processing jobs over HTTP: their files, their environment, their ends, and what is refused."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit
from tests.waiting import soon


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def test_inputs_arrive_and_outputs_are_uploaded(kit: Kit) -> None:
    script = """
import pathlib, shutil
root = pathlib.Path("/opt/ml/processing")
print(sorted(str(p.relative_to(root)) for p in (root / "data").rglob("*") if p.is_file()))
shutil.copytree(root / "data", root / "out", dirs_exist_ok=True)
"""
    for name in ("data/a.txt", "data/deep/b.txt", "data-other/c.txt"):
        kit.put(name, name)
    request = kit.processing("job", script, inputs={"data": kit.uri("data")})["Arguments"]
    name = f"{kit.prefix}-files"
    kit.sm.create_processing_job(ProcessingJobName=name, RoleArn=ROLE, **request)
    job = kit.wait_job(name)
    assert job["ProcessingJobStatus"] == "Completed", job
    assert kit.keys("out/") == ["out/job/a.txt", "out/job/deep/b.txt"]
    assert kit.get("out/job/deep/b.txt") == b"data/deep/b.txt"
    kit.wait_log(name, "['data/a.txt', 'data/deep/b.txt']")


def test_the_environment_is_clean_and_the_images_python_comes_first(kit: Kit) -> None:
    script = """
import json, os, pathlib, sys
(pathlib.Path("/opt/ml/processing/out") / "env.json").write_text(json.dumps({**os.environ, "path": sys.path}))
"""
    name = kit.processing_job(script, Environment={"MINE": "yes"})
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    environment = json.loads(kit.get("out/job/env.json"))
    assert "SECRET_OF_THE_SHELL" not in environment
    assert environment["MINE"] == "yes"
    assert environment["VIRTUAL_ENV"].endswith("/home/layer")
    assert any(".venv-image/" in folder for folder in environment["path"])
    assert environment["AWS_ENDPOINT_URL"] == kit.cloud.url
    assert environment["PROCESSING_JOB_NAME"] == name
    allowed = {"PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "MINE", "path", "PWD", "SHLVL",
               "OLDPWD", "_", "LC_CTYPE", "PYTHONPATH", "PIP_PYTHON"}  # fmt: skip
    assert {n for n in environment if not n.startswith(("AWS_", "PROCESSING_JOB_"))} <= allowed


def test_a_job_can_reach_s3_by_its_environment(kit: Kit) -> None:
    kit.put("hello.txt", "hello")
    script = f"""
import boto3
print(boto3.client("s3").get_object(Bucket="kit-bucket", Key="{kit.prefix}/hello.txt")["Body"].read())
"""
    name = kit.processing_job(script)
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    kit.wait_log(name, "b'hello'")


def test_a_message_that_the_script_leaves_is_its_reason(kit: Kit) -> None:
    script = """
import pathlib, sys
pathlib.Path("/opt/ml/output/message").write_text("the archive holds no class 'bicycle'")
sys.exit(4)
"""
    job = kit.wait_job(kit.processing_job(script))
    assert job["ExitMessage"] == "the archive holds no class 'bicycle'"
    assert job["FailureReason"] == "AlgorithmError: the archive holds no class 'bicycle', exit code: 4"
    assert kit.keys("out/") == []


def test_a_job_that_runs_too_long_is_stopped(kit: Kit) -> None:
    name = kit.processing_job("import time; time.sleep(600)", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Stopped"


def test_log_lines_are_seen_while_the_job_runs(kit: Kit) -> None:
    name = kit.processing_job("import time\nfor n in range(6000):\n    print('line', n); time.sleep(0.1)")
    kit.wait_log(name, "line 3")
    assert kit.sm.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "InProgress"
    kit.sm.stop_processing_job(ProcessingJobName=name)
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Stopped"


def test_a_line_without_end_is_handed_on_in_pieces(kit: Kit) -> None:
    name = kit.processing_job("print('x' * 100_000); print('end')")
    kit.wait_job(name)
    lines = [line for line in kit.wait_log(name, "end") if line.startswith("x")]
    assert max(map(len, lines)) <= 16 * 1024
    assert sum(map(len, lines)) == 100_000


def test_a_key_that_climbs_out_fails_the_job_and_writes_nothing(kit: Kit) -> None:
    kit.put("data/../../escape.txt", "x")
    request = kit.processing("job", "pass", inputs={"data": kit.uri("data")})["Arguments"]
    name = f"{kit.prefix}-climb"
    kit.sm.create_processing_job(ProcessingJobName=name, RoleArn=ROLE, **request)
    reason = kit.wait_job(name)["FailureReason"]
    assert reason.startswith("ClientError: The key")
    assert "outside of the job's directory" in reason


def test_an_input_that_is_not_there_is_named(kit: Kit) -> None:
    request = kit.processing("job", "pass", inputs={"data": kit.uri("nothing")})["Arguments"]
    name = f"{kit.prefix}-missing"
    kit.sm.create_processing_job(ProcessingJobName=name, RoleArn=ROLE, **request)
    assert f'No S3 objects found under S3 URL "{kit.uri("nothing")}"' in kit.wait_job(name)["FailureReason"]


def test_a_job_leaves_no_files_behind(kit: Kit) -> None:
    name = kit.processing_job("pass")
    kit.wait_job(name)
    assert soon(lambda: not (kit.cloud.home / "jobs" / "processing" / name).exists())


def test_a_name_is_given_once(kit: Kit) -> None:
    name = kit.processing_job("pass")
    request = {**kit.processing("job", "pass")["Arguments"], "RoleArn": ROLE}
    with pytest.raises(ClientError, match="Job name must be unique") as error:
        kit.sm.create_processing_job(ProcessingJobName=name, **request)
    assert error.value.response["Error"]["Code"] == "ResourceInUse"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda r: r["AppSpecification"].pop("ContainerEntrypoint"),
            r"(?s)an image's own entry point.*\nentrypoint = ",
        ),
        (lambda r: r["ProcessingInputs"][0]["S3Input"].update(S3InputMode="Pipe"), "'code' with S3InputMode Pipe"),
        (lambda r: r["ProcessingInputs"][0]["S3Input"].update(LocalPath="/etc/x"), "LocalPath is '/etc/x'"),
        (
            lambda r: r["ProcessingInputs"][0].update(S3Input={"S3Uri": "s3://b/k", "S3DataType": "S3Prefix"}),
            'SageMaker-managed S3Input: "LocalPath", "S3InputMode"',
        ),
        (
            lambda r: r["ProcessingInputs"].append({**r["ProcessingInputs"][0], "InputName": "more"}),
            "'more' and 'code' have the same LocalPath '/opt/ml/processing/code'",
        ),
        (lambda r: r["ProcessingInputs"][0].update(AppManaged=True), "'code' with AppManaged"),
        (lambda r: r["ProcessingInputs"][0]["S3Input"].update(S3Uri="https://a"), "'https://a' is not an S3 URI"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(kit: Kit, change: Any, words: str) -> None:
    request = kit.processing("job", "pass")["Arguments"]
    change(request)
    with pytest.raises(ClientError, match=words):
        kit.sm.create_processing_job(ProcessingJobName=f"{kit.prefix}-x", RoleArn=ROLE, **request)


def test_too_many_instances_are_beyond_a_limit_of_the_account(kit: Kit) -> None:
    request = kit.processing("job", "pass")["Arguments"]
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 17
    with pytest.raises(ClientError, match="is 17; the local cloud runs at most 16") as error:
        kit.sm.create_processing_job(ProcessingJobName=f"{kit.prefix}-x", RoleArn=ROLE, **request)
    assert error.value.response["Error"]["Code"] == "ResourceLimitExceeded"


def test_jobs_are_listed_by_status(kit: Kit) -> None:
    name = kit.processing_job("pass")
    kit.wait_job(name)
    answer = kit.sm.list_processing_jobs(
        NameContains=kit.prefix, StatusEquals="Completed", SortOrder="Descending", MaxResults=100
    )
    assert [job["ProcessingJobName"] for job in answer["ProcessingJobSummaries"]] == [name]


def test_hosts_of_a_job_see_each_other(kit: Kit) -> None:
    script = """
import json, pathlib, socket
config = json.load(open("/opt/ml/config/resourceconfig.json"))
found = {host: socket.gethostbyname(host) for host in config["hosts"]}
pathlib.Path(f"/opt/ml/processing/out/{config['current_host']}.json").write_text(json.dumps(found))
"""
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
    job = kit.wait_job(kit.processing_job(script, ProcessingResources={"ClusterConfig": cluster}))
    assert job["ProcessingJobStatus"] == "Completed", job
    assert len(kit.keys("out/job/")) == 2
    found = json.loads(kit.get("out/job/algo-1.json"))
    assert len(set(found.values())) == 2


def test_a_job_under_network_isolation_has_no_credentials_and_no_network(kit: Kit) -> None:
    script = f"""
import os, socket
reached = socket.socket().connect_ex(("127.0.0.1", {kit.cloud.port})) == 0
print("key", repr(os.environ["AWS_ACCESS_KEY_ID"]), os.environ["HTTPS_PROXY"], flush=True)
print("reached", reached, flush=True)
"""
    job = kit.processing_job(script, NetworkConfig={"EnableNetworkIsolation": True})
    assert kit.wait_job(job)["ProcessingJobStatus"] == "Completed"
    lines = kit.wait_log(job, "reached")
    assert "key '' http://127.0.0.1:9" in lines
    # A machine that has no network namespaces says so in the log.
    assert ("reached True" in lines) == any("no network of its own" in line for line in lines)
