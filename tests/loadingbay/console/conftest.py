"""The console in front of a cloud in memory: FakeSageMaker for the registry, moto for S3, SQS and the rest."""

import io
import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws
from starlette.testclient import TestClient

from loadingbay.console.application import application
from loadingbay.console.door import Keys
from loadingbay.target import Target
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

PORT = 4748
ORIGIN = f"http://127.0.0.1:{PORT}"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:inference"
ROLE = "arn:aws:iam::123456789012:role/states"
PLAN = {
    "outcome": "deploy",
    "because": "Version 2 takes the place of version 1.",
    "actions": [],
    "course": [
        {"outcome": "verify", "because": "It is verified first.", "actions": [{"action": "CreateModel", "name": "m"}]}
    ],
}


_SERVICES = ("s3", "sqs", "stepfunctions", "cloudwatch", "logs")
_clients: dict[str, Any] = {}  # making them takes a second, which each test would pay


class Stack:
    """CloudFormation with one stack."""

    def __init__(self, outputs: dict[str, str]) -> None:
        self.outputs = outputs

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}


class Functions:
    """Lambda, whose function DeployModel answers with a plan, and Retrain with what it does."""

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - AWS names its arguments so
        event = json.loads(Payload)
        said: dict[str, Any] = PLAN
        if FunctionName.endswith("-retrain"):
            started = "" if event["dry_run"] else "arn:aws:sagemaker:us-east-1:0:pipeline/loadingbay/execution/abc"
            photos = {"train": 12, "recent": 4}
            said = {"outcome": "wait", "because": "No alarm.", "alarm": "", "execution": started, "photos": photos}
        return {"Payload": io.BytesIO(json.dumps(said).encode())}


@dataclass
class Desk:
    """A browser that has come in, and what is behind the console."""

    browser: TestClient
    sagemaker: FakeSageMaker
    target: Target
    keys: Keys

    def get(self, address: str, **headers: str) -> Any:
        return self.browser.get(address, headers=headers)

    @property
    def csrf(self) -> str:
        return re.search(r'name="csrf" content="([^"]+)"', self.get("/versions").text).group(1)

    def post(self, address: str, fields: dict[str, str], **headers: str) -> Any:
        given = {"csrf": self.csrf, **fields}
        return self.browser.post(address, data=given, headers={"Origin": ORIGIN, **headers}, follow_redirects=False)

    def wait_for_a_person(self, *names: str, photo: bytes = b"\x89PNG\r\n\x1a\n...", **also: str) -> None:
        """Photos of these names in the review queue; `also` are more members of their messages."""
        sqs, s3 = self.target.client("sqs"), self.target.client("s3")
        url = sqs.get_queue_url(QueueName="review")["QueueUrl"]
        for name in names:
            s3.put_object(Bucket="data", Key=f"photos/{name}", Body=photo)
            body = {
                "inference_id": name,
                "photo": {"bucket": "data", "key": f"photos/{name}"},
                "prediction": {"label": "bicycle", "confidence": 0.6, "threshold": 0.9},
                **also,
            }
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))

    def labels(self) -> dict[str, str]:
        """The labels in S3, the later ones counting: inference id to truth."""
        s3, found = self.target.client("s3"), {}
        for item in s3.list_objects_v2(Bucket="data", Prefix="labels/").get("Contents", []):
            for line in s3.get_object(Bucket="data", Key=item["Key"])["Body"].read().splitlines():
                entry = json.loads(line)
                found[entry["eventMetadata"]["eventId"]] = entry["groundTruthData"]["data"]
        return found


@pytest.fixture
def desk(monkeypatch, tmp_path):
    with mock_aws():
        aws = Target("aws", None, "us-east-1", clients=dict(_clients))
        _clients.update({service: aws.client(service) for service in _SERVICES})
        target = Target("endpoint", "http://127.0.0.1:1", "us-east-1", clients=dict(_clients))
        sagemaker = target.clients["sagemaker"] = FakeSageMaker()
        target.__dict__["account"] = "000000000000"
        # moto has no history of alarms.
        silent = lambda **_: {"AlarmHistoryItems": []}  # noqa: E731
        monkeypatch.setattr(target.client("cloudwatch"), "describe_alarm_history", silent)
        target.client("s3").create_bucket(Bucket="data")
        url = target.client("sqs").create_queue(QueueName="review")["QueueUrl"]
        states = target.client("stepfunctions")
        states.create_state_machine(name="inference", definition='{"StartAt": "a", "States": {}}', roleArn=ROLE)
        outputs = {
            "BucketName": "data",
            "ReviewQueueUrl": url,
            "InferenceStateMachineArn": MACHINE,
            "DataCaptureUri": "s3://data/data-capture",
            "EndpointName": "loadingbay",
        }
        target.clients["cloudformation"] = Stack(outputs)
        target.clients["lambda"] = Functions()
        sagemaker.answer("ListPipelineExecutions", {"PipelineExecutionSummaries": []})

        def no_pipeline(**_: Any) -> dict[str, Any]:
            raise refusal("DescribePipeline", "Pipeline does not exist.", "ResourceNotFound")

        sagemaker.answer("DescribePipeline", no_pipeline)
        keys = Keys()
        app = application(target, tmp_path, port=PORT, keys=keys, author="ada", environment={})
        with TestClient(app, base_url=ORIGIN, raise_server_exceptions=False) as browser:
            browser.get(f"/enter?token={keys.token()}", follow_redirects=False)
            yield Desk(browser, sagemaker, target, keys)


@pytest.fixture
def served(desk):
    """The desk, with version 1 in service."""
    number = desk.sagemaker.register(CustomerMetadataProperties={"accuracy": "0.93", "classes": "bicycle motorcycle"})
    desk.sagemaker.decide(number, "Approved")
    desk.sagemaker.models["m"] = {"PrimaryContainer": {"ModelPackageName": desk.sagemaker.arn(number)}}
    desk.sagemaker.configs["c"] = {"ProductionVariants": [{"ModelName": "m"}]}
    desk.sagemaker.endpoints["loadingbay"] = {
        "status": "InService", "config": "c", "next": "c", "tags": {}, "changed": desk.sagemaker.clock,
    }  # fmt: skip
    return desk
