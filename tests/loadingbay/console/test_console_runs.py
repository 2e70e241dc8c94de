"""Pages of runs: what differs between two, the trials of a search, and data that are used again."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loadingbay.registry.versions import Version
from loadingbay.story.run import Finished
from loadingbay.story.summary import Summary
from tests.waiting import soon

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-1:000000000000:pipeline/loadingbay/execution/"
MARKUP = "<script>alert(1)</script>"
DATA = f"s3://data/data/{'a' * 64}/"


class Runs:
    """Executions in the fake SageMaker: id to title, status, parameters and figures."""

    def __init__(self, desk):
        self.found = {}
        self.s3 = desk.target.client("s3")
        answers: dict[str, Any] = {
            "ListPipelineExecutions": self._list,
            "DescribePipelineExecution": lambda **asked: {"PipelineExecutionStatus": self._of(asked)["status"]},
            "ListPipelineParametersForExecution": self._parameters,
            "ListPipelineExecutionSteps": self._steps,
            "DescribeProcessingJob": self._processing,
            "DescribeTrainingJob": self._training,
        }
        for operation, answer in answers.items():
            desk.sagemaker.answer(operation, answer)

    def add(self, identity, *, title="", status="Succeeded", accuracy=0.9, nll=0.3, **given):
        """Add an execution with its evaluation.json; `given` are its parameters."""
        self.found[identity] = {"title": title, "status": status, "nll": nll, "accuracy": accuracy, "given": given}
        document = {
            "gate": {"accuracy": accuracy},
            "confidence_intervals": {"accuracy": [accuracy - 0.02, accuracy + 0.02]},
            "metadata": {"data_sha256": given.get("InputData", "same"), "classes": "a b", "data_label": MARKUP},
        }
        self.s3.put_object(Bucket="data", Key=f"{identity}/evaluation.json", Body=json.dumps(document).encode())

    def _of(self, asked):
        return self.found[asked["PipelineExecutionArn"].removeprefix(ARN)]

    def _list(self, **_):
        summaries = [
            {
                "PipelineExecutionArn": f"{ARN}{identity}",
                "PipelineExecutionDisplayName": one["title"],
                "PipelineExecutionStatus": one["status"],
                "StartTime": NOON,
            }
            for identity, one in list(self.found.items())[::-1]
        ]
        return {"PipelineExecutionSummaries": summaries}

    def _parameters(self, **asked):
        return {"PipelineParameters": [{"Name": n, "Value": str(v)} for n, v in self._of(asked)["given"].items()]}

    def _steps(self, **asked):
        identity = asked["PipelineExecutionArn"].removeprefix(ARN)
        status = self._of(asked)["status"]
        jobs = {"Train": "TrainingJob", "Evaluate": "ProcessingJob"}
        kinds = {"TrainingJob": "training-job", "ProcessingJob": "processing-job"}
        return {
            "PipelineExecutionSteps": [
                {
                    "StepName": name,
                    "StepStatus": status,
                    "StartTime": NOON,
                    "EndTime": NOON + timedelta(seconds=90),
                    "Metadata": {kind: {"Arn": f"arn:aws:sagemaker:a:b:{kinds[kind]}/{identity}"}},
                    **({"FailureReason": MARKUP} if status == "Failed" else {}),
                }
                for name, kind in jobs.items()
            ]
        }

    def _processing(self, *, ProcessingJobName):  # noqa: N803 - AWS names its arguments so
        output = {"OutputName": "evaluation", "S3Output": {"S3Uri": f"s3://data/{ProcessingJobName}"}}
        return {"ProcessingOutputConfig": {"Outputs": [output]}}

    def _training(self, *, TrainingJobName):  # noqa: N803 - AWS names its arguments so
        one = self.found[TrainingJobName]
        metrics = {"out-of-fold:nll": one["nll"], "out-of-fold:accuracy": one["accuracy"]}
        return {"FinalMetricDataList": [{"MetricName": name, "Value": value} for name, value in metrics.items()]}


@pytest.fixture
def runs(desk):
    return Runs(desk)


def _search(runs, count, **of_last):
    """Add a search of `count` trials, the last one the best; `of_last` are members of that one."""
    for number in range(1, count + 1):
        runs.add(
            f"trial{number}", title=f"tune-0a1b2c3d-{number:03}", nll=0.5 - number / 100, LearningRate=number / 100,
            BatchSize=16 * number, Epochs=2, **(of_last if number == count else {}),
        )  # fmt: skip


def test_two_runs_side_by_side_show_what_differs(desk, runs):
    runs.add("one", accuracy=0.8, LearningRate=0.1, Epochs=2, InputData="s3://data/data/x/")
    runs.add("two", accuracy=0.95, Epochs=3, DataLabel=MARKUP)
    text = desk.get("/runs/compare?run=one&run=two").text
    for said in ("Epochs", "InputData", "data_sha256", "more than noise", "difference +", "1 min 30 s"):
        assert said in text
    assert "LearningRate" not in text, "0.1 is the default"
    assert "<script>alert" not in text


def test_runs_without_an_evaluation_can_be_compared(desk, runs):
    runs.add("one", status="Failed")
    runs.add("two", status="Stopped")
    text = desk.get("/runs/compare?run=one&run=two").text
    assert "None of them came to an evaluation" in text
    assert "&lt;script&gt;" in text


@pytest.mark.parametrize("query", ["run=one", "", "run=a&run=b&run=c&run=d&run=e"])
def test_a_comparison_of_no_runs_is_a_sentence(desk, runs, query):
    runs.add("one")
    answer = desk.get(f"/runs/compare?{query}")
    assert answer.status_code == 400
    assert 'class="failure"' in answer.text


def test_the_list_leads_from_a_trial_to_its_search(desk, runs):
    _search(runs, 2)
    assert '<a href="/runs/search/0a1b2c3d">tune-0a1b2c3d-002</a>' in desk.get("/runs").text


def test_a_search_lists_its_trials_the_best_first(desk, runs):
    _search(runs, 3, status="Failed")
    text = desk.get("/runs/search/0a1b2c3d").text
    assert "3 trials" in text
    rows = [line for line in text.splitlines() if 'href="/runs/trial' in line]
    assert [row.split('href="/runs/')[1].split('"')[0] for row in rows] == ["trial2", "trial1", "trial3"]
    assert "optimization_history" in text
    assert "&lt;script&gt;" in text


def test_trials_that_have_ended_are_read_once(desk, runs):
    _search(runs, 2)
    for _ in range(2):
        desk.get("/runs/search/0a1b2c3d")
    assert len(desk.sagemaker.requests("DescribeTrainingJob")) == 2


@pytest.mark.parametrize("name", ["optimization_history", "slice", "parallel_coordinate", "rank"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_of_a_search_is_a_picture_without_script(desk, runs, name, scheme):
    _search(runs, 4)
    answer = desk.get(f"/runs/search/0a1b2c3d/{name}.svg?scheme={scheme}")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "<svg" in answer.text
    assert "<script" not in answer.text


@pytest.mark.parametrize("address", ["contour.svg", "slice.svg?scheme=neon", "rank.png"])
def test_a_figure_that_is_not_there_is_not_found(desk, runs, address):
    _search(runs, 2)
    assert desk.get(f"/runs/search/0a1b2c3d/{address}").status_code == 404


def test_a_search_that_is_not_there_is_a_sentence(desk, runs):
    answer = desk.get("/runs/search/ffffffff")
    assert answer.status_code == 404
    assert "there is no search" in answer.text


def test_a_run_starts_again_with_its_data_and_changes(desk, runs, monkeypatch):
    given = {}
    monkeypatch.setattr("loadingbay.console.run_form.do", lambda *_, **named: given.update(named) or 1 / 0)
    runs.add("one", InputData=DATA, DataLabel="cifar-100", Epochs=7)
    form = desk.get("/runs/new?like=one").text
    assert f'value="{DATA}"' in form
    assert 'value="7"' in form
    answer = desk.post("/runs", {"data": DATA, "label": "cifar-100", "Epochs": "8"})
    desk.get(answer.headers["location"])
    assert soon(lambda: given)  # a thread does it
    assert (given["data"].sha256, given["data"].label, given["data"].files) == ("a" * 64, "cifar-100", ())
    assert given["values"] == {"Epochs": 8}


@pytest.mark.parametrize(("new", "said"), [(True, "It led to <a"), (False, "Nothing changed: this is <a")])
def test_a_run_that_ended_says_whether_it_registered_a_version(desk, monkeypatch, tmp_path, new, said):
    version = Version(3, "arn:3", "PendingManualApproval", NOON, "", {}, "")
    finished = Finished(Summary(), version, new, tmp_path)
    monkeypatch.setattr("loadingbay.console.run_form.do", lambda *_, **__: finished)
    place = desk.post("/runs", {}).headers["location"]
    for thread in threading.enumerate():
        if thread.name == "console-runs/started":
            thread.join()
    assert f'{said} href="/versions/3">version 3</a>' in desk.get(place).text


def test_data_of_another_bucket_start_nothing(desk, monkeypatch):
    monkeypatch.setattr("loadingbay.console.run_form.do", lambda *_, **__: pytest.fail("it was started"))
    answer = desk.post("/runs", {"data": f"s3://other/data/{'a' * 64}/"})
    assert answer.status_code == 400
    assert "no data of an earlier run" in answer.text
