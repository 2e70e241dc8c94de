"""A pytest plugin that runs moto's tests on local clouds: `python -m bench.moto` uses it.

moto's `mock_aws` is replaced, so that each test has a new local cloud, in the region that its client names. Nothing in
the tests is edited. What they take for granted is provided, because moto accepts it and no cloud can:

- Buckets and objects that a request names are made before it is sent; a model without a container is given one.
- Values that AWS refuses by its documented patterns are exchanged for valid ones in requests, and back in answers:
  roles that are no roles' ARNs, buckets with capital letters, names with `_`, pipeline definitions that are no JSON.
- moto ends everything at once: what a test started is waited for, before the test describes, lists or changes it.

`--outcomes FILE` gets what became of each test, and which operations it asked for, as JSON.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

# moto's own switch: tests that look into moto's process are skipped by their authors.
os.environ["TEST_SERVER_MODE"] = "true"

import boto3
import moto
import pytest
from botocore.config import Config

from bench.moto.clouds import ACCOUNT
from localcloud.state.credentials import owner_secret

_real_client = boto3.client
_DEFINITION = json.dumps(
    {
        "Version": "2020-12-01",
        "Parameters": [{"Name": "foo", "Type": "String", "DefaultValue": ""}],
        "Steps": [{"Name": "end", "Type": "Fail", "Arguments": {"ErrorMessage": "The end."}}],
    }
)
_PENDING = ("Pending", "InProgress", "Creating", "Updating", "Stopping", "Deleting")
# Kinds of resources that take their time, with the method that shows how far one is.
_SLOW = {
    "Endpoint": "describe_endpoint",
    "TrainingJob": "describe_training_job",
    "ProcessingJob": "describe_processing_job",
    "TransformJob": "describe_transform_job",
    "HyperParameterTuningJob": "describe_hyper_parameter_tuning_job",
}
# Kinds that leave no trace once they are deleted.
_DELETABLE = {
    "EndpointConfig": "endpoint_config",
    "Experiment": "experiment",
    "Model": "model",
    "ModelCard": "model_card",
    "ModelPackageGroup": "model_package_group",
    "Pipeline": "pipeline",
    "Trial": "trial",
    "TrialComponent": "trial_component",
}


class _Clouds:
    """One cloud a region, and where it was used up, one that is started for the next test."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="moto-"))
        self.image = self._folder / "image"
        self._count = 0
        self._clean: dict[str, tuple[Path, int]] = {}
        self._next: dict[str, tuple[Path, int]] = {}
        self._ended: list[int] = []
        self._server = subprocess.Popen(
            [sys.executable, "-m", "bench.moto.clouds", str(self._folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def _start(self, region: str) -> tuple[Path, int]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        home = self._folder / f"home-{self._count}"
        self._count += 1
        self._server.stdin.write(f"{home} {region}\n")
        self._server.stdin.flush()
        return home, int(self._server.stdout.readline())

    def home(self, region: str) -> Path:
        """The home of the region's cloud, which answers and was empty before this test."""
        if region not in self._clean:
            self._clean[region] = self._next.pop(region, None) or self._start(region)
        home, _ = self._clean[region]
        _until((home / "endpoint").exists)
        _until(lambda: bool((home / "endpoint").read_text()))
        return home

    def use_up(self, region: str) -> None:
        """Let the running test be the last on the region's cloud."""
        if region not in self._next:
            self._next[region] = self._start(region)

    def end_test(self) -> None:
        """End the clouds that were used up."""
        for region in self._next:
            if region in self._clean:
                self._end(self._clean.pop(region))

    def _end(self, cloud: tuple[Path, int]) -> None:
        os.kill(cloud[1], signal.SIGTERM)
        self._ended.append(cloud[1])

    def close(self) -> None:
        """End all."""
        for cloud in (*self._clean.values(), *self._next.values()):
            self._end(cloud)
        _until(lambda: not any(Path(f"/proc/{process}").exists() for process in self._ended))
        self._server.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Test:
    """What one test does: the operations it asks for, what was exchanged, and what it has started."""

    def __init__(self, clouds: _Clouds) -> None:
        self._clouds = clouds
        self.asked: set[str] = set()
        self.unserved: set[str] = set()
        self._back: dict[str, str] = {}
        self._made: list[tuple[str, str, dict[str, Any]]] = []
        self._started: set[tuple[str, str]] = set()
        self._provided: set[str] = set()
        self._plain_clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region_name: str | None = None, **options: Any) -> Any:
        """In place of boto3.client: a client of the cloud in its region."""
        client = self._made_client(service, region_name or "us-east-1")
        client.meta.events.register("provide-client-params", self._before)
        client.meta.events.register("after-call", self._after)
        return client

    def _plain(self, service: str, region: str) -> Any:
        """A client that nothing is exchanged or provided for."""
        if (service, region) not in self._plain_clients:
            self._plain_clients[service, region] = self._made_client(service, region)
        return self._plain_clients[service, region]

    def _made_client(self, service: str, region: str) -> Any:
        home = self._clouds.home(region)
        return _real_client(
            service, region_name=region, endpoint_url=(home / "endpoint").read_text(), aws_access_key_id=ACCOUNT,
            aws_secret_access_key=owner_secret(home, ACCOUNT),
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def _before(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> dict[str, Any] | None:
        """Exchange and provide what a request takes for granted, and wait for what it looks at."""
        name, region = model.name, context["client_region"]
        self.asked.add(name)
        if model.service_model.service_name != "sagemaker":
            return _mapped(params, self._exchanged) if "StackName" in params else None
        given: dict[str, Any] = _mapped(params, self._exchanged)
        if name == "CreateModel" and not given.keys() & {"PrimaryContainer", "Containers"}:
            given["PrimaryContainer"] = {"Image": "image"}
        if name.startswith("Create"):
            for address in re.findall(r"s3://[^\"\\]+", json.dumps(given, default=str)):
                self._provide(address, region)
        elif not name.startswith("Stop"):
            for kind, named in sorted(self._started):
                # Endpoints also before they are listed: their status is looked at there.
                if kind in name and given.get(f"{kind}Name", named if kind == "Endpoint" else None) == named:
                    self._wait(kind, named, region)
        context["moto"] = given
        return given

    def _after(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        """Keep what a request has made or started, and give the answer the test's own values back."""
        service = model.service_model.service_name
        if service == "cloudformation" and model.name in ("CreateStack", "UpdateStack", "DeleteStack"):
            self._clouds.use_up(context["client_region"])
            self._wait_for_stacks(context["client_region"])
        if service != "sagemaker":
            return
        if parsed.get("Error", {}).get("Code") == "UnknownOperationException":
            self.unserved.add(model.name)
        given = context["moto"]
        if model.name not in self.unserved and model.name.startswith(("Create", "Start")) and "Error" not in parsed:
            self._note(model.name.removeprefix("Create"), context["client_region"], given | parsed)
        for kind in _SLOW:
            changes = (f"Create{kind}", f"Update{kind}", f"Update{kind}WeightsAndCapacities", f"Delete{kind}")
            if model.name in changes and "Error" not in parsed:
                self._started.add((kind, given[f"{kind}Name"]))
        answer = _mapped(parsed, lambda key, text: self._back.get(text, text))
        parsed.clear()
        parsed.update(answer)

    def _note(self, kind: str, region: str, members: dict[str, Any]) -> None:
        """Keep what was made, to delete it; a cloud that holds what cannot be deleted without a trace is used up."""
        if kind in _DELETABLE:
            self._made.append((kind, region, members))
        else:
            self._clouds.use_up(region)

    def delete_made(self) -> None:
        """Leave the clouds empty; one where something stays is used up."""
        for kind, region, members in reversed(self._made):
            client = self._plain("sagemaker", region)
            try:
                getattr(client, f"delete_{_DELETABLE[kind]}")(**{f"{kind}Name": members[f"{kind}Name"]})
            except client.exceptions.ClientError:
                self._clouds.use_up(region)

    def _exchanged(self, key: str, text: str) -> str:
        """A valid value in place of one that AWS refuses whatever else a request holds."""
        new = text
        if key in ("RoleArn", "ExecutionRoleArn") and not text.startswith("arn:aws:iam:"):
            new = f"arn:aws:iam::{ACCOUNT}:role/{text.rpartition('/')[2]}"
        elif text.startswith("s3://MyBucket"):
            new = text.replace("MyBucket", "mybucket", 1)
        elif key == "PipelineDefinition" and not text.startswith("{"):
            new = _DEFINITION
        elif key in ("StackName", "Value") or re.fullmatch(r"[A-Z][A-Za-z]+Name", key):
            new = text.replace("_", "-")
        elif text == "app.py":
            new = str(self._clouds.image / "bin" / "app.py")
        if new != text:
            self._back[new] = text
        return new

    def _provide(self, address: str, region: str) -> None:
        """Make a bucket, and an object at the address: an artifact where it ends so, else a file below it."""
        if address in self._provided:
            return
        self._provided.add(address)
        bucket, _, key = address.removeprefix("s3://").partition("/")
        s3 = self._plain("s3", region)
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with suppress(s3.exceptions.ClientError):
            s3.create_bucket(Bucket=bucket, **where)
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w:gz") as tar:
            tar.addfile(tarfile.TarInfo("model"))
        artifact = key.endswith(".tar.gz")
        s3.put_object(Bucket=bucket, Key=key if artifact else f"{key.rstrip('/')}/file", Body=body.getvalue())

    def _wait(self, kind: str, name: str, region: str) -> None:
        """Wait until a resource is no longer on its way, or is gone."""
        client = self._plain("sagemaker", region)

        def ended() -> bool:
            try:
                return getattr(client, _SLOW[kind])(**{f"{kind}Name": name})[f"{kind}Status"] not in _PENDING
            except client.exceptions.ClientError:
                return True  # it is deleted

        _until(ended)
        self._started.discard((kind, name))

    def _wait_for_stacks(self, region: str) -> None:
        client = self._plain("cloudformation", region)
        _until(lambda: not any(s["StackStatus"].endswith("PROGRESS") for s in client.describe_stacks()["Stacks"]))


def _until(done: Callable[[], bool]) -> None:
    """Ask until it is so, a minute at most."""
    deadline = time.monotonic() + 60
    while not done() and time.monotonic() < deadline:
        time.sleep(0.05)


def _mapped(value: Any, change: Callable[[str, str], str], key: str = "") -> Any:
    """A copy of a document with `change(member, text)` in place of each text."""
    if isinstance(value, dict):
        return {name: _mapped(held, change, name) for name, held in value.items()}
    if isinstance(value, list):
        return [_mapped(held, change, key) for held in value]
    return change(key, value) if isinstance(value, str) else value


_clouds: _Clouds
_test: _Test
_outcomes: dict[str, dict[str, Any]] = {}


class _OnLocalCloud(ContextDecorator):
    """In place of moto's mock: boto3's clients are those of the running test's clouds."""

    def __enter__(self) -> None:
        self._patched = patch("boto3.client", _test.client)
        self._patched.start()

    def __exit__(self, *_: object) -> None:
        self._patched.stop()


def _mock_aws(function: Callable[..., Any] | None = None, **_: Any) -> Any:
    return _OnLocalCloud() if function is None else _OnLocalCloud()(function)


moto.mock_aws = _mock_aws  # type: ignore[assignment]  # in the place of moto's own


def pytest_addoption(parser: pytest.Parser) -> None:
    """The file that the outcomes go to."""
    parser.addoption("--outcomes", type=Path, required=True)


def pytest_configure() -> None:
    """Start what starts the clouds."""
    global _clouds
    _clouds = _Clouds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Give a test clouds of its own, and keep what it did."""
    global _test
    _test = _Test(_clouds)
    _outcomes[item.nodeid] = {}
    result = yield
    _test.delete_made()
    _clouds.end_test()
    _outcomes[item.nodeid].update(asked=sorted(_test.asked), unserved=sorted(_test.unserved))
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep a test's outcome: that of its call, or what went wrong before or after."""
    if report.when == "call" or report.outcome != "passed":
        reason = "" if report.passed else report.longreprtext.strip().splitlines()[-1]
        crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", reason)
        _outcomes[report.nodeid].update(outcome=report.outcome, reason=crash)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Write the outcomes, and end all clouds."""
    _clouds.close()
    config.getoption("--outcomes").write_text(json.dumps(_outcomes, indent=1))
