"""A search over a SageMaker that answers from memory: what is tried, what is remembered, what is left behind."""
# ruff: noqa: N803 - AWS names its arguments so

import io
import math
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from loadingbay.screen.progress import Screen
from loadingbay.target import Target
from loadingbay.tuning.record import Trial, better_first
from loadingbay.tuning.space import parse
from loadingbay.tuning.trials import HOPELESS, Interrupted, Search, Tuner, study_name
from pipelines.parameters import BY_NAME
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/"
TITLE = "PipelineExecutionDisplayName"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def _range(text: str) -> Any:
    return parse(BY_NAME["LearningRate"], text)


SHARED: dict[str, Any] = {
    "InputData": "s3://bucket/data/",
    "Champion": "s3://bucket/champion/none",
    "LabelledPhotos": "s3://bucket/labelled/none.manifest",
    "Epochs": 5,
}
SPACE: dict[str, Any] = {"LearningRate": _range("0.001:1")}


def _nll(rate):
    """A figure that is best at a learning rate of 0.03."""
    return 0.2 + math.log10(rate / 0.03) ** 2


class SageMaker(FakeSageMaker):
    """Executions that succeed at once, but for those whose number is among `failing` or `hanging`."""

    def __init__(self, failing=(), hanging=(), metrics=("out-of-fold:nll", "out-of-fold:accuracy")):
        super().__init__()
        self.executions, self.failing, self.hanging, self.metrics = [], set(failing), set(hanging), metrics
        self.lock, self.at_once, self.most_at_once = threading.Lock(), 0, 0
        self.answer("StartPipelineExecution", self._start)
        self.answer("DescribePipelineExecution", lambda **asked: {"PipelineExecutionStatus": self._of(asked)["status"]})
        self.answer("StopPipelineExecution", lambda **asked: self._of(asked).update(status="Stopped") or {})
        self.answer("ListPipelineExecutions", self._listed)
        self.answer("ListPipelineParametersForExecution", self._parameters)
        self.answer("ListPipelineExecutionSteps", self._steps)
        self.answer("DescribeTrainingJob", self._job)

    def _of(self, asked):
        return self.executions[int(asked["PipelineExecutionArn"].removeprefix(ARN)) - 1]

    def _start(self, *, PipelineName, PipelineParameters, **more):
        with self.lock:
            number = len(self.executions) + 1
            status = "Failed" if number in self.failing else "Executing" if number in self.hanging else "Succeeded"
            given = {item["Name"]: item["Value"] for item in PipelineParameters}
            arn, title = f"{ARN}{number:012d}", "execution-1795353600000"
            self.executions.append({"arn": arn, "status": status, "given": given, TITLE: title, **more})
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return {"PipelineExecutionArn": arn}

    def _listed(self, **_):
        names = {"arn": "PipelineExecutionArn", "status": "PipelineExecutionStatus", TITLE: TITLE}
        summaries = [{name: execution[key] for key, name in names.items()} for execution in self.executions[::-1]]
        return {"PipelineExecutionSummaries": summaries}

    def _parameters(self, **asked):
        return {"PipelineParameters": [{"Name": n, "Value": value} for n, value in self._of(asked)["given"].items()]}

    def _steps(self, **asked):
        job = asked["PipelineExecutionArn"].removeprefix(ARN)
        step = {
            "StepName": "Train",
            "StepStatus": self._of(asked)["status"],
            "StartTime": NOON,
            "EndTime": NOON + timedelta(seconds=90),
            "Metadata": {"TrainingJob": {"Arn": f"arn:aws:sagemaker:a:b:training-job/job-{job}"}},
        }
        if step["StepStatus"] == "Failed":
            step["FailureReason"] = "AlgorithmError: the loss\nwent to the moon"
        return {"PipelineExecutionSteps": [step]}

    def _job(self, *, TrainingJobName):
        execution = self._of({"PipelineExecutionArn": ARN + TrainingJobName.removeprefix("job-")})
        with self.lock:
            self.at_once -= 1
        rate = float(execution["given"]["LearningRate"])
        known = {"train:loss": 0.5, "out-of-fold:nll": _nll(rate), "out-of-fold:accuracy": 0.9}
        wanted = ("train:loss", *self.metrics)
        return {"FinalMetricDataList": [{"MetricName": name, "Value": known[name]} for name in wanted]}


class Logs:
    def describe_log_streams(self, **_):
        raise refusal("DescribeLogStreams", "", "ResourceNotFoundException")


def _tuner(sagemaker, trials, parallel=1, objective="nll", space=SPACE, study="abcdef01", values=SHARED):
    target = Target("endpoint", "http://127.0.0.1:1", "us-east-1")
    target.clients.update({"sagemaker": sagemaker, "logs": Logs()})
    screen = Screen(Console(file=io.StringIO(), width=200))
    return Tuner(target, screen, Search(space, trials, parallel, objective), study, values)


def _search(sagemaker, trials, **more):
    tuner = _tuner(sagemaker, trials, **more)
    tuner.recall()
    return tuner.run()


def test_a_trial_stages_and_trains_and_goes_no_further():
    sagemaker = SageMaker()
    _search(sagemaker, 3)
    for execution in sagemaker.executions:
        steps = [selected["StepName"] for selected in execution["SelectiveExecutionConfig"]["SelectedSteps"]]
        assert steps == ["Stage", "Train"]
        assert execution["given"]["Epochs"] == "5"


def test_the_defaults_are_tried_first_and_the_others_lie_in_the_space():
    sagemaker = SageMaker()
    _search(sagemaker, 10)
    rates = [float(execution["given"]["LearningRate"]) for execution in sagemaker.executions]
    assert rates[0] == BY_NAME["LearningRate"].default
    assert all(0.001 <= rate <= 1 for rate in rates)
    assert len(set(rates)) == 10


def test_the_best_comes_first_and_is_better_than_the_defaults():
    trials = _search(SageMaker(), 25)
    figures = [trial.figures["nll"] for trial in trials]
    assert figures == sorted(figures)
    assert figures[0] < _nll(BY_NAME["LearningRate"].default)
    assert trials[0].seconds == 90


def test_accuracy_is_better_the_higher_it_is():
    worse, better = Trial(1, {}, "", {"accuracy": 0.8}), Trial(2, {}, "", {"accuracy": 0.9})
    failed = Trial(3, {}, "", failure="why")
    assert better_first([failed, worse, better], "accuracy") == [better, worse, failed]


def test_no_more_trials_run_at_a_time_than_were_asked_for():
    sagemaker = SageMaker()
    assert len(_search(sagemaker, 12, parallel=3)) == 12
    assert sagemaker.most_at_once <= 3


def test_a_trial_that_fails_says_why_and_the_search_goes_on():
    trials = _search(SageMaker(failing=[2]), 4)
    assert [bool(trial.figures) for trial in trials] == [True, True, True, False]
    assert trials[-1].failure == "AlgorithmError: the loss went to the moon"


def test_a_search_of_which_every_trial_fails_ends_early():
    trials = _search(SageMaker(failing=range(1, 100)), 50)
    assert len(trials) == HOPELESS
    assert not any(trial.figures for trial in trials)


def test_a_job_without_the_figure_is_a_trial_that_failed():
    (trial,) = _search(SageMaker(metrics=()), 1)
    assert trial.failure == "its training job reported no out-of-fold nll"


def test_a_search_again_starts_nothing_and_a_longer_one_the_rest():
    sagemaker = SageMaker(failing=[3])
    first = _search(sagemaker, 5)
    again = _search(sagemaker, 5)
    assert len(sagemaker.executions) == 5
    assert [(t.number, t.figures, t.failure) for t in again] == [(t.number, t.figures, t.failure) for t in first]
    longer = _search(sagemaker, 7)
    assert len(sagemaker.executions) == len(longer) == 7
    assert len({trial.values["LearningRate"] for trial in longer}) == 7


def test_another_search_and_ordinary_runs_are_left_alone():
    sagemaker = SageMaker()
    given = [{"Name": "LearningRate", "Value": "0.05"}]
    sagemaker.start_pipeline_execution(PipelineName="loadingbay", PipelineParameters=given)
    _search(sagemaker, 2, study="abcdef01")
    assert len(_search(sagemaker, 2, study="12345678")) == 2
    assert len(sagemaker.executions) == 5


def test_what_still_runs_is_waited_for_and_not_started_again():
    sagemaker = SageMaker(hanging=[1])
    tuner = _tuner(sagemaker, 1)
    tuner.recall()
    trial = tuner._start({"LearningRate": 0.5})
    sagemaker.executions[0]["status"] = "Executing"
    later = _tuner(sagemaker, 1)
    assert later.recall() == 1
    sagemaker.executions[0]["status"] = "Succeeded"
    (found,) = later.run()
    assert (found.number, found.values) == (trial.number, {"LearningRate": 0.5})
    assert found.figures["nll"] == _nll(0.5)
    assert len(sagemaker.executions) == 1


def test_an_interrupted_search_stops_what_runs_and_the_next_tries_it_again():
    sagemaker = SageMaker(hanging=[2])
    tuner = _tuner(sagemaker, 3)
    tuner.recall()
    tuner._sleep = lambda _: (_ for _ in ()).throw(Interrupted)
    with pytest.raises(Interrupted):
        tuner.run()
    assert [execution["status"] for execution in sagemaker.executions] == ["Succeeded", "Stopped"]
    stopped = sagemaker.executions[1]["given"]["LearningRate"]
    later = _search(sagemaker, 3)
    assert sagemaker.executions[2]["given"]["LearningRate"] == stopped
    assert len(later) == 3
    assert len({execution[TITLE] for execution in sagemaker.executions}) == 4


def test_an_error_of_the_cloud_ends_the_search_and_is_what_it_raises():
    sagemaker = SageMaker(hanging=[1])

    def refuse(**request):
        if sagemaker.executions:
            raise refusal("StartPipelineExecution", "", "AccessDenied")
        return sagemaker._start(**request)

    sagemaker.answer("StartPipelineExecution", refuse)
    with pytest.raises(ClientError, match="AccessDenied"):
        _search(sagemaker, 3, parallel=2)
    assert sagemaker.executions[0]["status"] == "Stopped"


def test_a_study_is_named_by_what_trains_and_not_by_what_comes_after():
    definition = '{"Steps": [{"Name": "Train", "Arguments": 1}, {"Name": "Evaluate", "Arguments": 1}]}'
    name = study_name(definition, SHARED, SPACE)
    assert name == study_name(
        definition.replace('"Evaluate", "Arguments": 1', '"Evaluate", "Arguments": 2'), SHARED, SPACE
    )
    assert name == study_name(definition, SHARED | {"Champion": "s3://bucket/other", "GitCommit": "b"}, SPACE)
    assert name != study_name(definition.replace("1", "2"), SHARED, SPACE)
    assert name != study_name(definition, SHARED | {"Epochs": 6}, SPACE)
    assert name != study_name(definition, SHARED, {"LearningRate": _range("0.01:1")})
