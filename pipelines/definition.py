"""Builds the definition of the SageMaker pipeline: Stage, Train, Evaluate, Gate, Register. Calls no service.

The SDK is imported inside `build`, because that takes 5 to 10 seconds. It is used in the subset that gives the same
bytes each time: code and data are named by S3 addresses that contain their hash, so the step cache hits when, and only
when, something that matters changed.
"""

from __future__ import annotations

import json
from typing import Any

from pipelines.parameters import PARAMETERS
from pipelines.sdk import as_nobody, import_sdk
from pipelines.settings import Settings

CACHE = "P30D"

TRAINING_SECONDS = 6 * 3600
SPOT_SECONDS = 24 * 3600
"""Of training on spare machines, the time in which there is none included."""
_CODE_CHANNEL = "code"

# What Evaluate writes under "metadata" and the package carries (CustomerMetadataProperties: strings, no commas).
METADATA = (
    "classes",
    "threshold",
    "temperature",
    "target_precision",
    "accuracy",
    "coverage",
    "accepted_precision",
    "out_of_distribution_accepted",
    "out_of_distribution_auroc",
    "accuracy_interval",
    "recent_photos",
    "recent_accuracy",
    "recent_accuracy_interval",
    "data_label",
    "data_sha256",
    "code_sha256",
    "seed",
    "versions",
)

# Figures that SageMaker reads from the training log.
METRICS = {
    "train:loss": "train_loss",
    "validation:accuracy": "validation_accuracy",
    "out-of-fold:accuracy": "out_of_fold_accuracy",
    "out-of-fold:nll": "out_of_fold_nll",
}


def build(settings: Settings) -> str:
    """The pipeline definition as JSON text with sorted keys: the same settings give the same bytes."""
    with as_nobody(settings.region):
        import_sdk()
        definition = json.loads(_pipeline(settings).definition())
    # The SDK's Compute takes a number of GB only, no parameter.
    train = next(step for step in definition["Steps"] if step["Name"] == "Train")
    train["Arguments"]["ResourceConfig"]["VolumeSizeInGB"] = {"Get": "Parameters.VolumeSizeInGB"}
    return json.dumps(definition, sort_keys=True, separators=(",", ":"))


def _pipeline(settings: Settings) -> Any:
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

    session = PipelineSession(boto_session=boto3.Session(), default_bucket=settings.bucket)

    kinds = {"String": ParameterString, "Integer": ParameterInteger, "Float": ParameterFloat}
    parameters = {p.name: kinds[p.kind](name=p.name, default_value=p.default) for p in PARAMETERS}
    cache = CacheConfig(enable_caching=True, expire_after=CACHE)
    # No machine free now: after 1, 2, 4, 8 and 16 minutes. A fault of the service: after 10, 20 and 40 seconds.
    retries = [
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

    def text(name: str) -> Any:
        """A parameter as a string, which is what job arguments and hyperparameters must be."""
        parameter = parameters[name]
        return parameter if isinstance(parameter, ParameterString) else parameter.to_string()

    def place(*path: str) -> Any:
        """An S3 address of this execution's own."""
        base = f"s3://{settings.bucket}/pipelines/{settings.name}"
        return Join(on="/", values=[base, ExecutionVariables.PIPELINE_EXECUTION_ID, *path])

    def processor() -> Any:
        vpc = {"subnets": [*settings.subnets], "security_group_ids": [*settings.security_groups]}
        network = NetworkConfig(
            enable_network_isolation=settings.isolated,
            encrypt_inter_container_traffic=settings.encrypted_traffic or None,
            **(vpc if settings.subnets else {}),
        )
        return ScriptProcessor(
            role=settings.role,
            image_uri=settings.image,
            command=["python3"],
            instance_count=1,
            instance_type=parameters["ProcessingInstanceType"],
            volume_size_in_gb=parameters["VolumeSizeInGB"],
            max_runtime_in_seconds=3600,
            network_config=network if settings.subnets or settings.isolated or settings.encrypted_traffic else None,
            volume_kms_key=settings.key or None,
            output_kms_key=settings.key or None,
            sagemaker_session=session,
        )

    def input_(name: str, uri: Any, folder: str, kind: str = "S3Prefix") -> Any:
        return ProcessingInput(
            input_name=name,
            s3_input=S3Input(
                s3_uri=uri,
                local_path=f"/opt/ml/processing/{folder}",
                s3_data_type=kind,
                s3_input_mode="File",
            ),
        )

    def output(step: str, name: str) -> Any:
        return ProcessingOutput(
            output_name=name,
            s3_output=S3Output(
                s3_uri=place(step, name), local_path=f"/opt/ml/processing/{name}", s3_upload_mode="EndOfJob"
            ),
        )

    stage = ProcessingStep(
        name="Stage",
        description="Reads the archive or the folders and writes records for training and test, and a few test photos.",
        cache_config=cache,
        retry_policies=retries,
        step_args=processor().run(
            code=settings.stage,
            inputs=[
                input_("data", parameters["InputData"], "input/data"),
                input_("labelled", parameters["LabelledPhotos"], "input/labelled", "ManifestFile"),
            ],
            outputs=[output("stage", name) for name in ("train", "test", "recent", "photos")],
            arguments=[
                "--input", "/opt/ml/processing/input/data",
                "--train", "/opt/ml/processing/train",
                "--test", "/opt/ml/processing/test",
                "--photos", "/opt/ml/processing/photos",
                "--labelled", "/opt/ml/processing/input/labelled",
                "--recent", "/opt/ml/processing/recent",
                "--classes", parameters["Classes"],
                "--data-label", parameters["DataLabel"],
                "--seed", text("Seed"),
            ],
        ),
    )  # fmt: skip

    def staged(name: str) -> Any:
        return stage.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri

    # A container without a network cannot fetch its code from S3: SageMaker gives it as a channel.
    channels, code = [InputData(channel_name="train", data_source=staged("train"))], settings.training
    if settings.isolated:
        folder, _, archive = settings.training.rpartition("/")
        channels.append(InputData(channel_name=_CODE_CHANNEL, data_source=f"{folder}/"))
        code = f"/opt/ml/input/data/{_CODE_CHANNEL}/{archive}"
    checkpoints = f"s3://{settings.bucket}/checkpoints/{settings.name}/{settings.training_sha256}"
    searched = [p.name for p in PARAMETERS if p.searched]
    trainer = ModelTrainer(
        sagemaker_session=session,
        role=settings.role,
        training_image=settings.image,
        base_job_name=settings.name,
        compute=Compute(
            instance_type=parameters["TrainingInstanceType"],
            instance_count=parameters["TrainingInstanceCount"],
            enable_managed_spot_training=settings.spot,
            **({"volume_kms_key_id": settings.key} if settings.key else {}),
        ),
        networking=Networking(
            enable_network_isolation=settings.isolated,
            enable_inter_container_traffic_encryption=settings.encrypted_traffic,
            **(
                {"subnets": [*settings.subnets], "security_group_ids": [*settings.security_groups]}
                if settings.subnets
                else {}
            ),
        ),
        # SageMaker takes a time to wait for spot training only.
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=TRAINING_SECONDS,
            **({"max_wait_time_in_seconds": SPOT_SECONDS} if settings.spot else {}),
        ),
        # The same for every execution with these parameters, or the step cache would never hit; another one for each
        # trial of a tuning. What is of another run, train.py knows and does not use.
        checkpoint_config=(
            CheckpointConfig(
                s3_uri=Join(on="/", values=[checkpoints, *map(text, searched), text("Seed")]),
                local_path="/opt/ml/checkpoints",
            )
            if settings.spot
            else None
        ),
        output_data_config=OutputDataConfig(
            s3_output_path=place("train"), **({"kms_key_id": settings.key} if settings.key else {})
        ),
        # The classic script-mode contract; with `source_code` the SDK would add channels named by the time of day.
        hyperparameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": code,
            "classes": parameters["Classes"],
            "epochs": text("Epochs"),
            "batch-size": text("BatchSize"),
            "learning-rate": text("LearningRate"),
            "seed": text("Seed"),
            "pretrained": text("Pretrained"),
            "target-precision": text("TargetPrecision"),
            "code-sha256": settings.training_sha256,
        },
    )
    trainer.with_metric_definitions(
        [MetricDefinition(name=name, regex=rf"{key}=([0-9.]+)") for name, key in METRICS.items()]
    )
    train = TrainingStep(
        name="Train",
        description="Trains on the training records; fits temperature and threshold on out-of-fold predictions.",
        cache_config=cache,
        retry_policies=retries,
        step_args=trainer.train(input_data_config=channels),
    )

    evaluation = PropertyFile(name="Evaluation", output_name="evaluation", path="evaluation.json")
    evaluate = ProcessingStep(
        name="Evaluate",
        description="Scores the model on the test records through the handler that the endpoint runs.",
        cache_config=cache,
        retry_policies=retries,
        property_files=[evaluation],
        step_args=processor().run(
            code=settings.evaluate,
            inputs=[
                input_("model", train.properties.ModelArtifacts.S3ModelArtifacts, "model"),
                input_("test", staged("test"), "test"),
                input_("recent", staged("recent"), "recent"),
                input_("champion", parameters["Champion"], "champion"),
            ],
            outputs=[output("evaluate", "evaluation")],
            arguments=[
                "--model", "/opt/ml/processing/model/model.tar.gz",
                "--test", "/opt/ml/processing/test",
                "--recent", "/opt/ml/processing/recent",
                "--champion-model", "/opt/ml/processing/champion",
                "--tolerance", text("ChampionTolerance"),
                "--output", "/opt/ml/processing/evaluation",
            ],
        ),
    )  # fmt: skip

    def figure(path: str) -> Any:
        return JsonGet(step_name=evaluate.name, property_file=evaluation, json_path=path)

    report = evaluate.properties.ProcessingOutputConfig.Outputs["evaluation"].S3Output.S3Uri

    def source(name: str) -> Any:
        return MetricsSource(content_type="application/json", s3_uri=Join(on="/", values=[report, name]))

    # Figures of the model, and what the test photos look like: the stream is compared with both.
    statistics = {"model_statistics": source("evaluation.json"), "model_data_statistics": source("statistics.json")}
    model = ModelBuilder(
        s3_model_data_url=train.properties.ModelArtifacts.S3ModelArtifacts,
        image_uri=settings.image,
        role_arn=settings.role,
        sagemaker_session=session,
    )
    model.bucket = settings.bucket  # else it lists the account's buckets to see that the session's exists
    register = ModelStep(
        name="Register",
        step_args=model.register(
            model_package_group_name=settings.name,
            approval_status="PendingManualApproval",
            content_types=["image/png", "image/jpeg", "application/json"],
            response_types=["application/json", "text/csv"],
            inference_instances=["ml.c5.large", "ml.c5.xlarge", "ml.m5.large"],
            transform_instances=["ml.c5.xlarge"],
            description=parameters["Reason"],
            model_metrics=ModelMetrics(**statistics),
            drift_check_baselines=DriftCheckBaselines(**statistics),
            # The commit is a parameter that no job takes: another commit alone keeps every step in the cache.
            customer_metadata_properties={
                **{key: figure(f"metadata.{key}") for key in METADATA},
                "git_commit": parameters["GitCommit"],
            },
        ),
    )
    missed = FailStep(
        name="GateMissed",
        error_message=Join(
            on="",
            values=[
                "No version was registered: test accuracy ",
                figure("gate.accuracy"),
                " against a minimum of ",
                parameters["MinimumAccuracy"],
                "; the approved version has ",
                figure("gate.champion_accuracy"),
                " (0 if there is none), and a loss of ",
                parameters["ChampionTolerance"],
                " is tolerated; on recent photos it has ",
                figure("gate.recent_accuracy"),
                " and the approved version ",
                figure("gate.recent_champion_accuracy"),
                " (0 without recent photos), of which it must have more",
            ],
        ),
    )
    # When every step came from the cache, training gives the artifact of a version that is registered already.
    known = ConditionStep(
        name="AlreadyRegistered",
        conditions=[
            ConditionEquals(left=train.properties.ModelArtifacts.S3ModelArtifacts, right=parameters["RegisteredModel"])
        ],
        if_steps=[],
        else_steps=[register],
    )
    gate = ConditionStep(
        name="Gate",
        conditions=[
            ConditionGreaterThanOrEqualTo(left=figure("gate.accuracy"), right=parameters["MinimumAccuracy"]),
            ConditionGreaterThanOrEqualTo(left=figure("gate.not_worse_than_champion"), right=1.0),
            ConditionGreaterThanOrEqualTo(left=figure("gate.better_on_recent"), right=1.0),
        ],
        if_steps=[known],
        else_steps=[missed],
    )
    return Pipeline(
        name=settings.name,
        parameters=list(parameters.values()),
        steps=[stage, train, evaluate, gate],
        # No experiment and trial for each execution: nobody looks at them, and they would outlive the stage.
        pipeline_experiment_config=None,
        sagemaker_session=session,
    )
