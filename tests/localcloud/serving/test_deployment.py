"""The deployments in an endpoint's document: what is stored is read back, also from an earlier version's store."""

import json

from localcloud.containers import ContainerSpec
from localcloud.serving.deployment import Deployment, VariantSpec, in_progress, in_service, live, pending

VARIANT = VariantSpec(
    containers=[
        ContainerSpec(name="first", image="image:1", model_data_url="s3://models/a.tar.gz", environment={"A": "1"}),
        ContainerSpec(name="second", image="image:2", model_data_url="s3://models/b/", several=True, cached=False),
    ],
    role_arn="arn:aws:iam::000000000000:role/models",
    variant_name="AllTraffic",
    weight=1.0,
    count=2,
    start_seconds=60,
    resolution_time=5.0,
)
DEPLOYMENT = Deployment(
    endpoint_config_name="config",
    variants=[VARIANT],
    data_capture_config={"DestinationS3Uri": "s3://captures/", "InitialSamplingPercentage": 50},
    directory="abc",
    start_time=6.0,
)


def test_a_stored_deployment_is_read_back() -> None:
    assert live(json.loads(json.dumps(in_service(DEPLOYMENT)))) == DEPLOYMENT
    assert pending(json.loads(json.dumps(in_progress(DEPLOYMENT)))) == DEPLOYMENT
    assert pending(in_service(DEPLOYMENT)) is None
    assert live({}) is None


def test_what_an_earlier_version_stored_is_read() -> None:
    """Its variants had one container each, whose members were the variant's own."""
    variant = {"VariantName": "AllTraffic", "Weight": 1.0, "Count": 1, "Serverless": None, "StartSeconds": None}
    variant |= {"ResolutionTime": 5.0, "Image": "image:1", "Environment": {}, "Isolated": False, "RoleArn": None}
    stored = {
        "EndpointConfigName": "config",
        "Variants": [variant],
        "Shadows": [],
        "DataCaptureConfig": None,
        "Directory": "abc",
        "StartTime": 6.0,
        "DeploymentConfig": None,
    }

    served = live({"_Live": stored})

    assert served is not None
    [restored] = served.variants
    assert restored.containers == [ContainerSpec(image="image:1")]
    assert (restored.variant_name, restored.count, restored.resolution_time) == ("AllTraffic", 1, 5.0)


def test_the_summary_of_a_variant_without_instances_has_no_count() -> None:
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    summary = VariantSpec(
        containers=[], variant_name="A", weight=1, count=1, serverless=config, resolution_time=0
    ).summary()

    assert summary["CurrentServerlessConfig"] == config
    assert "CurrentInstanceCount" not in summary
    assert VARIANT.summary()["CurrentInstanceCount"] == 2


def test_capture_is_summed_up_as_stopped_if_it_is_switched_off() -> None:
    config = {"EnableCapture": False, "DestinationS3Uri": "s3://captures/", "InitialSamplingPercentage": 50}
    stopped = Deployment(endpoint_config_name="c", variants=[], data_capture_config=config, directory="d", start_time=0)

    assert (stopped.capture_summary() or {})["CaptureStatus"] == "Stopped"
    assert (DEPLOYMENT.capture_summary() or {})["CaptureStatus"] == "Started"
