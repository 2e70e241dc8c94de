"""Experiments, trials, trial components, artifacts, actions, contexts and the associations between them."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import Kit


@pytest.fixture(scope="module")
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


@pytest.fixture(scope="module")
def trained(kit: Kit) -> dict[str, Any]:
    """A training job of a trial, once it ended: it prints a metric and has a hyperparameter."""
    kit.sm.create_experiment(ExperimentName=f"{kit.prefix}-e", Tags=[{"Key": "team", "Value": kit.prefix}])
    kit.sm.create_trial(TrialName=f"{kit.prefix}-t", ExperimentName=f"{kit.prefix}-e")
    kit.put("data/train/say.py", "print('rmse=0.25;')")
    algorithm = {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "ContainerEntrypoint": ["python3", "/opt/ml/input/data/train/say.py"],
        "MetricDefinitions": [{"Name": "validation:rmse", "Regex": "rmse=(.*?);"}],
    }
    name = kit.training_job(
        "",
        {"epochs": "12", "optimizer": "adam"},
        AlgorithmSpecification=algorithm,
        ExperimentConfig={"ExperimentName": f"{kit.prefix}-e", "TrialName": f"{kit.prefix}-t"},
    )
    return kit.wait_job(name, "training")


def found(kit: Kit, resource: str, *filters: tuple[str, str, str], **request: Any) -> list[dict[str, Any]]:
    """The records of a search whose filters are (name, operator, value)."""
    expression = {"Filters": [{"Name": n, "Operator": o, "Value": v} for n, o, v in filters]}
    results = kit.sm.search(Resource=resource, SearchExpression=expression, **request)["Results"]
    return [next(iter(record.values())) for record in results]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_what_has_no_display_name_is_displayed_by_its_name(kit: Kit) -> None:
    experiment, trial, component = (f"{kit.prefix}-shown-{letter}" for letter in "etc")
    kit.sm.create_experiment(ExperimentName=experiment)
    kit.sm.create_trial(TrialName=trial, ExperimentName=experiment)
    kit.sm.create_trial_component(TrialComponentName=component)
    assert kit.sm.describe_experiment(ExperimentName=experiment)["DisplayName"] == experiment
    assert kit.sm.describe_trial(TrialName=trial)["DisplayName"] == trial
    assert kit.sm.describe_trial_component(TrialComponentName=component)["DisplayName"] == component


def test_an_experiment_is_described_changed_and_deleted(kit: Kit) -> None:
    name = f"{kit.prefix}-one"
    arn = kit.sm.create_experiment(ExperimentName=name, DisplayName="One")["ExperimentArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:experiment/{name}"
    kit.sm.update_experiment(ExperimentName=name, Description="said later")
    described = kit.sm.describe_experiment(ExperimentName=name)
    assert (described["DisplayName"], described["Description"]) == ("One", "said later")
    assert name in [one["ExperimentName"] for one in kit.sm.list_experiments()["ExperimentSummaries"]]
    kit.sm.delete_experiment(ExperimentName=name)
    with pytest.raises(ClientError) as error:
        kit.sm.describe_experiment(ExperimentName=name)
    assert code(error) == "ResourceNotFound"


def test_a_name_that_is_taken_is_refused_as_the_sdk_expects_it(kit: Kit, trained: Any) -> None:
    with pytest.raises(ClientError, match="already exists") as error:
        kit.sm.create_experiment(ExperimentName=f"{kit.prefix}-e")
    assert code(error) == "ValidationException"


def test_a_trial_needs_its_experiment(kit: Kit) -> None:
    with pytest.raises(ClientError, match="does not exist") as error:
        kit.sm.create_trial(TrialName="orphan", ExperimentName="nobody")
    assert code(error) == "ResourceNotFound"


def test_an_experiment_with_trials_is_not_deleted(kit: Kit, trained: Any) -> None:
    with pytest.raises(ClientError, match="delete its trials first"):
        kit.sm.delete_experiment(ExperimentName=f"{kit.prefix}-e")


def test_a_component_belongs_to_the_trials_that_it_is_put_into(kit: Kit, trained: Any) -> None:
    name, trial = f"{kit.prefix}-c", f"{kit.prefix}-t"
    kit.sm.create_trial_component(TrialComponentName=name, Parameters={"a": {"NumberValue": 1.0}})
    kit.sm.associate_trial_component(TrialComponentName=name, TrialName=trial)
    listed = kit.sm.list_trial_components(TrialName=trial)["TrialComponentSummaries"]
    assert name in [one["TrialComponentName"] for one in listed]
    assert [t["TrialName"] for t in kit.sm.list_trials(TrialComponentName=name)["TrialSummaries"]] == [trial]
    with pytest.raises(ClientError, match="disassociate"):
        kit.sm.delete_trial_component(TrialComponentName=name)
    kit.sm.disassociate_trial_component(TrialComponentName=name, TrialName=trial)
    kit.sm.delete_trial_component(TrialComponentName=name)


def test_parameters_are_added_and_removed(kit: Kit) -> None:
    name = f"{kit.prefix}-p"
    kit.sm.create_trial_component(TrialComponentName=name, Parameters={"a": {"NumberValue": 1.0}})
    kit.sm.update_trial_component(TrialComponentName=name, Parameters={"b": {"StringValue": "x"}})
    kit.sm.update_trial_component(TrialComponentName=name, ParametersToRemove=["a"])
    described = kit.sm.describe_trial_component(TrialComponentName=name)
    assert described["Parameters"] == {"b": {"StringValue": "x"}}


def test_values_add_up_to_the_metrics_of_a_component(kit: Kit) -> None:
    name = f"{kit.prefix}-m"
    kit.sm.create_trial_component(TrialComponentName=name)
    data = [{"MetricName": "loss", "Timestamp": 1_700_000_000 + n, "Step": n, "Value": v} for n, v in enumerate((4, 2))]
    answer = kit.cloud.client("sagemaker-metrics").batch_put_metrics(TrialComponentName=name, MetricData=data)
    assert answer.get("Errors", []) == []
    kit.cloud.client("sagemaker-metrics").batch_put_metrics(
        TrialComponentName=name, MetricData=[{**data[0], "Value": 3.0}]
    )
    (metric,) = kit.sm.describe_trial_component(TrialComponentName=name)["Metrics"]
    summary = {key: metric[key] for key in ("MetricName", "Min", "Max", "Last", "Count", "Avg")}
    assert summary == {"MetricName": "loss", "Min": 2, "Max": 4, "Last": 3, "Count": 3, "Avg": 3}
    assert metric["StdDev"] == pytest.approx((2 / 3) ** 0.5)


def test_a_job_is_a_component_of_its_trial_with_parameters_and_metrics(kit: Kit, trained: dict[str, Any]) -> None:
    listed = kit.sm.list_trial_components(SourceArn=trained["TrainingJobArn"])["TrialComponentSummaries"]
    component = kit.sm.describe_trial_component(TrialComponentName=listed[0]["TrialComponentName"])
    assert component["Source"]["SourceType"] == "SageMakerTrainingJob"
    assert component["Parameters"]["epochs"] == {"NumberValue": 12.0}
    assert [(m["MetricName"], m["Last"]) for m in component["Metrics"]] == [("validation:rmse", 0.25)]
    of_experiment = kit.sm.list_trial_components(ExperimentName=f"{kit.prefix}-e")["TrialComponentSummaries"]
    assert component["TrialComponentName"] in [one["TrialComponentName"] for one in of_experiment]


@pytest.mark.parametrize(
    ("resource", "request_"),
    [
        ("action", {"ActionName": "{}-a", "ActionType": "Deploy", "Source": {"SourceUri": "s3://x/{}"}}),
        ("context", {"ContextName": "{}-x", "ContextType": "Project", "Source": {"SourceUri": "s3://x/{}"}}),
        ("artifact", {"ArtifactName": "{}-f", "ArtifactType": "Data", "Source": {"SourceUri": "s3://x/{}"}}),
    ],
)
def test_lineage_entities_are_made_found_by_source_and_deleted(kit: Kit, resource: str, request_: Any) -> None:
    request = json.loads(json.dumps(request_).replace("{}", kit.prefix))
    label = resource.capitalize()
    arn = getattr(kit.sm, f"create_{resource}")(Properties={"k": "1"}, **request)[f"{label}Arn"]
    found_by = {"ArtifactArn": arn} if resource == "artifact" else {f"{label}Name": request[f"{label}Name"]}
    getattr(kit.sm, f"update_{resource}")(**found_by, Properties={"l": "2"}, PropertiesToRemove=["k"])
    assert getattr(kit.sm, f"describe_{resource}")(**found_by)["Properties"] == {"l": "2"}
    listed = getattr(kit.sm, f"list_{resource}s")(SourceUri=request["Source"]["SourceUri"])[f"{label}Summaries"]
    assert [one[f"{label}Arn"] for one in listed] == [arn]
    getattr(kit.sm, f"delete_{resource}")(**found_by)
    with pytest.raises(ClientError, match="does not exist"):
        getattr(kit.sm, f"describe_{resource}")(**found_by)


def test_an_association_is_part_of_the_lineage_until_it_is_deleted(kit: Kit, trained: dict[str, Any]) -> None:
    model = trained["ModelArtifacts"]["S3ModelArtifacts"]
    source = kit.sm.list_artifacts(SourceUri=model)["ArtifactSummaries"][0]["ArtifactArn"]
    action = kit.sm.create_action(
        ActionName=f"{kit.prefix}-deploy", ActionType="Deploy", Source={"SourceUri": "endpoint"}
    )["ActionArn"]
    ends = {"SourceArn": source, "DestinationArn": action}
    kit.sm.add_association(**ends, AssociationType="ContributedTo")
    with pytest.raises(ClientError, match="already"):
        kit.sm.add_association(**ends)
    vertices = kit.sm.query_lineage(StartArns=[source], Direction="Descendants")["Vertices"]
    assert {"Arn": action, "Type": "Deploy", "LineageType": "Action"} in vertices
    (listed,) = kit.sm.list_associations(DestinationArn=action)["AssociationSummaries"]
    assert (listed["SourceType"], listed["AssociationType"]) == ("Model", "ContributedTo")
    kit.sm.delete_association(**ends)
    assert kit.sm.list_associations(DestinationArn=action)["AssociationSummaries"] == []


def test_an_association_needs_both_ends(kit: Kit) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:artifact/0123"
    with pytest.raises(ClientError, match="does not exist"):
        kit.sm.add_association(SourceArn=arn, DestinationArn=arn)


@pytest.mark.parametrize(
    "test",
    [
        ("HyperParameters.epochs", "GreaterThan", "9"),
        ("HyperParameters.optimizer", "Equals", "adam"),
        ("Metrics.validation:rmse", "LessThan", "0.3"),
        ("TrainingJobStatus", "In", "Failed, Completed"),
        ("CreationTime", "GreaterThanOrEqualTo", "2020-01-01T00:00:00Z"),
        ("InputDataConfig.ChannelName", "Contains", "TRAIN"),
        ("FailureReason", "NotEquals", "x"),
    ],
    ids=lambda test: test[0],
)
def test_a_training_job_is_found(kit: Kit, trained: dict[str, Any], test: tuple[str, str, str]) -> None:
    name = ("TrainingJobName", "Equals", trained["TrainingJobName"])
    assert [job["TrainingJobArn"] for job in found(kit, "TrainingJob", name, test)] == [trained["TrainingJobArn"]]


@pytest.mark.parametrize(
    "test",
    [
        ("HyperParameters.epochs", "GreaterThan", "12"),
        ("Metrics.validation:rmse", "LessThan", "0.2"),
        ("CreationTime", "LessThan", "2020-01-01T00:00:00Z"),
        ("HyperParameters.none", "Equals", "1"),
        ("Metrics.none", "Exists", "any"),
        ("TrainingJobStatus", "NotEquals", "Completed"),
    ],
    ids=lambda test: test[0],
)
def test_a_training_job_that_differs_is_not_found(
    kit: Kit, trained: dict[str, Any], test: tuple[str, str, str]
) -> None:
    assert found(kit, "TrainingJob", ("TrainingJobName", "Equals", trained["TrainingJobName"]), test) == []


def test_expressions_are_nested_and_joined_by_or(kit: Kit, trained: dict[str, Any]) -> None:
    channel = "InputDataConfig"
    nested = {
        "NestedPropertyName": channel,
        "Filters": [
            {"Name": f"{channel}.ChannelName", "Operator": "Equals", "Value": "train"},
            {"Name": f"{channel}.DataSource.S3DataSource.S3Uri", "Operator": "Contains", "Value": kit.prefix},
        ],
    }
    never = {"Filters": [{"Name": "TrainingJobStatus", "Operator": "Equals", "Value": "Failed"}]}
    both = {"SubExpressions": [never, {"NestedFilters": [nested]}]}
    ask = {"Resource": "TrainingJob"}
    assert kit.sm.search(**ask, SearchExpression={**both, "Operator": "Or"})["TotalHits"]["Value"] >= 1
    assert kit.sm.search(**ask, SearchExpression={**both, "Operator": "And"})["Results"] == []


def test_components_are_found_by_their_trial_and_sorted_by_a_metric(kit: Kit, trained: dict[str, Any]) -> None:
    by_trial = ("Parents.TrialName", "Equals", f"{kit.prefix}-t")
    components = found(
        kit, "ExperimentTrialComponent", by_trial, SortBy="Metrics.validation:rmse.Last", SortOrder="Ascending"
    )
    names = [component["TrialComponentName"] for component in components]
    assert f"{trained['TrainingJobName']}-aws-training-job" in names
    (parent,) = components[-1]["Parents"]
    assert parent == {"TrialName": f"{kit.prefix}-t", "ExperimentName": f"{kit.prefix}-e"}


def test_experiments_are_found_by_a_tag(kit: Kit, trained: Any) -> None:
    (experiment,) = found(kit, "Experiment", ("Tags.team", "Equals", kit.prefix))
    assert experiment["ExperimentName"] == f"{kit.prefix}-e"


def test_pages_of_a_search_cover_everything_once(kit: Kit) -> None:
    for number in range(3):
        kit.sm.create_model_package_group(ModelPackageGroupName=f"{kit.prefix}-g{number}")
    ask: dict[str, Any] = {
        "Resource": "ModelPackageGroup",
        "MaxResults": 2,
        "SearchExpression": {
            "Filters": [{"Name": "ModelPackageGroupName", "Operator": "Contains", "Value": f"{kit.prefix}-g"}]
        },
    }
    first = kit.sm.search(**ask)
    second = kit.sm.search(**ask, NextToken=first["NextToken"])
    groups = [r["ModelPackageGroup"]["ModelPackageGroupName"] for r in first["Results"] + second["Results"]]
    assert groups == [f"{kit.prefix}-g{number}" for number in (2, 1, 0)]
    assert "NextToken" not in second


@pytest.mark.parametrize(
    "resource", ["Endpoint", "Model", "ModelPackage", "ModelCard", "Pipeline", "PipelineExecution", "ExperimentTrial"]
)
def test_every_resource_can_be_searched(kit: Kit, resource: str) -> None:
    assert kit.sm.search(Resource=resource, MaxResults=100)["TotalHits"]["Relation"] == "EqualTo"


def test_versions_and_packages_without_a_group_are_found(kit: Kit) -> None:
    kit.sm.create_model_package_group(ModelPackageGroupName=f"{kit.prefix}-group")
    containers = [{"Image": "image:1", "ModelDataUrl": kit.uri("model.tar.gz")}]
    inference = {"Containers": containers, "SupportedContentTypes": ["a/b"], "SupportedResponseMIMETypes": ["a/b"]}
    version = kit.sm.create_model_package(ModelPackageGroupName=f"{kit.prefix}-group", InferenceSpecification=inference)
    package = kit.sm.create_model_package(ModelPackageName=f"{kit.prefix}-alone", InferenceSpecification=inference)

    for made in (version, package):
        (one,) = found(kit, "ModelPackage", ("ModelPackageArn", "Equals", made["ModelPackageArn"]))
        assert one["ModelPackageArn"] == made["ModelPackageArn"]


def test_a_pipeline_and_its_execution_are_found(kit: Kit) -> None:
    kit.pipeline({"Name": "End", "Type": "Fail", "Arguments": {"ErrorMessage": "x"}})
    arn = kit.start()
    kit.wait(arn)
    (pipeline,) = found(kit, "Pipeline", ("PipelineName", "Equals", kit.prefix))
    (execution,) = found(
        kit,
        "PipelineExecution",
        ("PipelineArn", "Equals", pipeline["PipelineArn"]),
        ("PipelineExecutionStatus", "Equals", "Failed"),
    )
    assert execution["PipelineExecutionArn"] == arn


def test_a_property_that_the_resource_does_not_have_is_named(kit: Kit) -> None:
    with pytest.raises(ClientError, match="Unknown property name: ExperimentName") as error:
        found(kit, "ExperimentTrialComponent", ("ExperimentName", "Equals", "e"))
    assert code(error) == "ValidationException"


def test_the_trial_is_looked_for_before_the_component(kit: Kit) -> None:
    with pytest.raises(ClientError, match=r"Trial '.*experiment-trial/nobody' does not exist"):
        kit.sm.associate_trial_component(TrialComponentName="nobody", TrialName="nobody")


def test_what_is_not_searched_is_refused_by_name(kit: Kit) -> None:
    with pytest.raises(ClientError, match="does not search FeatureGroup"):
        kit.sm.search(Resource="FeatureGroup")
