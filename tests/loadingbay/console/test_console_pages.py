"""The pages: what they show and do, that nothing in them is markup, and what they say when something fails."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loadingbay.console.graph import nodes
from loadingbay.registry import versions as registry
from tests.fakes.fake_sagemaker import refusal
from tests.loadingbay.console.conftest import MACHINE
from tests.waiting import soon

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def _escaped(text):
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;" in text or "\\u003cscript" in text


def test_the_first_page_says_what_to_do_in_an_empty_cloud(desk):
    text = desk.get("/").text
    for said in ("has not run yet", "No endpoint yet", "Nothing was captured yet", "queue is empty"):
        assert said in text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/versions", "No version is registered yet"),
        ("/photos", "No model is deployed yet"),
        ("/runs", "has not run yet"),
        ("/history", "Nothing has been in service yet"),
    ],
)
def test_an_empty_page_says_what_to_do(desk, address, said):
    assert said in desk.get(address).text


def test_the_table_pages_through_many_versions(desk):
    for _ in range(60):
        desk.sagemaker.register()
    first, second = desk.get("/versions").text, desk.get("/versions?skip=25").text
    assert "60 versions" in first
    assert ">60</a>" in first
    assert ">35</a>" in second
    assert ">60</a>" not in second
    assert len(desk.sagemaker.requests("DescribeModelPackage")) == 50


def test_a_comment_is_never_markup(served):
    assert served.post("/versions/1/reject", {"comment": MARKUP}).status_code == 303
    assert served.sagemaker.packages[1]["ApprovalDescription"] == MARKUP
    for address in ("/versions", "/versions/1"):
        _escaped(served.get(address).text)


def test_a_decision_shows_its_plan_and_does_nothing_yet(served):
    text = served.get("/versions/1/reject").text
    assert "It is verified first." in text
    assert "CreateModel" in text
    assert served.sagemaker.status[1] == "Approved"


def test_a_confirmed_decision_is_in_the_registry(served):
    number = served.sagemaker.register()
    answer = served.post(f"/versions/{number}/approve", {"comment": "better\nat night"})
    assert answer.headers["location"] == f"/versions/{number}?decided=approve"
    assert served.sagemaker.status[number] == "Approved"
    assert served.sagemaker.packages[number]["ApprovalDescription"] == "better at night"


def test_a_rollback_needs_a_version_to_go_back_to(served):
    answer = served.get("/rollback")
    assert answer.status_code == 400
    assert "is the only approved one" in answer.text


def test_a_rollback_rejects_the_newest_with_a_comment(served):
    served.sagemaker.decide(served.sagemaker.register(), "Approved")
    text = served.get("/rollback").text
    assert "Roll back from version 2 to version 1" in text
    assert 'action="/versions/2/reject"' in text
    assert 'value="rolled back to version 1"' in text


def test_a_refusal_names_the_missing_permission(served):
    def refuse(**_):
        message = "User: arn:aws:iam::0:user/ada is not authorized to perform: sagemaker:ListModelPackages"
        raise refusal("ListModelPackages", message, "AccessDeniedException")

    served.sagemaker.list_model_packages = refuse
    served.sagemaker.get_paginator = lambda _: type("Pages", (), {"paginate": refuse})
    answer = served.get("/versions")
    assert answer.status_code == 403
    assert "ask for sagemaker:ListModelPackages" in answer.text


def test_a_part_that_may_not_be_seen_names_the_action(served, monkeypatch):
    message = "User: arn:aws:iam::0:user/ada is not authorized to perform: cloudwatch:DescribeAlarms"

    def refuse(**_):
        raise refusal("DescribeAlarms", message, "AccessDenied")

    monkeypatch.setattr(
        served.target.client("cloudwatch"), "get_paginator", lambda _: type("P", (), {"paginate": refuse})
    )
    answer = served.get("/")
    assert answer.status_code == 200
    assert "ask for cloudwatch:DescribeAlarms" in answer.text
    assert "InService" in answer.text


@pytest.mark.parametrize("query", ["v=1", "v=1&v=x", ""])
def test_a_comparison_of_nothing_is_a_sentence(served, query):
    answer = served.get(f"/versions/compare?{query}")
    assert answer.status_code == 400
    assert 'class="failure"' in answer.text


def test_what_is_not_there_is_not_found(desk):
    assert desk.get("/nowhere").status_code == 404
    assert desk.get("/photos/..%2F..%2Fx").status_code == 404


def test_a_page_that_is_not_there_is_named_and_not_to_be_loaded_again(desk):
    text = desk.get("/nowhere/<b>").text
    assert "There is no page /nowhere/&lt;b&gt;." in text
    assert "load this page again" not in text


def test_a_page_that_failed_links_to_itself(desk):
    text = desk.get("/versions/compare?v=1&wrong=%22").text
    assert '<a href="/versions/compare?v=1&amp;wrong=%22">load this page again</a>' in text


def test_a_wrong_parameter_is_said_beside_it_and_starts_nothing(desk, monkeypatch):
    monkeypatch.setattr("loadingbay.console.run_form.do", lambda *_, **__: pytest.fail("it was started"))
    answer = desk.post("/runs", {"Epochs": "0", "LearningRate": MARKUP, "data": "/no/such/folder"})
    assert answer.status_code == 400
    for said in ("3 values are not allowed", "--epochs 0: must be 1 to 1,000", "there is no such archive or folder"):
        assert said in answer.text
    _escaped(answer.text)


def test_the_form_starts_a_run_with_what_differs_from_the_defaults(desk, monkeypatch):
    given = {}
    monkeypatch.setattr("loadingbay.console.run_form.do", lambda *_, **named: given.update(named) or 1 / 0)
    answer = desk.post("/runs", {"Epochs": "4", "Seed": "1"})
    assert answer.status_code == 303
    desk.get(answer.headers["location"])
    assert soon(lambda: given)  # a thread does it
    assert given["values"] == {"Epochs": 4}
    assert given["approve"] is False


def test_a_log_is_never_markup(desk, monkeypatch):
    from pipelines.executions import Execution, Step

    job = "arn:aws:sagemaker:us-east-1:000000000000:training-job/train"
    step = Step("Train", "TrainingJob", "Failed", datetime.now(UTC), datetime.now(UTC), False, MARKUP, job)
    monkeypatch.setattr("pipelines.executions.describe", lambda _, arn: Execution(arn, "Failed", "", (step,)))
    monkeypatch.setattr("pipelines.executions.values", lambda *_: {"DataLabel": MARKUP})
    logs = desk.target.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs")
    logs.create_log_stream(logGroupName="/aws/sagemaker/TrainingJobs", logStreamName="train/a")
    now = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs",
        logStreamName="train/a",
        logEvents=[{"timestamp": now, "message": MARKUP}],
    )
    _escaped(desk.get("/runs/abc").text)


def test_epochs_and_accuracy_are_on_the_graph_while_it_trains(desk, monkeypatch):
    from loadingbay.console.training_progress import Progress
    from pipelines.executions import Execution, Step

    job = "arn:aws:sagemaker:us-east-1:000000000000:training-job/live"
    step = Step("Train", "TrainingJob", "Executing", datetime.now(UTC), None, False, "", job)
    execution = Execution("arn:a:b:c:d:pipeline/p/execution/x", "Executing", "", (step,))
    logs, group = desk.target.client("logs"), "/aws/sagemaker/TrainingJobs"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="live/a")
    progress = Progress(desk.target)

    def seen(*lines):
        now = int(datetime.now(UTC).timestamp() * 1000)
        logs.put_log_events(logGroupName=group, logStreamName="live/a",
                            logEvents=[{"timestamp": now, "message": line} for line in lines])  # fmt: skip
        return [(epoch.phase, epoch.epoch, epoch.accuracy) for epoch in progress.epochs(execution)]

    first = "phase=fold-1 epoch=1/4 train_loss=0.61 validation_accuracy=0.7 fits=0/4 done=6 left=20"
    assert seen(first) == [("fold-1", 1, 0.7)]
    other = "phase=fold-2 epoch=1/4 train_loss=0.5 validation_accuracy=0.8 fits=0/4 done=9 left=18"
    assert seen(other, first.replace("epoch=1", "epoch=2")) == [("fold-2", 1, 0.8), ("fold-1", 2, 0.7)]
    monkeypatch.setattr("loadingbay.console.now.last_execution", lambda _: execution)
    definition = json.dumps({"Steps": [{"Name": "Train", "Type": "Training"}]})
    monkeypatch.setattr("loadingbay.console.now.graph", lambda _: nodes(definition))
    text = desk.get("/").text
    assert "fold-1: epoch 2 of 4, loss 0.610, accuracy 70.0 %" in text
    assert '<progress max="100" value="6"' in text


def test_a_sent_photo_is_uploaded_and_its_execution_started(served):
    headers = {"Origin": "http://127.0.0.1:4748", "X-CSRF-Token": served.csrf}
    answer = served.browser.post("/photos?name=..%2F%3Cb%3E.png", content=b"\x89PNG\r\n\x1a\n", headers=headers)
    location = answer.json()["location"]
    assert location.startswith("/photos/console-")
    assert "<b>" not in served.get(location).text
    keys = [item["Key"] for item in served.target.client("s3").list_objects_v2(Bucket="data")["Contents"]]
    assert keys == [f"photos/{location.removeprefix('/photos/')}.png"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a%00b.png", "ab.png"), ("a%0Ab%E2%80%AE.png", "ab.png"), ("..", "photo"), ("%2e%2e%5c.a", "a"),
        ("é" * 300 + ".png", "é" * 98 + ".png"), ("日" * 300 + ".png", "日" * 65 + ".png"),
    ],
)  # fmt: skip
def test_a_photo_of_a_bulk_run_may_have_any_name(served, name, kept):
    given = {"Origin": "http://127.0.0.1:4748", "X-CSRF-Token": served.csrf}
    answer = served.browser.post(f"/photos/bulk/page/photo?name={name}", content=b"x", headers=given)
    assert answer.json() == {"count": 1}
    (photo,) = Path(served.browser.app.state.gathered["page"].folder.name).iterdir()
    assert photo.name == f"00001-{kept}"


@pytest.mark.parametrize(
    ("photo", "status", "said"),
    [
        ({"bucket": "data", "key": "large"}, 413, "The file has 11 bytes, and at most 10 are shown."),
        ({"bucket": "data", "key": "gone"}, 404, "was deleted"),
        ({"bucket": "", "key": "x"}, 404, "can be no photo"),
        ({"bucket": 5, "key": []}, 404, "was deleted"),
        ({"bucket": "data", "key": "large", "version_id": 5}, 404, "can be no photo"),
    ],
)
def test_a_photo_that_an_execution_names_is_shown_or_a_sentence(served, monkeypatch, photo, status, said):
    monkeypatch.setattr("loadingbay.console.pictures.MAXIMUM_BYTES", 10)
    served.target.client("s3").put_object(Bucket="data", Key="large", Body=b"\x89PNG\r\n\x1a\n...")
    machine = served.target.client("stepfunctions")
    machine.start_execution(stateMachineArn=MACHINE, name="any", input=json.dumps(photo))
    answer = served.get("/photos/any/photo")
    assert (answer.status_code, said in answer.text) == (status, True)


@pytest.mark.parametrize("confidence", [[], {}, 10**400, MARKUP, True])
def test_an_output_of_a_wrong_type_is_shown_without_a_number(served, monkeypatch, confidence):
    output = json.dumps({"confidence": confidence, "threshold": confidence, "vehicle": MARKUP, "loading_bay": MARKUP})
    found = {"status": "SUCCEEDED", "startDate": datetime.now(UTC), "input": "{}", "output": output}
    machine = served.target.client("stepfunctions")
    machine.start_execution(stateMachineArn=MACHINE, name="any", input="{}")
    monkeypatch.setattr(machine, "describe_execution", lambda **_: found)
    answer = served.get("/photos/any")
    assert answer.status_code == 200
    _escaped(answer.text)


def test_photos_of_a_page_that_was_left_are_given_up(served):
    given = {"Origin": "http://127.0.0.1:4748", "X-CSRF-Token": served.csrf}
    for number in range(9):
        answer = served.browser.post(f"/photos/bulk/page{number}/photo?name=../a.png", content=b"x", headers=given)
        assert answer.json() == {"count": 1}
    answer = served.post("/photos/bulk", {"id": "page0"})
    assert (answer.status_code, "no photos were chosen" in answer.text) == (400, True)
    answer = served.post("/photos/bulk", {"id": "page8"})
    assert answer.headers["location"].startswith("/photos/bulk/")
    assert "1 photo, started" in served.get(answer.headers["location"]).text


def test_the_costs_of_thresholds_are_drawn(served, monkeypatch):
    from loadingbay.learning.threshold import Answer, Traffic

    both = ("bicycle", "motorcycle")
    answers = [Answer(both[n % 2], both[n % 2] if n % 5 else "neither", 0.5 + n / 100, n > 20) for n in range(50)]
    traffic = Traffic(answers, {"bicycle": 0.7, "motorcycle": 0.7}, 0.6)
    monkeypatch.setattr("loadingbay.learning.traffic.read", lambda *_: traffic)
    text = served.get("/threshold?wrong=20&review=0.5").text
    assert "Of 50 labelled answers" in text
    assert "<polyline" in text
    text = served.get("/threshold?wrong=bicycle%3D2,motorcycle%3D9").text
    assert "a line each: bicycle, motorcycle" in text
    assert "there is no class lorry" in served.get("/threshold?wrong=5,lorry%3D9").text


def test_the_cheapest_threshold_is_registered_from_the_page(served, monkeypatch):
    from loadingbay.learning.threshold import Answer, Traffic
    from loadingbay.story.training import Registered

    traffic = Traffic([Answer("bicycle", "bicycle", 0.5 + n / 100, n > 20) for n in range(50)], {"bicycle": 0.7}, 0.6)
    monkeypatch.setattr("loadingbay.learning.traffic.read", lambda *_: traffic)
    known = registry.get(served.target, served.sagemaker.arn(1))
    asked = []

    def register(*given):
        asked.append(given[-3:])
        return Registered(known, new=False)

    monkeypatch.setattr("loadingbay.console.thresholds.register", register)
    answer = served.post("/threshold", {"wrong": "20", "review": "2", "why": "drivers wait"})
    assert answer.status_code == 303
    text = served.get(answer.headers["location"]).text
    while "This threshold was registered before" not in text:  # a thread does it
        text = served.get(answer.headers["location"]).text
    assert '<a href="/versions/1">version 1</a>' in text
    ((best, costs, why),) = asked
    assert (costs.wrong_bay, costs.review, why) == ({"bicycle": 20.0}, 2.0, "drivers wait")
    assert best.thresholds == {"bicycle": pytest.approx(0.5, abs=0.01)}
    assert served.post("/threshold", {"wrong": "20", "review": "x"}).status_code == 400


@pytest.mark.parametrize("wrong", ["-1", "nan", "inf", "x"])
def test_a_cost_that_is_no_number_is_a_sentence(served, wrong):
    answer = served.get(f"/threshold?wrong={wrong}")
    assert answer.status_code == 400
    assert "is not a number from 0 to 1,000,000" in answer.text
    assert served.get(f"/threshold?review={wrong}").status_code == 400


def test_retraining_shows_what_would_happen_before_it_starts(desk):
    text = desk.get("/runs/retrain").text
    assert "No alarm." in text
    assert "12 to learn from, 4 as the recent test" in text
    assert desk.post("/runs/retrain", {}).headers["location"] == "/runs/abc"


def _monitored(desk, *periods):
    """What monitoring found, in S3: (version, share acted upon, estimate of the accuracy or None)."""
    said = [
        {
            "time": f"2026-11-26T{hour:02}:00:00+00:00",
            "version": version,
            "count": 100,
            "share_above": accepted,
            "violations": {},
            "estimates": {"accuracy": accuracy},
        }
        for hour, (version, accepted, accuracy) in enumerate(periods)
    ]
    body = json.dumps({"periods": said, "alarm": "v2-x", "sentences": {"drift": f"The confidence fell {MARKUP}"}})
    desk.target.client("s3").put_object(Bucket="data", Key="monitoring/periods.json", Body=body.encode())


def test_accuracy_over_time_has_the_versions_as_bands(served):
    estimate = {"value": 0.91, "low": 0.85, "high": 0.95, "labelled": 60}
    _monitored(served, ("1", 0.8, estimate), ("2", 0.9, None), ("2", 0.7, estimate))
    text = served.get("/").text
    for said in (">v1</text>", ">v2</text>", "<polygon", "70.0 % of 100 answers", "91.0 % were right", "by 60 labels"):
        assert said in text
    _escaped(text)


def test_the_first_page_says_how_long_the_oldest_photo_waits(served):
    served.wait_for_a_person("one", "two")
    dimensions = [{"Name": "QueueName", "Value": "review"}]
    name, time = "ApproximateAgeOfOldestMessage", datetime.now(UTC) - timedelta(minutes=2)
    point = {"MetricName": name, "Dimensions": dimensions, "Value": 125.0, "Timestamp": time}
    served.target.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=[point])
    text = served.get("/").text
    assert "<strong>2</strong> photos wait for a person, the oldest for 2 min 5 s" in text


def _deployed(desk, since="2026-11-20T12:00:00.000+00:00"):
    """A record of a deployment of version 1 in S3, as DeployModel writes it; the address of its story."""
    record = {"config": "c", "since": since, "version": 1, "approved_by": "arn:aws:iam::0:user/ada",
              "comment": f"said {MARKUP}", "metadata": {"accuracy": "0.93"}}  # fmt: skip
    key = "deployments/loadingbay/20261120T120000.000-c.json"
    desk.target.client("s3").put_object(Bucket="data", Key=key, Body=json.dumps(record).encode())
    desk.sagemaker.endpoints["loadingbay"]["changed"] = datetime.fromisoformat(since)
    return "/history/20261120T120000000"


def test_a_deployment_has_its_story(served):
    address = _deployed(served)
    logs, group = served.target.client("logs"), "/aws/lambda/loadingbay-deploy-model"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="a")
    now = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1000)
    line = f"ERROR:deploy_model.app:Version 1 could not be verified: {MARKUP}"
    logs.put_log_events(logGroupName=group, logStreamName="a", logEvents=[{"timestamp": now, "message": line}])
    assert f'<a href="{address}">story' in served.get("/history").text
    text = served.get(address).text
    for said in ("user/ada", "Version 1 could not be verified", "Registered", "in service"):
        assert said in text
    _escaped(text)


def test_a_story_that_is_not_there_is_not_found(served):
    answer = served.get("/history/20200101T000000000")
    assert answer.status_code == 404
    assert "No deployment began at that moment" in answer.text
