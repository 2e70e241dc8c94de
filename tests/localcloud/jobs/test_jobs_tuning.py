"""Tuning jobs over HTTP: training jobs with proposed hyperparameters, the best of them, and the step."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.localcloud.pipeline_kit import ROLE, Kit

SCRIPT = """
import json
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
print("loss=" + given["x"])
open("/opt/ml/model/x", "w").write(given["x"])
"""


@pytest.fixture
def kit(cloud: Any) -> Kit:
    return Kit(cloud)


def request(kit: Kit, **config: Any) -> dict[str, Any]:
    """A tuning job that tries x = 3, 1 and 2, whose loss is x."""
    definition = kit.training_request(SCRIPT)
    definition.pop("HyperParameters")
    definition["AlgorithmSpecification"] |= {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}]}
    # As the SageMaker SDK names the instances.
    definition["HyperParameterTuningResourceConfig"] = definition.pop("ResourceConfig")
    definition["StaticHyperParameters"] = {
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": kit.uri("code/sourcedir.tar.gz"),
    }
    return {
        "HyperParameterTuningJobConfig": {
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "x", "Values": ["3", "1", "2"]}]},
            **config,
        },
        "TrainingJobDefinition": definition,
    }


def test_the_best_training_job_of_a_step_is_registered(kit: Kit) -> None:
    tune = {"Name": "Tune", "Type": "Tuning", "Arguments": request(kit)}
    best = {"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"}
    url = {"Std:Join": {"On": "/", "Values": [kit.uri("models"), best, "output/model.tar.gz"]}}
    made = {
        "Name": "Make",
        "Type": "Model",
        "Arguments": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "image", "ModelDataUrl": url}},
    }
    kit.pipeline(tune, made)
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded", kit.steps(arn)
    name = kit.steps(arn)["Tune"]["Metadata"]["TuningJob"]["Arn"].rpartition("/")[2]

    job = kit.sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)

    assert job["HyperParameterTuningJobStatus"] == "Completed", job
    # `HyperparameterTuner.attach` of the SDK takes both for granted.
    assert job["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] == "loss"
    assert job["TrainingJobDefinition"]["ResourceConfig"]["InstanceCount"] == 1
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"x": "1"}
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 1
    assert job["TrainingJobStatusCounters"]["Completed"] == 3
    listed = kit.sm.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending"
    )["TrainingJobSummaries"]
    assert [one["TunedHyperParameters"]["x"] for one in listed] == ["3", "2", "1"]
    training = kit.sm.describe_training_job(TrainingJobName=listed[0]["TrainingJobName"])
    assert training["TuningJobArn"] == job["HyperParameterTuningJobArn"]


def test_an_objective_that_nothing_measures_is_refused(kit: Kit) -> None:
    given = request(kit, HyperParameterTuningJobObjective={"Type": "Minimize", "MetricName": "error"})

    with pytest.raises(ClientError, match="The objective metric 'error' is none of the MetricDefinitions: loss"):
        kit.sm.create_hyper_parameter_tuning_job(HyperParameterTuningJobName="refused", **given)


def test_a_grid_of_numbers_is_refused_with_the_pipeline(kit: Kit) -> None:
    numbers = {"IntegerParameterRanges": [{"Name": "x", "MinValue": "1", "MaxValue": "3"}]}

    with pytest.raises(ClientError, match="Step 'Tune': The strategy Grid takes CategoricalParameterRanges only"):
        kit.pipeline({"Name": "Tune", "Type": "Tuning", "Arguments": request(kit, ParameterRanges=numbers)})


def test_the_ends_of_a_range_may_be_parameters(kit: Kit) -> None:
    ends = {"MinValue": {"Get": "Parameters.Low"}, "MaxValue": "2", "ScalingType": "ReverseLogarithmic"}
    ranges = {"ContinuousParameterRanges": [{"Name": "x", **ends}]}
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    arguments = request(kit, Strategy="Random", ResourceLimits=limits, ParameterRanges=ranges)
    low = {"Name": "Low", "Type": "String", "DefaultValue": "1"}
    kit.pipeline({"Name": "Tune", "Type": "Tuning", "Arguments": arguments}, parameters=[low])
    arn = kit.start()
    kit.wait(arn)
    assert "The range of 'x' must lie in [0, 1)" in kit.steps(arn)["Tune"]["FailureReason"]
