"""What the tests of pipelines and jobs share: tiny scripts in S3, steps that run them, and waiting for an end."""

import io
import json
import tarfile
import uuid
from typing import Any

from tests.localcloud.mounting import skip_unless_found
from tests.waiting import soon

ROLE = "arn:aws:iam::000000000000:role/tests"
BUCKET = "kit-bucket"


class Kit:
    """Scripts, steps and executions on one running cloud; every name is this test's own."""

    def __init__(self, cloud: Any) -> None:
        self.cloud = cloud
        self.sm, self.s3, self.logs = (cloud.client(name) for name in ("sagemaker", "s3", "logs"))
        self.prefix = f"t-{uuid.uuid4().hex[:10]}"
        if BUCKET not in [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]:
            self.s3.create_bucket(Bucket=BUCKET)

    def uri(self, name: str) -> str:
        return f"s3://{BUCKET}/{self.prefix}/{name}"

    def put(self, name: str, body: bytes | str) -> str:
        """Put an object; its URI."""
        self.s3.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=body)
        return self.uri(name)

    def get(self, name: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")["Body"].read()
        return body

    def keys(self, name: str = "") -> list[str]:
        prefix = f"{self.prefix}/"
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix + name).get("Contents", [])
        return sorted(item["Key"].removeprefix(prefix) for item in listed)

    def processing(
        self, name: str, script: str, *arguments: Any, inputs: dict[str, Any] | None = None, **step: Any
    ) -> dict[str, Any]:
        """A Processing step that runs `script` in Python; what it writes to /opt/ml/processing/out is its output."""
        skip_unless_found(script)
        code = self.put(f"code/{name}.py", script)
        sources = {"code": code, **(inputs or {})}
        return {
            "Name": name,
            "Type": "Processing",
            "Arguments": {
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
                },
                "AppSpecification": {
                    "ImageUri": "image",
                    "ContainerEntrypoint": ["python3", f"/opt/ml/processing/code/{name}.py"],
                    **({"ContainerArguments": list(arguments)} if arguments else {}),
                },
                "ProcessingInputs": [
                    {
                        "InputName": key,
                        "S3Input": {
                            "S3Uri": uri,
                            "LocalPath": f"/opt/ml/processing/{key}",
                            "S3DataType": "S3Prefix",
                            "S3InputMode": "File",
                        },
                    }
                    for key, uri in sources.items()
                ],
                "ProcessingOutputConfig": {
                    "Outputs": [
                        {
                            "OutputName": "out",
                            "S3Output": {
                                "S3Uri": self.uri(f"out/{name}"),
                                "LocalPath": "/opt/ml/processing/out",
                                "S3UploadMode": "EndOfJob",
                            },
                        }
                    ]
                },
            },
            **step,
        }

    def training_request(self, script: str, hyperparameters: dict[str, str] | None = None) -> dict[str, Any]:
        """Arguments of a training job in script mode that reads the channel `train`."""
        skip_unless_found(script)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo("train.py")
            entry.size = len(script.encode())
            tar.addfile(entry, io.BytesIO(script.encode()))
        submit = self.put("code/sourcedir.tar.gz", packed.getvalue())
        self.put("data/train/part.txt", "1,2,3")
        return {
            "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
            "HyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": submit,
                **(hyperparameters or {}),
            },
            "InputDataConfig": [
                {
                    "ChannelName": "train",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": self.uri("data/train")}},
                }
            ],
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "RoleArn": ROLE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "OutputDataConfig": {"S3OutputPath": self.uri("models")},
        }

    def processing_job(self, script: str, **changes: Any) -> str:
        """Start a processing job of its own; its name."""
        name = f"{self.prefix}-{uuid.uuid4().hex[:6]}"
        request = {**self.processing("job", script)["Arguments"], "RoleArn": ROLE, **changes}
        self.sm.create_processing_job(ProcessingJobName=name, **request)
        return name

    def training_job(self, script: str, hyperparameters: dict[str, str] | None = None, **changes: Any) -> str:
        """Start a training job of its own; its name."""
        name = f"{self.prefix}-{uuid.uuid4().hex[:6]}"
        request = {**self.training_request(script, hyperparameters), **changes}
        self.sm.create_training_job(TrainingJobName=name, **request)
        return name

    def wait_job(self, name: str, kind: str = "processing") -> dict[str, Any]:
        """The job once it ended."""
        label = kind.capitalize()
        describe = getattr(self.sm, f"describe_{kind}_job")

        def ended() -> dict[str, Any]:
            job: dict[str, Any] = describe(**{f"{label}JobName": name})
            return job if job[f"{label}JobStatus"] in ("Completed", "Failed", "Stopped") else {}

        job = soon(ended)
        assert job, f"{name} did not end"
        return job

    def pipeline(self, *steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
        """Create (or update) this test's pipeline; its name."""
        text = definition(*steps, parameters=parameters)
        try:
            self.sm.create_pipeline(PipelineName=self.prefix, PipelineDefinition=text, RoleArn=ROLE)
        except self.sm.exceptions.ClientError as error:
            if "already exists" not in str(error):
                raise
            self.sm.update_pipeline(PipelineName=self.prefix, PipelineDefinition=text)
        return self.prefix

    def start(self, **request: Any) -> str:
        """Start this test's pipeline; the execution's ARN."""
        given = [{"Name": n, "Value": v} for n, v in request.pop("parameters", {}).items()]
        answer = self.sm.start_pipeline_execution(PipelineName=self.prefix, PipelineParameters=given, **request)
        arn: str = answer["PipelineExecutionArn"]
        return arn

    def wait(self, arn: str) -> dict[str, Any]:
        """The execution once it ended."""

        def ended() -> dict[str, Any]:
            execution: dict[str, Any] = self.sm.describe_pipeline_execution(PipelineExecutionArn=arn)
            return execution if execution["PipelineExecutionStatus"] not in ("Executing", "Stopping") else {}

        execution = soon(ended)
        assert execution, f"{arn} did not end: {self.steps(arn)}"
        return execution

    def run(self, *steps: dict[str, Any], **request: Any) -> tuple[str, dict[str, dict[str, Any]]]:
        """Create the pipeline, run it to its end; the final status and the steps."""
        self.pipeline(*steps)
        arn = self.start(**request)
        return self.wait(arn)["PipelineExecutionStatus"], self.steps(arn)

    def steps(self, arn: str) -> dict[str, dict[str, Any]]:
        """The steps that have started, by name, in the order of their start."""
        answer = self.sm.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=100)
        return {step["StepName"]: step for step in answer["PipelineExecutionSteps"]}

    def log(self, job: str, kind: str = "Processing") -> list[str]:
        """All lines of a job's log."""
        group = f"/aws/sagemaker/{kind}Jobs"
        try:
            streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/")["logStreams"]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        lines = []
        for stream in streams:
            answer = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            lines += [event["message"] for event in answer["events"]]
        return lines

    def wait_log(self, job: str, text: str, kind: str = "Processing") -> list[str]:
        """The log once a line with this text is in it."""
        lines: list[str] = []

        def there() -> bool:
            lines[:] = self.log(job, kind)
            return any(text in line for line in lines)

        assert soon(there), f"{text!r} is not in the log of {job}: {lines}"
        return lines

    def wait_running(self, arn: str, step: str) -> str:
        """The name of a Processing step's job, once its script has printed `pid`."""
        started = soon(lambda: "ProcessingJob" in self.steps(arn).get(step, {}).get("Metadata", {}))
        assert started, f"{step} of {arn} did not start: {self.steps(arn)}"
        job = job_of(self.steps(arn)[step])
        self.wait_log(job, "pid")
        return job


def definition(*steps: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> str:
    """A pipeline definition's text."""
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": list(steps)})


def job_of(step: dict[str, Any]) -> str:
    """The name of the job that a step ran."""
    (metadata,) = step["Metadata"].values()
    name: str = metadata["Arn"].rpartition("/")[2]
    return name
