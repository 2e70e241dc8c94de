"""Retrain: a change that lasts is learned from once, whatever events come, how often and in which order."""

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdas.retrain import app, dataset, execution
from lambdas.retrain.dataset import Photo, build
from lambdas.retrain.plan import Alarm, Outcome, Record, Settings, State, plan_retraining
from lambdas.retrain.reading import Clients
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal

NOW = datetime(2026, 11, 26, 14, 0, tzinfo=UTC)
CLASSES = ["bicycle", "motorcycle"]
RULES = Settings(min_labels=10, cool_down_hours=24, recent_percent=30, most=1000)
ALARM = Alarm("v7-2026-11-26T130000Z", ("accepted_share fell to 0.52, from 0.86, since Thursday",))
PARAMETERS = {"InputData": "s3://data/cifar", "Classes": "bicycle,motorcycle", "Champion": "s3://data/old"}


def photos(count, truth="bicycle", begin=0):
    return [
        Photo(f"{hashlib.sha256(f'{n}'.encode()).hexdigest()}.png", truth, f"2026-11-26T{n % 24:02}:00:00Z")
        for n in range(begin, begin + count)
    ]


def state(**changes):
    given = {"now": NOW, "alarm": ALARM, "records": [], "running": "", "photos": photos(40)}
    return State(**{**given, "parameters": PARAMETERS, "classes": CLASSES, "champion": "s3://data/new", **changes})


def record(alarm="v6-earlier", hours_ago=48.0, learned=(), **more):
    pairs = frozenset((photo.name, photo.truth) for photo in learned)
    return Record(alarm, NOW - timedelta(hours=hours_ago), pairs, {"a": "b"}, **more)


def planned(**changes):
    by_hand = changes.pop("by_hand", False)
    return plan_retraining(state(**changes), RULES, by_hand)


def test_an_alarm_with_enough_labels_starts_a_training_that_says_why():
    plan = planned()
    assert plan.outcome is Outcome.START
    assert plan.parameters["Reason"] == "accepted_share fell to 0.52, from 0.86, since Thursday; 40 new labels"
    assert plan.parameters["Champion"] == "s3://data/new"
    assert plan.parameters["InputData"] == "s3://data/cifar"


@pytest.mark.parametrize(
    ("changes", "outcome", "said"),
    [
        ({"alarm": None}, Outcome.NOTHING, "the drift alarm is off; `loadingbay retrain` trains"),
        ({"parameters": {}}, Outcome.NOTHING, "no training has succeeded"),
        ({"running": "arn:x"}, Outcome.RUNNING, "a training runs already: arn:x"),
        ({"photos": photos(9)}, Outcome.WAITING, "9 new labels of the 10 that are needed"),
        ({"photos": photos(40, "tram")}, Outcome.WAITING, "(40 are not of bicycle"),
        ({"photos": photos(9), "deleted": 3}, Outcome.WAITING, "(3 labelled photos were deleted from S3)"),
        ({"photos": photos(45), "records": [record(learned=photos(40))]}, Outcome.WAITING, "5 new labels"),
        ({"records": [record(hours_ago=1)]}, Outcome.COOLING, "the next may begin at 2026-11-27 13:00 UTC"),
        ({"records": [record(ALARM.name, execution="arn:e")]}, Outcome.DONE, "was started: arn:e"),
        ({"records": [record(ALARM.name, execution="arn:e", status="Failed")]}, Outcome.DONE, "failed and is not rep"),
        ({"records": [record(ALARM.name, execution="arn:e", status="Stopped")]}, Outcome.DONE, "stopped and is not "),
        ({"records": [record(ALARM.name, refused="no such")]}, Outcome.DONE, "refused the training"),
    ],
)  # fmt: skip
def test_what_keeps_a_training_from_starting_is_said(changes, outcome, said):
    plan = planned(**changes)
    assert plan.outcome is outcome
    assert said in plan.because


def test_the_list_of_the_training_before_is_not_among_the_parameters():
    before = {**PARAMETERS, "LabelledPhotos": "s3://data/labelled/none.manifest"}
    assert "LabelledPhotos" not in planned(parameters=before).parameters


def test_a_label_that_was_changed_is_a_new_one():
    learned = [Photo(photo.name, "motorcycle", photo.time) for photo in photos(40)]
    assert planned(records=[record(learned=learned)]).outcome is Outcome.START


def test_what_was_begun_and_not_started_goes_on_as_it_was_begun():
    plan = planned(records=[record(ALARM.name)], photos=[])
    assert (plan.outcome, plan.parameters) == (Outcome.START, {"a": "b"})


def test_by_hand_needs_neither_alarm_nor_pause_but_a_new_label():
    asked = {"by_hand": True, "alarm": None, "records": [record(hours_ago=1, learned=photos(40))]}
    assert planned(**asked, photos=photos(41)).outcome is Outcome.START
    assert planned(**asked, photos=photos(40)).outcome is Outcome.WAITING


def test_by_hand_again_says_what_became_of_the_same_labels():
    name = planned(by_hand=True, alarm=None).alarm
    tried = record(alarm=name, execution="arn:0", status="Succeeded")
    said = planned(by_hand=True, alarm=None, records=[tried]).because
    assert said == "the training for these labels was started: arn:0"


@pytest.mark.parametrize("ended", [{"status": "Failed"}, {"status": "Stopped"}, {"refused": "no such role"}])
def test_by_hand_what_gave_nothing_is_repeated_under_another_name(ended):
    tried, names = [], set()
    for number in range(3):
        plan = planned(by_hand=True, alarm=None, records=tried)
        assert plan.outcome is Outcome.START
        names.add(plan.alarm)
        tried.append(record(plan.alarm, 3.0 - number, photos(40), execution=f"arn:{number}", **ended))
    assert len(names) == 3
    running = record(plan.alarm, 0.5, photos(40), execution="arn:3", status="Executing")
    assert planned(by_hand=True, alarm=None, records=[*tried[:-1], running]).outcome is Outcome.DONE


@given(st.sets(st.integers(0, 10_000), max_size=60), st.integers(1, 90))
def test_a_photo_stays_in_its_part_whatever_is_beside_it(numbers, percent):
    some = [photo for n in numbers for photo in photos(1, begin=n)]
    whole = {name: part for name, _, part in build(some, CLASSES, percent, 1000).entries}
    for photo in some:
        ((_, _, part),) = build([photo], CLASSES, percent, 1000).entries
        assert whole[photo.name] == part


def test_a_data_set_is_named_by_its_content_in_any_order():
    some = photos(30)
    assert build(some, CLASSES, 30, 1000).sha256 == build(some[::-1], CLASSES, 30, 1000).sha256
    assert build(some, CLASSES, 30, 1000).sha256 != build(some[1:], CLASSES, 30, 1000).sha256


def test_the_photos_are_listed_in_the_order_in_which_they_were_asked_about():
    some = [Photo(f"{name}.png", "neither", time) for name, time in (("a", "3"), ("b", "1"), ("c", "2"), ("b", "4"))]
    assert [name for name, _, _ in build(some, CLASSES, 30, 1000).entries] == ["c.png", "a.png", "b.png"]


def test_about_the_share_asked_for_is_only_tested_on():
    made = build(photos(1000), CLASSES, 30, 1000)
    assert 250 < made.count(dataset.RECENT) < 350


def test_the_newest_are_taken_when_there_are_too_many():
    made = build([*photos(3), Photo("late.png", "neither", "2027")], CLASSES, 30, 1)
    assert [name for name, _, _ in made.entries] == ["late.png"]


class S3:
    """A bucket that writes once where it is told to, and breaks down when it is told to."""

    def __init__(self):
        self.objects = {}

    def put_object(self, Bucket, Key, Body, IfNoneMatch=""):  # noqa: N803
        if IfNoneMatch and Key in self.objects:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        self.objects[Key] = bytes(Body)

    def get_object(self, Bucket, Key):  # noqa: N803
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        body = self.objects[Key]

        class Body:
            def read(self):
                return body

        return {"Body": Body()}

    def list_objects_v2(self, Bucket, Prefix, **_):  # noqa: N803
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)]}


class Training(FakeSageMaker):
    """A pipeline that starts an execution once for each token; the next `breaks` answers to a start are lost."""

    def __init__(self):
        super().__init__()
        self.started, self.states, self.breaks = {}, {}, 0
        parameters = [{"Name": name, "Value": value} for name, value in PARAMETERS.items()]
        self.answer("ListPipelineParametersForExecution", {"PipelineParameters": parameters})
        self.answer("ListPipelineExecutions", self._executions)
        self.answer(
            "DescribePipelineExecution",
            lambda PipelineExecutionArn: {"PipelineExecutionStatus": self.states[PipelineExecutionArn]},  # noqa: N803
        )
        self.answer("StartPipelineExecution", self._start)

    def _executions(self, **_):
        found = [("arn:base", "Succeeded"), *((arn, self.states[arn]) for arn in self.started.values())]
        return {
            "PipelineExecutionSummaries": [
                {"PipelineExecutionArn": arn, "PipelineExecutionStatus": status} for arn, status in found[::-1]
            ]
        }

    def _start(self, ClientRequestToken, **_):  # noqa: N803
        arn = self.started.setdefault(ClientRequestToken, f"arn:{len(self.started)}")
        self.states.setdefault(arn, "Executing")
        if self.breaks:
            self.breaks -= 1
            raise refusal("StartPipelineExecution", "Rate exceeded", "ThrottlingException")
        return {"PipelineExecutionArn": arn}


class Cloud:
    """One stage, and what may happen to it."""

    def __init__(self):
        self.s3, self.sagemaker, self.now, self.labels = S3(), Training(), NOW, 0
        self.clients = Clients(self.s3, self.sagemaker, "data", "loadingbay")

    def alarm(self, name):
        said = {"alarm": name, "sentences": {"a": "it fell"} if name else {}}
        self.s3.objects["monitoring/periods.json"] = json.dumps(said).encode()

    def label(self, count=10):
        """Put `count` more labelled photos into the bucket."""
        for photo in photos(count, begin=self.labels):
            entry = {"photo": photo.name, "truth": photo.truth, "inference_time": photo.time, "source": "review"}
            self.s3.objects[f"labelled/entries/{photo.name}.json"] = json.dumps(entry).encode()
            self.s3.objects[f"labelled/photos/{photo.name}"] = b"png"
        self.labels += count

    def event(self):
        try:
            return app.retrain({}, RULES, self.clients, self.now)
        except ClientError:
            return None  # Lambda delivers it again

    def end(self, status):
        for arn, now in self.sagemaker.states.items():
            if now == "Executing":
                self.sagemaker.states[arn] = status


def rung():
    """A stage whose alarm has rung, with as many labels as a training wants."""
    cloud = Cloud()
    cloud.alarm("v1-1")
    cloud.label()
    return cloud


STEPS = st.sampled_from(
    ["event", "event", "alarm 1", "alarm 2", "no alarm", "label", "succeeds", "fails", "breaks", "hours"]
)


@settings(max_examples=200)
@given(st.lists(STEPS, max_size=40))
def test_each_alarm_starts_at_most_one_training_and_never_two_at_once(steps):
    cloud, seen = Cloud(), set()
    for step in steps:
        running = "Executing" in cloud.sagemaker.states.values()
        before = len(cloud.sagemaker.started)
        match step:
            case "event":
                cloud.event()
            case "alarm 1" | "alarm 2":
                cloud.alarm(f"v1-{step[-1]}")
                seen.add(step)
            case "no alarm":
                cloud.alarm("")
            case "label":
                cloud.label()
            case "succeeds" | "fails":
                cloud.end("Succeeded" if step == "succeeds" else "Failed")
            case "breaks":
                cloud.sagemaker.breaks = 1
            case "hours":
                cloud.now += timedelta(hours=30)
        assert len(cloud.sagemaker.started) - before <= (0 if running else 1)
    assert len(cloud.sagemaker.started) <= len(seen)


def test_two_at_the_same_time_start_one_training():
    cloud = rung()
    plan = plan_retraining(
        state(alarm=Alarm("v1-1", ()), photos=photos(10)), RULES
    )  # both have read before either wrote
    assert execution.execute(plan, cloud.clients, NOW) == execution.execute(plan, cloud.clients, NOW) == "arn:0"


def test_what_is_started_names_a_list_of_photos_that_is_there():
    cloud = rung()
    assert cloud.event()["execution"] == "arn:0"
    said = json.loads(cloud.s3.objects["retraining/v1-1.json"])
    key = said["parameters"]["LabelledPhotos"].removeprefix("s3://data/")
    first, index, *listed = json.loads(cloud.s3.objects[key])
    assert first == {"prefix": "s3://data/labelled/"}
    assert f"labelled/{index}" in cloud.s3.objects
    assert len(listed) == 10
    assert [entry["photo"] for entry in json.loads(cloud.s3.objects[f"labelled/{index}"])] == [
        name.removeprefix("photos/") for name in listed
    ]


def test_classes_that_no_parameter_names_are_those_of_the_approved_version():
    cloud = rung()
    version = cloud.sagemaker.register(
        InferenceSpecification={"Containers": [{"ModelDataUrl": "s3://data/approved"}]},
        CustomerMetadataProperties={"classes": "bicycle motorcycle"},
    )
    cloud.sagemaker.decide(version, "Approved")
    listed = [{"Name": "InputData", "Value": "s3://data/cifar"}]
    cloud.sagemaker.answer("ListPipelineParametersForExecution", {"PipelineParameters": listed})
    said = cloud.event()
    assert said["execution"] == "arn:0"
    assert said["parameters"]["Champion"] == "s3://data/approved"


def test_a_version_without_an_artifact_is_no_champion():
    cloud = rung()
    for containers in ([{"ModelDataUrl": "s3://data/approved"}], [{"Image": "nothing"}], []):
        version = cloud.sagemaker.register(InferenceSpecification={"Containers": containers})
        cloud.sagemaker.decide(version, "Approved")
    assert cloud.event()["parameters"]["Champion"] == "s3://data/approved"


def test_a_dry_run_changes_nothing():
    cloud = rung()
    before = dict(cloud.s3.objects)
    said = app.retrain({"dry_run": True}, RULES, cloud.clients, NOW)
    assert (said["outcome"], said["execution"]) == ("start", "")
    assert said["photos"]["train"] + said["photos"]["recent"] == 10
    assert cloud.s3.objects == before
    assert not cloud.sagemaker.started


def test_test_photos_that_a_run_sends_with_their_labels_teach_nothing():
    cloud = Cloud()
    cloud.alarm("v1-1")
    for photo in photos(20):
        entry = {"photo": photo.name, "truth": photo.truth, "inference_time": photo.time, "source": "known"}
        cloud.s3.objects[f"labelled/entries/{photo.name}.json"] = json.dumps(entry).encode()
    assert cloud.event()["outcome"] == "too few labels"


def test_a_queue_that_waits_for_people_is_no_reason_of_a_version():
    cloud = Cloud()
    said = {"alarm": "v1-1", "sentences": {"sharpness": "it fell", "review_queue_age": "a photo waits"}}
    cloud.s3.objects["monitoring/periods.json"] = json.dumps(said).encode()
    cloud.label()
    assert cloud.event()["parameters"]["Reason"] == "it fell; 10 new labels"


def test_photos_that_were_deleted_are_left_out_and_counted():
    cloud = Cloud()
    cloud.alarm("v1-1")
    cloud.label(13)
    gone = sorted(key for key in cloud.s3.objects if key.startswith("labelled/photos/"))[:3]
    for key in gone:
        del cloud.s3.objects[key]
    said = cloud.event()
    assert said["because"] == "it fell; 10 new labels, 3 without their photos, which were deleted, left out"
    manifest = said["data_set"]
    listed = json.loads(cloud.s3.objects[f"labelled/sets/{manifest}.manifest"])[2:]
    assert len(listed) == 10
    assert not {f"labelled/{name}" for name in listed} & set(gone)


def test_a_training_that_fails_is_said_once_and_not_repeated():
    cloud = rung()
    assert cloud.event()["execution"] == "arn:0"
    cloud.end("Failed")
    for _ in range(50):  # the schedule asks every hour while the alarm is on, and labels go on coming
        cloud.label()
        cloud.now += timedelta(hours=30)
        said = cloud.event()
        assert said["because"] == "the training for this alarm failed and is not repeated: arn:0"
    assert list(cloud.sagemaker.started.values()) == ["arn:0"]


def test_a_storm_of_alarms_starts_one_training():
    """300 events in five minutes, of alarms that go on and off, while labels come in."""
    cloud, outcomes = Cloud(), set()
    for number in range(300):
        cloud.alarm(f"v1-{number % 60}" if number % 5 else "")
        cloud.label(1)
        if number == 150:
            cloud.end("Failed")
        cloud.now += timedelta(seconds=1)
        outcomes.add(cloud.event()["outcome"])
    assert len(cloud.sagemaker.started) == 1
    assert {"start", "a training runs", "too soon"} <= outcomes


def test_a_training_goes_on_with_the_costs_of_the_approved_version():
    cloud = rung()
    version = cloud.sagemaker.register(
        InferenceSpecification={"Containers": [{"ModelDataUrl": "s3://data/approved"}]},
        CustomerMetadataProperties={"classes": "bicycle motorcycle", "costs": "bicycle=2 motorcycle=10 review=0.5"},
    )
    cloud.sagemaker.decide(version, "Approved")
    parameters = cloud.event()["parameters"]
    assert (parameters["CostOfWrongBay"], parameters["CostOfReview"]) == ("bicycle=2,motorcycle=10", "0.5")
