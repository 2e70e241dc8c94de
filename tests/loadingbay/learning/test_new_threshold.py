"""The network in service with another threshold: what its pipeline is given, and what is refused before it starts."""

import json
from dataclasses import replace

import pytest
from moto import mock_aws

from loadingbay.errors import UsageError, WorkError
from loadingbay.learning.new_threshold import register
from loadingbay.learning.threshold import compare
from loadingbay.screen.progress import Screen
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import STARTED, FakeSageMaker, refusal
from tests.loadingbay.learning.test_repacking import artifact, members, model
from tests.loadingbay.learning.test_threshold import MIXED, costs, traffic

STACK = {"BucketName": "data", "EndpointName": "loadingbay"}
EXECUTION = "arn:aws:sagemaker:us-east-1:123456789012:pipeline/loadingbay/execution/abcdefabcdef"
ROLE = "arn:aws:iam::123456789012:role/loadingbay-pipeline"
PHOTOS = {"test": "s3://data/pipelines/e/stage/test", "recent": "s3://data/pipelines/e/stage/recent"}


def uri(get):
    return {"Get": get}


DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [
        {"Name": name, "Type": "String"} for name in ("InputData", "Champion", "Reason", "GitCommit", "MinimumAccuracy")
    ],
    "Steps": [
        {"Name": "Stage", "Arguments": uri("Parameters.InputData")},
        {"Name": "Train", "Arguments": {}},
        {
            "Name": "Evaluate",
            "Arguments": {
                "ImageUri": "now.example/image:2",
                "Model": uri("Steps.Train.ModelArtifacts.S3ModelArtifacts"),
                "Test": uri("Steps.Stage.ProcessingOutputConfig.Outputs['test'].S3Output.S3Uri"),
                "Champion": uri("Parameters.Champion"),
            },
        },
        {
            "Name": "Gate",
            "Arguments": [uri("Parameters.MinimumAccuracy"), uri("Parameters.Reason"), uri("Parameters.GitCommit")],
        },
    ],
}


@pytest.fixture
def target(monkeypatch):
    """A stage whose SageMaker is a double, its bucket moto's."""
    with mock_aws():
        made = Target("aws", None, "us-east-1")
        monkeypatch.setattr(Target, "interval", 0.0)
        made.client("s3").create_bucket(Bucket="data")
        made.client("s3").put_object(Bucket="data", Key="model.tar.gz", Body=artifact())
        made.clients["sagemaker"] = stage()
        yield made


def stage():
    """A stage with one approved version, which an execution that is still known registered."""
    sagemaker = FakeSageMaker()
    container = {"Image": "old.example/image:1", "ModelDataUrl": "s3://data/model.tar.gz"}
    members_of = {
        "InferenceSpecification": {"Containers": [container]},
        "MetadataProperties": {"GeneratedBy": EXECUTION},
    }
    sagemaker.decide(sagemaker.register(**members_of), "Approved")
    inputs = [
        {"InputName": name, "S3Input": {"S3Uri": place, "S3DataType": "S3Prefix"}} for name, place in PHOTOS.items()
    ]
    given = {"MinimumAccuracy": "0.8", "InputData": "s3://data/d/", "Reason": "trained by hand"}
    sagemaker.answer("DescribePipeline", pipeline_of)
    sagemaker.answer("DescribePipelineExecution", {"PipelineExecutionStatus": "Succeeded"})
    sagemaker.answer("ListPipelineExecutionSteps", lambda PipelineExecutionArn, **_: {  # noqa: N803
        "PipelineExecutionSteps": steps(PipelineExecutionArn)
    })  # fmt: skip
    sagemaker.answer("DescribeProcessingJob", {"ProcessingInputs": inputs})
    sagemaker.answer("ListPipelineParametersForExecution", {
        "PipelineParameters": [{"Name": name, "Value": value} for name, value in given.items()]
    })  # fmt: skip
    sagemaker.answer("CreatePipeline", {"PipelineArn": "arn:p"})
    sagemaker.answer("StartPipelineExecution", lambda **_: started(sagemaker))
    return sagemaker


def pipeline_of(PipelineName, **_):  # noqa: N803
    if PipelineName != "loadingbay":
        raise refusal("DescribePipeline", f"Pipeline '{PipelineName}' does not exist.", "ResourceNotFound")
    return {"PipelineDefinition": json.dumps(DEFINITION), "RoleArn": ROLE}


def steps(execution):
    """The steps of the executions that registered versions 1 and 2."""
    if execution == EXECUTION:
        job = {"ProcessingJob": {"Arn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/evaluate-1"}}
        return [{"StepName": "Evaluate", "StepStatus": "Succeeded", "StartTime": STARTED, "Metadata": job}]
    registered = {"RegisterModel": {"Arn": FakeSageMaker.arn(2)}}
    return [{"StepName": "Register", "StepStatus": "Succeeded", "StartTime": STARTED, "Metadata": registered}]


def started(sagemaker):
    sagemaker.register()
    return {"PipelineExecutionArn": EXECUTION.replace("abcdefabcdef", "threshold000")}


def make(target, why="", wanted=0.9, version=1):
    of = replace(traffic(MIXED), version=version)
    found = compare(of, costs(), [dict.fromkeys(of.thresholds, wanted)])
    return register(target, Screen(), STACK, of, found, found.others[0], costs(), why)


def test_the_pipeline_is_given_the_new_artifact_and_the_photos_of_before(target):
    done = make(target, "the gate is far")
    assert (done.version.number, done.new) == (2, True)
    sagemaker = target.clients["sagemaker"]
    (created,) = sagemaker.requests("CreatePipeline")
    assert (created["PipelineName"], created["RoleArn"]) == ("loadingbay-threshold", ROLE)
    (request,) = sagemaker.requests("StartPipelineExecution")
    values = {item["Name"]: item["Value"] for item in request["PipelineParameters"]}
    assert [values["TestPhotos"], values["RecentPhotos"]] == [*PHOTOS.values()]
    assert (values["Image"], values["NetworkOf"]) == ("old.example/image:1", FakeSageMaker.arn(1))
    assert (values["Champion"], values["MinimumAccuracy"]) == ("s3://data/model.tar.gz", "0.8")
    assert values["Reason"].startswith("threshold 0.900 instead of 0.800 for the network of version 1")
    assert values["Reason"].endswith("; the gate is far")
    assert "InputData" not in values


def test_the_new_artifact_lies_under_its_hash_and_has_the_same_network(target):
    make(target)
    s3 = target.client("s3")
    (key,) = [item["Key"] for item in s3.list_objects_v2(Bucket="data", Prefix="thresholds/")["Contents"]]
    packed = s3.get_object(Bucket="data", Key=key)["Body"].read()
    assert members(packed)["network-0000.params"] == members(artifact())["network-0000.params"]
    assert model(packed)["threshold"] == 0.9
    assert model(packed)["new_threshold"]["network_of"] == FakeSageMaker.arn(1)
    make(target)
    assert s3.list_objects_v2(Bucket="data", Prefix="thresholds/")["KeyCount"] == 1


def test_the_threshold_that_it_has_is_none_to_register(target):
    with pytest.raises(UsageError, match=r"version 1 has the threshold 0\.800 already"):
        make(target, wanted=0.8)
    assert not target.clients["sagemaker"].requests("StartPipelineExecution")


def with_threshold(target, **metadata):
    """Registers a version whose metadata are these."""
    return target.clients["sagemaker"].register(CustomerMetadataProperties=metadata)


@pytest.mark.parametrize(
    "own",
    [
        {"threshold": "0.9000"},
        {"threshold": "0.9000", "class_thresholds": "none"},
        {"threshold": "0.9500", "class_thresholds": "bicycle=0.9000 motorcycle=0.9000"},
    ],
)
def test_the_same_threshold_is_registered_once(target, own):
    number = with_threshold(target, network_of=FakeSageMaker.arn(1), **own)
    done = make(target, "another reason")
    assert (done.version.number, done.new) == (number, False)
    assert not target.clients["sagemaker"].requests("StartPipelineExecution")


def test_a_network_is_known_by_the_version_that_was_trained(target):
    with_threshold(target, network_of=FakeSageMaker.arn(1), threshold="0.9000")
    with_threshold(target, network_of=FakeSageMaker.arn(2), threshold="0.9500")
    assert make(target, wanted=0.95).version.number == 3
    assert make(target, wanted=0.95, version=2).version.number == 3


@pytest.mark.parametrize(
    "other", [{"threshold": "0.9000"}, {"network_of": FakeSageMaker.arn(1), "threshold": "0.9001"}]
)
def test_another_network_or_threshold_is_another_version(target, other):
    with_threshold(target, **other)
    assert make(target).new


def test_a_reason_of_several_lines_is_refused(target):
    with pytest.raises(UsageError, match="--why has 3 characters: one line"):
        make(target, "a\nb")


def test_answers_of_an_unknown_version_make_no_new_one(target):
    with pytest.raises(WorkError, match="monitoring does not say which version"):
        make(target, version=None)


def test_a_version_of_another_stage_is_refused_with_a_sentence(target):
    target.clients["sagemaker"].packages[1]["MetadataProperties"] = {}
    with pytest.raises(WorkError, match="was made in another stage"):
        make(target)


def test_an_execution_that_sagemaker_forgot_is_a_sentence(target):
    def forgotten(**_):
        raise refusal("DescribePipelineExecution", "Pipeline execution does not exist", "ResourceNotFound")

    target.clients["sagemaker"].answer("DescribePipelineExecution", forgotten)
    with pytest.raises(WorkError, match="the evaluation of version 1 is not known any more"):
        make(target)


def test_a_stage_without_its_pipeline_is_a_sentence(target):
    def gone(PipelineName, **_):  # noqa: N803
        raise refusal("DescribePipeline", f"Pipeline '{PipelineName}' does not exist.", "ResourceNotFound")

    target.clients["sagemaker"].answer("DescribePipeline", gone)
    with pytest.raises(WorkError, match="there is no pipeline loadingbay: `loadingbay run` makes it"):
        make(target)
