"""The steps of the SageMaker pipeline, one function each. Calls no service.

Importing this imports the SDK, which takes 5 to 10 seconds: `definition` imports it late, and as nobody.
"""

from __future__ import annotations

from typing import Any

import boto3
from sagemaker.core.drift_check_baselines import DriftCheckBaselines
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import ScriptProcessor
from sagemaker.core.shapes import (
    MetricDefinition,
    OutputDataConfig,
    ProcessingInput,
    ProcessingOutput,
    StoppingCondition,
)
from sagemaker.core.shapes import ProcessingS3Input as S3Input
from sagemaker.core.shapes import ProcessingS3Output as S3Output
from sagemaker.core.training.configs import CheckpointConfig, Compute, InputData, Networking
from sagemaker.core.workflow.conditions import ConditionEquals, ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

from pipelines.figures import METADATA, METRICS
from pipelines.parameters import PARAMETERS
from pipelines.settings import CACHE_DAYS, Settings

TRAINING_SECONDS = 6 * 3600
SPOT_SECONDS = 24 * 3600
"""Of training on spare machines, the time in which there is none included."""
_CODE_CHANNEL = "code"


class Steps:
    """Builds one step of the pipeline at a time, from the settings and the table of parameters."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = PipelineSession(boto_session=boto3.Session(), default_bucket=settings.bucket)
        kinds = {"String": ParameterString, "Integer": ParameterInteger, "Float": ParameterFloat}
        self._parameters = {p.name: kinds[p.kind](name=p.name, default_value=p.default) for p in PARAMETERS}
        self._cache = CacheConfig(enable_caching=True, expire_after=f"P{CACHE_DAYS}D")
        # No machine free now: after 1, 2, 4, 8 and 16 minutes. A fault of the service: after 10, 20 and 40 seconds.
        self._retries = [
            SageMakerJobStepRetryPolicy(
                exception_types=[SageMakerJobExceptionTypeEnum.CAPACITY_ERROR], interval_seconds=60, max_attempts=5
            ),
            SageMakerJobStepRetryPolicy(
                exception_types=[SageMakerJobExceptionTypeEnum.INTERNAL_ERROR], interval_seconds=10, max_attempts=3
            ),
            StepRetryPolicy(
                exception_types=[StepExceptionTypeEnum.THROTTLING, StepExceptionTypeEnum.SERVICE_FAULT],
                interval_seconds=10,
                max_attempts=3,
            ),
        ]
        self._evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")

    def pipeline(self) -> Any:
        """The pipeline with all its steps: an SDK object whose definition can be asked for."""
        stage = self.stage()
        train = self.train(stage)
        evaluate = self.evaluate(stage, train)
        gate = self.gate(train, self.register(train, evaluate))
        return Pipeline(
            name=self._settings.name,
            parameters=list(self._parameters.values()),
            steps=[stage, train, evaluate, gate],
            # No experiment and trial for each execution: nobody looks at them, and they would outlive the stage.
            pipeline_experiment_config=None,
            sagemaker_session=self._session,
        )

    def stage(self) -> Any:
        """The step that turns photos into records."""
        return ProcessingStep(
            name="Stage",
            description=(
                "Reads the archive or the folders and writes records for training and test, and a few test photos."
            ),
            cache_config=self._cache,
            retry_policies=self._retries,
            step_args=self._processor().run(
                code=self._settings.stage,
                inputs=[
                    self._input_("data", self._parameters["InputData"], "input/data"),
                    self._input_("labelled", self._parameters["LabelledPhotos"], "input/labelled", "ManifestFile"),
                ],
                outputs=[self._output("stage", name) for name in ("train", "test", "recent", "photos")],
                arguments=[
                    "--input", "/opt/ml/processing/input/data",
                    "--train", "/opt/ml/processing/train",
                    "--test", "/opt/ml/processing/test",
                    "--photos", "/opt/ml/processing/photos",
                    "--labelled", "/opt/ml/processing/input/labelled",
                    "--recent", "/opt/ml/processing/recent",
                    "--classes", self._parameters["Classes"],
                    "--data-label", self._parameters["DataLabel"],
                    "--seed", self._text("Seed"),
                ],
            ),
        )  # fmt: skip

    def train(self, stage: Any) -> Any:
        """The training step, on what `stage` wrote."""
        # A container without a network cannot fetch its code from S3: SageMaker gives it as a channel.
        channels, code = (
            [InputData(channel_name="train", data_source=_output_of(stage, "train"))],
            self._settings.training,
        )
        if self._settings.isolated:
            folder, _, archive = self._settings.training.rpartition("/")
            channels.append(InputData(channel_name=_CODE_CHANNEL, data_source=f"{folder}/"))
            code = f"/opt/ml/input/data/{_CODE_CHANNEL}/{archive}"
        checkpoints = f"s3://{self._settings.bucket}/checkpoints/{self._settings.name}/{self._settings.training_sha256}"
        searched = [p.name for p in PARAMETERS if p.searched]
        trainer = ModelTrainer(
            sagemaker_session=self._session,
            role=self._settings.role,
            training_image=self._settings.image,
            base_job_name=self._settings.name,
            compute=Compute(
                instance_type=self._parameters["TrainingInstanceType"],
                instance_count=self._parameters["TrainingInstanceCount"],
                enable_managed_spot_training=self._settings.spot,
                **({"volume_kms_key_id": self._settings.key} if self._settings.key else {}),
            ),
            networking=Networking(
                enable_network_isolation=self._settings.isolated,
                enable_inter_container_traffic_encryption=self._settings.encrypted_traffic,
                **(
                    {"subnets": [*self._settings.subnets], "security_group_ids": [*self._settings.security_groups]}
                    if self._settings.subnets
                    else {}
                ),
            ),
            # SageMaker takes a time to wait for spot training only.
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=TRAINING_SECONDS,
                **({"max_wait_time_in_seconds": SPOT_SECONDS} if self._settings.spot else {}),
            ),
            # The same for every execution with these parameters, or the step cache would never hit; another one for
            # each trial of a tuning. What is of another run, train.py knows and does not use.
            checkpoint_config=(
                CheckpointConfig(
                    s3_uri=Join(on="/", values=[checkpoints, *map(self._text, searched), self._text("Seed")]),
                    local_path="/opt/ml/checkpoints",
                )
                if self._settings.spot
                else None
            ),
            output_data_config=OutputDataConfig(
                s3_output_path=self._place("train"),
                **({"kms_key_id": self._settings.key} if self._settings.key else {}),
            ),
            # The classic script-mode contract; with `source_code` the SDK would add channels named by the time of day.
            hyperparameters={
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": code,
                "classes": self._parameters["Classes"],
                "epochs": self._text("Epochs"),
                "batch-size": self._text("BatchSize"),
                "learning-rate": self._text("LearningRate"),
                "seed": self._text("Seed"),
                "pretrained": self._text("Pretrained"),
                "second-opinion-below": self._text("SecondOpinionBelow"),
                "target-precision": self._text("TargetPrecision"),
                "cost-of-wrong-bay": self._text("CostOfWrongBay"),
                "cost-of-review": self._text("CostOfReview"),
                "code-sha256": self._settings.training_sha256,
            },
        )
        trainer.with_metric_definitions(
            [MetricDefinition(name=name, regex=rf"{key}=([0-9.]+)") for name, key in METRICS.items()]
        )
        return TrainingStep(
            name="Train",
            description="Trains on the training records; fits temperature and threshold on out-of-fold predictions.",
            cache_config=self._cache,
            retry_policies=self._retries,
            step_args=trainer.train(input_data_config=channels),
        )

    def evaluate(self, stage: Any, train: Any) -> Any:
        """The step that scores the model of `train` on the test records of `stage`."""
        return ProcessingStep(
            name="Evaluate",
            description="Scores the model on the test records through the handler that the endpoint runs.",
            cache_config=self._cache,
            retry_policies=self._retries,
            property_files=[self._evaluation],
            step_args=self._processor().run(
                code=self._settings.evaluate,
                inputs=[
                    self._input_("model", train.properties.ModelArtifacts.S3ModelArtifacts, "model"),
                    self._input_("test", _output_of(stage, "test"), "test"),
                    self._input_("recent", _output_of(stage, "recent"), "recent"),
                    self._input_("champion", self._parameters["Champion"], "champion"),
                ],
                outputs=[self._output("evaluate", "evaluation")],
                arguments=[
                    "--model", "/opt/ml/processing/model/model.tar.gz",
                    "--test", "/opt/ml/processing/test",
                    "--recent", "/opt/ml/processing/recent",
                    "--champion-model", "/opt/ml/processing/champion",
                    "--tolerance", self._text("ChampionTolerance"),
                    "--output", "/opt/ml/processing/evaluation",
                ],
            ),
        )  # fmt: skip

    def register(self, train: Any, evaluate: Any) -> Any:
        """The step that registers the model of `train` with the figures of `evaluate`."""
        report = _output_of(evaluate, "evaluation")

        def source(name: str) -> Any:
            return MetricsSource(content_type="application/json", s3_uri=Join(on="/", values=[report, name]))

        # Figures of the model, and what the test photos look like: the stream is compared with both.
        statistics = {"model_statistics": source("evaluation.json"), "model_data_statistics": source("statistics.json")}
        model = ModelBuilder(
            s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
            image_uri=self._settings.image,
            role_arn=self._settings.role,
            sagemaker_session=self._session,
        )
        model.bucket = self._settings.bucket  # else it lists the account's buckets to see that the session's exists
        return ModelStep(
            name="Register",
            step_args=model.register(
                model_package_group_name=self._settings.name,
                approval_status="PendingManualApproval",
                content_types=["image/png", "image/jpeg", "application/json"],
                response_types=["application/json", "text/csv"],
                inference_instances=["ml.c5.large", "ml.c5.xlarge", "ml.m5.large"],
                transform_instances=["ml.c5.xlarge"],
                description=self._parameters["Reason"],
                model_metrics=ModelMetrics(**statistics),
                drift_check_baselines=DriftCheckBaselines(**statistics),
                # The commit is a parameter that no job takes: another commit alone keeps every step in the cache.
                customer_metadata_properties={
                    **{key: self._figure(f"metadata.{key}") for key in METADATA},
                    "git_commit": self._parameters["GitCommit"],
                },
            ),
        )

    def gate(self, train: Any, register: Any) -> Any:
        """The condition under which `register` runs; otherwise the execution fails and says why."""
        missed = FailStep(
            name="GateMissed",
            error_message=Join(
                on="",
                values=[
                    "No version was registered: test accuracy ",
                    self._figure("gate.accuracy"),
                    " against a minimum of ",
                    self._parameters["MinimumAccuracy"],
                    "; the approved version has ",
                    self._figure("gate.champion_accuracy"),
                    " (0 if there is none), and a loss of ",
                    self._parameters["ChampionTolerance"],
                    " is tolerated; on recent photos it has ",
                    self._figure("gate.recent_accuracy"),
                    " and the approved version ",
                    self._figure("gate.recent_champion_accuracy"),
                    " (0 without recent photos), of which it must have more",
                ],
            ),
        )
        # When every step came from the cache, training gives the artifact of a version already registered.
        known = ConditionStep(
            name="AlreadyRegistered",
            conditions=[
                ConditionEquals(
                    left=train.properties.ModelArtifacts.S3ModelArtifacts, right=self._parameters["RegisteredModel"]
                )
            ],
            if_steps=[],
            else_steps=[register],
        )
        return ConditionStep(
            name="Gate",
            conditions=[
                ConditionGreaterThanOrEqualTo(
                    left=self._figure("gate.accuracy"), right=self._parameters["MinimumAccuracy"]
                ),
                ConditionGreaterThanOrEqualTo(left=self._figure("gate.not_worse_than_champion"), right=1.0),
                ConditionGreaterThanOrEqualTo(left=self._figure("gate.better_on_recent"), right=1.0),
            ],
            if_steps=[known],
            else_steps=[missed],
        )

    def _figure(self, path: str) -> Any:
        """A figure of evaluation.json, by its path there."""
        return JsonGet(step_name="Evaluate", property_file=self._evaluation, json_path=path)

    def _text(self, name: str) -> Any:
        """A parameter as a string, which is what job arguments and hyperparameters must be."""
        parameter = self._parameters[name]
        return parameter if isinstance(parameter, ParameterString) else parameter.to_string()

    def _place(self, *path: str) -> Any:
        """An S3 address of this execution's own."""
        base = f"s3://{self._settings.bucket}/pipelines/{self._settings.name}"
        return Join(on="/", values=[base, ExecutionVariables.PIPELINE_EXECUTION_ID, *path])

    def _processor(self) -> Any:
        """A machine for a processing job, in the network and with the key of the settings."""
        vpc = {"subnets": [*self._settings.subnets], "security_group_ids": [*self._settings.security_groups]}
        network = NetworkConfig(
            enable_network_isolation=self._settings.isolated,
            encrypt_inter_container_traffic=self._settings.encrypted_traffic or None,
            **(vpc if self._settings.subnets else {}),
        )
        return ScriptProcessor(
            role=self._settings.role,
            image_uri=self._settings.image,
            command=["python3"],
            instance_count=1,
            instance_type=self._parameters["ProcessingInstanceType"],
            volume_size_in_gb=self._parameters["VolumeSizeInGB"],
            max_runtime_in_seconds=3600,
            network_config=network
            if self._settings.subnets or self._settings.isolated or self._settings.encrypted_traffic
            else None,
            volume_kms_key=self._settings.key or None,
            output_kms_key=self._settings.key or None,
            sagemaker_session=self._session,
        )

    def _input_(self, name: str, uri: Any, folder: str, kind: str = "S3Prefix") -> Any:
        """An input of a processing job: an S3 address, and the folder it is mounted at."""
        return ProcessingInput(
            input_name=name,
            s3_input=S3Input(
                s3_uri=uri,
                local_path=f"/opt/ml/processing/{folder}",
                s3_data_type=kind,
                s3_input_mode="File",
            ),
        )

    def _output(self, step: str, name: str) -> Any:
        """An output of a processing job: a folder, uploaded to an address of this execution."""
        return ProcessingOutput(
            output_name=name,
            s3_output=S3Output(
                s3_uri=self._place(step, name), local_path=f"/opt/ml/processing/{name}", s3_upload_mode="EndOfJob"
            ),
        )


def _output_of(step: Any, name: str) -> Any:
    """The S3 address of a processing step's output."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri
