"""An endpoint of its own with real versions, under load: switched, and its model server killed."""

import os
import signal
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.e2e.faults import variants

NAME = "under-faults"


def configure(site: Any, name: str, artifact: str, capture: bool = True, **environment: str) -> str:
    """A model of this artifact and a configuration that serves it, captured like the product's; its name."""
    name = f"{name}-{uuid4().hex[:6]}"
    sagemaker, outputs = site.bay.client("sagemaker"), site.bay.outputs()
    image = site.bay.versions()[1]["InferenceSpecification"]["Containers"][0]["Image"]
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": image, "ModelDataUrl": artifact, "Environment": environment},
        ExecutionRoleArn=outputs["PipelineRoleArn"],
    )
    captured = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": outputs["DataCaptureUri"],
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    variant = {"VariantName": "AllTraffic", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[variant],
        **({"DataCaptureConfig": captured} if capture else {}),
    )
    return name


@pytest.fixture(scope="module")
def endpoint(site: Any) -> Iterator[str]:
    """An endpoint that serves the trained version."""
    artifact = site.upload("good", site.files)
    sagemaker = site.bay.client("sagemaker")
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=configure(site, f"{NAME}-good", artifact))
    site.wait_served("good", NAME)
    yield NAME
    site.wait_in_service(NAME)
    sagemaker.delete_endpoint(EndpointName=NAME)


def test_a_switch_of_versions_under_load_fails_no_request(site: Any, endpoint: str) -> None:
    config = configure(site, f"{NAME}-warmer", site.upload("warmer", variants.warmer(site.files)))

    with site.load(endpoint) as load:
        site.bay.client("sagemaker").update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        site.wait_served("warmer", endpoint)
        before = len(load.answered())
        site.wait(load.answered, lambda answered: len(answered) > before + 50)

    row = site.record("UpdateEndpoint to another version", load, endpoint)
    assert (row.failed, row.wrong, row.captures_lost) == (0, 0, 0), load.failed()[:3]
    assert {one.version for one in load.answered()} == set(site.fingerprints.values())
    assert load.answered()[-1].version == site.fingerprints["warmer"]


def test_a_killed_worker_of_the_model_server_is_not_noticed(site: Any, endpoint: str) -> None:
    [server] = site.server_pids(endpoint)
    worker = max(psutil.Process(server).children(recursive=True), key=lambda child: len(child.parents()))

    with site.load(endpoint) as load:
        worker.send_signal(signal.SIGKILL)
        load.settle(3)

    row = site.record("kill -9 of a worker of the model server", load, endpoint)
    assert (row.failed, row.wrong, row.captures_lost) == (0, 0, 0), load.failed()[:3]


def test_a_killed_model_server_is_replaced_while_requests_wait(site: Any, endpoint: str) -> None:
    [server] = site.server_pids(endpoint)

    with site.load(endpoint) as load:
        os.killpg(server, signal.SIGKILL)
        site.wait(lambda: site.server_pids(endpoint), lambda pids: pids != [server])
        site.wait_in_service(endpoint)
        before = len(load.answered())
        site.wait(load.answered, lambda answered: len(answered) > before + 50)

    row = site.record("kill -9 of the model server, all its processes", load, endpoint)
    assert (row.failed, row.wrong, row.captures_lost) == (0, 0, 0), load.failed()[:3]
