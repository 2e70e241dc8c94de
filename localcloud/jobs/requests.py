"""Validates Create requests for jobs, rejects members that are not supported, and makes the jobs' documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localcloud.api import ApiError, refuse, tags, validation_error
from localcloud.cloud import Cloud
from localcloud.containers import served_model
from localcloud.images import ANY_IMAGE, ANY_PATH, analyzers
from localcloud.images.catalog import UnknownImageError, lines_to_add
from localcloud.jobs.failure import JobError
from localcloud.jobs.metrics import check_definitions
from localcloud.jobs.transfer import Location, Transfer
from localcloud.jobs.transform_client import TransformError, check_path
from localcloud.sandbox.sandbox import OPT_ML
from localcloud.state.store import DuplicateError

Document = dict[str, Any]
MAX_HOSTS = 16
_MOST_TRANSFORMED = 100
TENSORBOARD = f"{OPT_ML}/output/tensorboard"
"""Where a training job writes its files for TensorBoard, unless it says otherwise."""
NOTEBOOK_JOB = "amazon_sagemaker_scheduler"
"""The command in AWS's images that runs a notebook; the SDK's NotebookJobStep is a training job that starts it."""


def processing_job(cloud: Cloud, request: Document) -> Document:
    """Return the document of a new processing job. `request` was already validated against botocore's model.

    KMS keys and subnets are stored but have no effect. ApiError if a member is not supported or invalid.
    """
    cluster = request["ProcessingResources"]["ClusterConfig"]
    cluster = _selected(cluster, "processingResources.clusterConfig")
    _instances(cluster, "processingResources.clusterConfig")
    image = request["AppSpecification"]["ImageUri"]
    check_image(cloud, image)
    entrypoint = request["AppSpecification"].get("ContainerEntrypoint") or cloud.images.entrypoint(image)
    if not entrypoint and image != ANY_IMAGE:
        raise validation_error(
            f"The local cloud does not know an image's own entry point, here of {image!r}. Give "
            f"AppSpecification.ContainerEntrypoint, or the image a rule with its command and requirements. "
            f"{lines_to_add(image)}requirements = []\nentrypoint = ['python3', '/opt/ml/processing/input/code/main.py']"
        )
    places: dict[str, str] = {}
    for item in request.get("ProcessingInputs", []):
        name, source = f"ProcessingInputs {item['InputName']!r}", item.get("S3Input")
        if source is None or "DatasetDefinition" in item or item.get("AppManaged"):
            raise _refused(f"{name} with {'AppManaged' if item.get('AppManaged') else 'no S3Input'}")
        missing = [f'"{member}"' for member in ("LocalPath", "S3InputMode") if not source.get(member)]
        if missing:
            raise validation_error(
                f"Input {item['InputName']} missing one or more required fields for SageMaker-managed S3Input: "
                f"{', '.join(missing)}"
            )
        other = places.setdefault(source["LocalPath"].rstrip("/"), item["InputName"])
        if other != item["InputName"] and source["LocalPath"] != ANY_PATH:
            raise validation_error(f"{name} and {other!r} have the same LocalPath {source['LocalPath']!r}.")
        if source["S3InputMode"] != "File" or source.get("S3CompressionType", "None") != "None":
            raise _refused(f"{name} with S3InputMode Pipe or S3CompressionType Gzip")
        _uri(source["S3Uri"], name)
        _local_path(source.get("LocalPath"), name)
    for output in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        name, target = f"Outputs {output['OutputName']!r}", output.get("S3Output")
        if target is None or "FeatureStoreOutput" in output or output.get("AppManaged"):
            raise _refused(f"{name} with {'AppManaged' if output.get('AppManaged') else 'no S3Output'}")
        _uri(target["S3Uri"], name)
        _local_path(target.get("LocalPath"), name)
    _analysis(cloud, request, entrypoint)
    document = _document(cloud, request, "Processing", "processing-job")
    document["ProcessingResources"] = {**request["ProcessingResources"], "ClusterConfig": cluster}
    document["_entrypoint"] = list(entrypoint)
    return document


def _analysis(cloud: Cloud, request: Document, entrypoint: Iterable[str]) -> None:
    """ApiError if one of the local cloud's analyzers is the entry point and could not do what is asked of it."""
    program = next(iter(entrypoint), "")
    what = None
    if program == analyzers.DATASET:
        what = analyzers.refused_dataset(request.get("Environment", {}))
    elif program == analyzers.BIAS:
        uris = [item["S3Input"]["S3Uri"] for item in request.get("ProcessingInputs", [])
                if item["InputName"] == "analysis_config"]  # fmt: skip
        try:
            what = analyzers.refused_analysis(Transfer(cloud.s3).read_json(Location.parse(uris[0]))) if uris else None
        except JobError:
            # It is not there yet, or not known yet: the job itself will say so.
            return
    if what:
        raise _refused(what)


def training_job(cloud: Cloud, request: Document) -> Document:
    """Return the document of a new training job. `request` was already validated against botocore's model.

    KMS keys, subnets, managed spot training, and what configures the debugger and the profiler with their
    rules are stored but have no effect. ApiError if a member is not supported or invalid.
    """
    refuse(request, "ServerlessJobConfig", "MlflowConfig", "ModelPackageConfig")
    refuse(request.get("RemoteDebugConfig", {}), "EnableRemoteDebug")
    algorithm = request.get("AlgorithmSpecification") or {}
    if "TrainingImage" not in algorithm:
        raise _refused("a training job without AlgorithmSpecification.TrainingImage")
    if algorithm.get("ContainerEntrypoint", [])[:1] == [NOTEBOOK_JOB]:
        raise _refused(f"a notebook job, which the entry point {NOTEBOOK_JOB!r} makes of a training job")
    check_image(cloud, algorithm["TrainingImage"])
    resources = request.get("ResourceConfig") or {}
    if "InstanceGroups" in resources:
        raise _refused("a ResourceConfig with InstanceGroups")
    resources = _selected(resources, "resourceConfig")
    _instances(resources, "resourceConfig")
    modes = [algorithm["TrainingInputMode"]]
    for channel in request.get("InputDataConfig", []):
        name, source = f"Channel {channel['ChannelName']!r}", channel["DataSource"].get("S3DataSource")
        if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
            raise _refused(f"{name} with a DataSource other than S3Prefix or ManifestFile")
        if channel.get("CompressionType", "None") != "None":
            raise _refused(f"{name} with CompressionType Gzip")
        if channel.get("RecordWrapperType", "None") != "None":
            raise _refused(f"{name} with RecordWrapperType RecordIO, which is for the input mode Pipe")
        if "ShuffleConfig" in channel and source.get("S3DataDistributionType") == "ShardedByS3Key":
            raise _refused(f"{name} with ShuffleConfig and ShardedByS3Key; leave ShuffleConfig out")
        modes.append(channel.get("InputMode", "File"))
        _uri(source["S3Uri"], name)
    if "Pipe" in modes:
        raise _refused("the input mode Pipe; use File")
    _uri(request["OutputDataConfig"]["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    if "CheckpointConfig" in request:
        _uri(request["CheckpointConfig"]["S3Uri"], "CheckpointConfig.S3Uri")
        _local_path(request["CheckpointConfig"].get("LocalPath") or f"{OPT_ML}/checkpoints", "CheckpointConfig")
    if "TensorBoardOutputConfig" in request:
        config = request["TensorBoardOutputConfig"]
        _uri(config["S3OutputPath"], "TensorBoardOutputConfig.S3OutputPath")
        _local_path(config.get("LocalPath") or TENSORBOARD, "TensorBoardOutputConfig")
    _waits_for_spare_machines(request)
    try:
        check_definitions(algorithm.get("MetricDefinitions", []))
    except ValueError as error:
        raise validation_error(str(error)) from None
    document = _document(cloud, request, "Training", "training-job")
    known = cloud.images.metric_definitions(algorithm["TrainingImage"])
    if known and "sagemaker_program" not in request.get("HyperParameters", {}):
        # DescribeTrainingJob shows the metrics of an algorithm that has its own.
        document["AlgorithmSpecification"] = {"MetricDefinitions": known, **algorithm}
    document["ResourceConfig"] = resources
    # AWS describes a job without a key with an empty one, which `Estimator.attach` of the SDK reads.
    document["OutputDataConfig"] = {"KmsKeyId": "", **request["OutputDataConfig"]}
    base = request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    document["ModelArtifacts"] = {"S3ModelArtifacts": f"{base}/{request['TrainingJobName']}/output/model.tar.gz"}
    document["StoppingCondition"] = {"MaxRuntimeInSeconds": 86_400, **request.get("StoppingCondition", {})}
    document.setdefault("EnableNetworkIsolation", False)
    document.setdefault("EnableInterContainerTrafficEncryption", False)
    document.setdefault("EnableManagedSpotTraining", False)
    document.update(profiling(request))
    document["SecondaryStatus"] = "Pending"
    document["SecondaryStatusTransitions"] = [
        {
            "Status": "Pending",
            "StartTime": document["CreationTime"],
            "StatusMessage": "Waiting for other jobs to end",
        }
    ]
    return document


def profiling(request: Document) -> Document:
    """The members of debugger and profiler as AWS describes them: with the defaults of its reference of the API."""
    described: Document = {}
    for name in ("DebugRuleConfigurations", "ProfilerRuleConfigurations"):
        if name in request:
            described[name] = [{"VolumeSizeInGB": 0, **rule} for rule in request[name]]
    profiler = request.get("ProfilerConfig")
    if profiler is not None:
        disabled = profiler.get("DisableProfiler", False)
        defaults = {} if disabled else {"ProfilingIntervalInMilliseconds": 500}
        described["ProfilerConfig"] = {**defaults, **profiler}
        described["ProfilingStatus"] = "Disabled" if disabled else "Enabled"
    return described


def transform_job(cloud: Cloud, request: Document) -> Document:
    """Return the document of a new transform job. `request` was already validated against botocore's model.

    The model must be there; it may have several containers. KMS keys and data capture are stored but have no effect.
    ApiError if the model is not there, or a member is not supported or invalid.
    """
    check_transform_job(request)
    model = served_model(cloud, cloud.call("DescribeModel", {"ModelName": request["ModelName"]}))
    if model.several:
        raise _refused("a transform job with a model of Mode MultiModel: a transform job names no TargetModel")
    if model.direct:
        raise _refused("a transform job with a model of direct invocation: a transform job names no container")
    for container in model.containers:
        check_image(cloud, container.image or "")
    document = _document(cloud, request, "Transform", "transform-job")
    document["_containers"] = [container.document() for container in model.containers]
    document["_role"] = model.role_arn
    document["_isolated"] = model.isolated
    return document


def check_transform_job(request: Document) -> None:
    """ApiError if a transform job's request has a member that is not supported or invalid, whatever its model."""
    given = request["TransformInput"]
    if given.get("SplitType", "None") not in ("None", "Line"):
        raise _refused(f"SplitType {given['SplitType']}; give Line or None")
    if given["DataSource"]["S3DataSource"]["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise _refused("a TransformInput other than S3Prefix or ManifestFile")
    _uri(given["DataSource"]["S3DataSource"]["S3Uri"], "TransformInput")
    _uri(request["TransformOutput"]["S3OutputPath"], "TransformOutput.S3OutputPath")
    _instances(request["TransformResources"], "transformResources")
    together = request.get("MaxPayloadInMB", 6) * request.get("MaxConcurrentTransforms", 1)
    if together > _MOST_TRANSFORMED:
        raise validation_error(
            f"MaxPayloadInMB times MaxConcurrentTransforms is {together}; it cannot exceed {_MOST_TRANSFORMED} MB."
        )
    kind = given.get("ContentType", "").partition(";")[0]
    if request.get("DataProcessing") and kind not in ("text/csv", "application/json", "application/jsonlines"):
        raise validation_error(
            f"DataProcessing needs the ContentType text/csv, application/json or application/jsonlines, not {kind!r}."
        )
    for name in ("InputFilter", "OutputFilter"):
        try:
            check_path(request.get("DataProcessing", {}).get(name, "$"))
        except TransformError as error:
            raise validation_error(f"DataProcessing.{name}: {error}") from None


def _waits_for_spare_machines(request: Document) -> None:
    """ValidationException in AWS's words for a MaxWaitTimeInSeconds that it does not take."""
    condition = request.get("StoppingCondition", {})
    wait = condition.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise validation_error(
                "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < condition.get("MaxRuntimeInSeconds", 86_400):
        raise validation_error(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def insert(cloud: Cloud, store_kind: str, label: str, document: Document) -> None:
    """Store a new job's document and its tags; ApiError ResourceInUse if a job of that name exists."""
    given_tags = document.pop("_tags")
    try:
        cloud.store.insert(store_kind, document[f"{label}JobName"], document)
    except DuplicateError:
        raise ApiError(
            "ResourceInUse",
            "Job name must be unique within an AWS account and region, and a job with this name already exists "
            f"({document[f'{label}JobArn']})",
        ) from None
    tags.remember(cloud.store, document[f"{label}JobArn"], given_tags)


def _document(cloud: Cloud, request: Document, label: str, store_kind: str) -> Document:
    """Return what the documents of all kinds of jobs have in common; `label` is such as Training."""
    now = cloud.clock()
    document = {name: value for name, value in request.items() if name != "Tags"}
    document["_tags"] = request.get("Tags")
    document[f"{label}JobArn"] = cloud.arn(store_kind, request[f"{label}JobName"])
    document[f"{label}JobStatus"] = "InProgress"
    document["CreationTime"] = document["LastModifiedTime"] = now
    document["_secondary"] = "Pending"
    return document


def _selected(resources: Document, where: str) -> Document:
    """The resources with the instances that the job gets: of several that it would take, the first ones.

    Which member an answer of AWS has for a count that the preference does not give is not documented; here it is that
    beside the preferences, or 1. ValidationException if instances are given twice, or not at all.
    """
    preferences = resources.get("InstancePreferences")
    if bool(preferences) == ("InstanceType" in resources):
        raise validation_error(f"{where}: give either InstanceType with InstanceCount, or InstancePreferences.")
    if not preferences:
        if "InstanceCount" not in resources:
            raise validation_error(f"{where}: give InstanceCount with InstanceType.")
        return resources
    first = preferences[0]
    count = first.get("InstanceCount", resources.get("InstanceCount", 1))
    return {**resources, "SelectedInstanceType": first["InstanceType"], "SelectedInstanceCount": count}


def instances(resources: Document) -> tuple[str, int]:
    """The type and the number of the instances that a job of these resources runs on."""
    kind = resources.get("SelectedInstanceType") or resources.get("InstanceType", "")
    return kind, int(resources.get("SelectedInstanceCount") or resources.get("InstanceCount", 1))


def _instances(resources: Document, where: str) -> None:
    """ApiError for an InstanceCount that the local cloud does not run; `where` is the member's name."""
    _, count = instances(resources)
    if count < 1:
        raise validation_error(f"{where}.instanceCount is {count}; it must be at least 1.")
    if count > MAX_HOSTS:
        raise ApiError(
            "ResourceLimitExceeded",
            f"{where}.instanceCount is {count}; the local cloud runs at most {MAX_HOSTS} processes for a job.",
        )


def check_image(cloud: Cloud, address: str) -> None:
    """ValidationException with the lines to add if nothing stands for the image at this address."""
    if address == ANY_IMAGE:
        return
    try:
        cloud.images.check(address)
    except UnknownImageError as error:
        raise validation_error(str(error)) from None


def _uri(uri: str, where: str) -> None:
    try:
        Location.parse(uri)
    except JobError as error:
        raise validation_error(f"{where}: {error}") from None


def _local_path(path: str | None, where: str) -> None:
    parts: Iterable[str] = (path or "").split("/")
    if path is None or not path.startswith(f"{OPT_ML}/") or ".." in parts:
        raise validation_error(f"{where}: LocalPath is {path!r}; in the local cloud it must lie under {OPT_ML}/.")


def _refused(what: str) -> ApiError:
    return validation_error(f"The local cloud does not support {what}.")
