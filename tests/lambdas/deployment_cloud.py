"""What DeployModel sees of AWS, in memory: SageMaker, and the verification, alarms and history around it."""

import io
import json
from collections.abc import Callable
from typing import Any

from tests.fakes.fake_sagemaker import NAME, FakeSageMaker, refusal

TRIAL = f"{NAME}-verify"


class DeploymentCloud(FakeSageMaker):
    """SageMaker, Lambda, S3, CloudWatch and EventBridge in one client.

    `wrong` versions answer wrongly when they are verified, and VerifyEndpoint fails itself without `verifiable`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wrong: set[int] = set()
        self.verifiable = True
        self.meanwhile: Callable[[], None] = lambda: None
        """What happens while the next verification is made."""
        self.ringing = False
        self.objects: dict[str, dict[str, Any]] = {}
        self.scaling: dict[str, Any] | None = None
        """What Application Auto Scaling knows of the endpoint: the target, and the policy."""
        self.announced: list[dict[str, Any]] = []
        """The events that DeployModel put on the bus."""

    def register(self, *faults: str, **members: Any) -> int:
        version = super().register(*faults, **members)
        self.wrong |= {version} if "wrong" in faults else set()
        return version

    def history(self) -> list[dict[str, Any]]:
        """The deployment records, by their names."""
        return [record for _, record in sorted(self.objects.items())]

    def invoke(self, **request: Any) -> dict[str, Any]:
        """VerifyEndpoint, asked about the version that the trial endpoint serves."""
        self._check("Invoke", request, "lambda")
        assert json.loads(request["Payload"])["evaluation"].endswith("/evaluation.json")
        trial = self.endpoints.get(TRIAL)
        if not self.verifiable or trial is None or trial["status"] != "InService":
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorMessage": "the endpoint is away"}')}
        wrong = self._version_of(trial["config"]) in self.wrong
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        gone = self.endpoints.get(TRIAL) is not trial or trial["status"] != "InService"
        reason = "it answered 1 of 40 right (by 2,5 %)" if wrong else "it answered with an error" if gone else ""
        verdict = {
            "passed": not reason, "reason": reason, "photos": 40,
            "accuracy": 0.025 if wrong else 0.95, "evaluated_accuracy": 0.95, "milliseconds": 4.5,
        }  # fmt: skip
        return {"Payload": io.BytesIO(json.dumps(verdict).encode())}

    def register_scalable_target(self, **request: Any) -> None:
        self._check("RegisterScalableTarget", request, "application-autoscaling")
        assert self.endpoint, "a scalable target has to exist"
        self.scaling = {"target": request}

    def put_scaling_policy(self, **request: Any) -> None:
        self._check("PutScalingPolicy", request, "application-autoscaling")
        assert self.scaling, "a policy needs its target"
        self.scaling["policy"] = request

    def deregister_scalable_target(self, **request: Any) -> None:
        self._check("DeregisterScalableTarget", request, "application-autoscaling")
        if self.scaling is None:
            raise refusal("DeregisterScalableTarget", "No scalable target found", "ObjectNotFoundException")
        self.scaling = None

    def update_endpoint(self, **request: Any) -> None:
        assert self.scaling is None, "a variant that scales by itself is not updated"
        super().update_endpoint(**request)

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._check("PutEvents", request, "events")
        self.announced += [json.loads(entry["Detail"]) for entry in request["Entries"]]
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        self._check("DescribeAlarms", request, "cloudwatch")
        return {"MetricAlarms": [{"AlarmName": request["AlarmNames"][0]}] if self.ringing else []}

    def put_object(self, **request: Any) -> None:
        self._check("PutObject", request, "s3")
        self.objects[request["Key"]] = json.loads(request["Body"])
