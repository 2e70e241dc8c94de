"""The deployments in an endpoint's document: what is stored is read back, also from an earlier version's store."""

import json

from localcloud.serving.deployment import Deployment, VariantSpec, in_progress, in_service, live, pending

VARIANT = VariantSpec(
    image="image:1",
    model_data_url="s3://models/model.tar.gz",
    environment={"A": "1"},
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


def test_the_keys_in_the_store_stay_as_they_were() -> None:
    """A local cloud restores the endpoints that an earlier version of it stored."""
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
    assert served.document() == {
        **stored,
        "Variants": [{**variant, "ModelDataUrl": None}],
        "AsyncInferenceConfig": None,
    }


def test_the_summary_of_a_variant_without_instances_has_no_count() -> None:
    config = {"MemorySizeInMB": 2048, "MaxConcurrency": 2}
    summary = VariantSpec(
        image=None, variant_name="A", weight=1, count=1, serverless=config, resolution_time=0
    ).summary()

    assert summary["CurrentServerlessConfig"] == config
    assert "CurrentInstanceCount" not in summary
    assert VARIANT.summary()["CurrentInstanceCount"] == 2


def test_capture_is_summed_up_as_stopped_if_it_is_switched_off() -> None:
    config = {"EnableCapture": False, "DestinationS3Uri": "s3://captures/", "InitialSamplingPercentage": 50}
    stopped = Deployment(endpoint_config_name="c", variants=[], data_capture_config=config, directory="d", start_time=0)

    assert (stopped.capture_summary() or {})["CaptureStatus"] == "Stopped"
    assert (DEPLOYMENT.capture_summary() or {})["CaptureStatus"] == "Started"
