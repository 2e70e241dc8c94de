"""WriteModelCard: what the card of a version says, when it is written, and that people's changes to it are kept."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER
from jsonschema import Draft7Validator

from lambdas.write_model_card import app
from lambdas.write_model_card.content import describe, merged
from tests.fakes.fake_sagemaker import FakeSageMaker, refusal
from tests.lambdas.lambda_cases import BUCKET

EXECUTION = f"s3://{BUCKET}/pipelines/loadingbay/abc"
CONTAINER = {
    "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/loadingbay:1",
    "ModelDataUrl": f"{EXECUTION}/train/pipelines-abc-Train-9x/output/model.tar.gz",
}
EVALUATION: dict[str, Any] = {
    "gate": {
        "accuracy": 0.93,
        "coverage": 0.8,
        "accepted_precision": 0.99,
        "out_of_distribution_accepted": 0.1,
        "out_of_distribution_auroc": 0.97,
        "champion_accuracy": 0.91,
        "not_worse_than_champion": 1.0,
    },
    "confidence_intervals": {"accuracy": [0.8625, 0.9657]},
    "calibration": {"nll": 0.2, "ece": 0.03, "brier": 0.1, "bins": []},
    "multiclass_classification_metrics": {
        "confusion_matrix": {"bicycle": {"bicycle": 46, "motorcycle": 4}, "motorcycle": {"motorcycle": 50}}
    },
    "test": {"count": 100},
}
METADATA = {"classes": "bicycle motorcycle", "threshold": "0.8965", "data_label": "cifar-100", "data_sha256": "59ea"}


class Registry(FakeSageMaker):
    """The fake with model cards: each change is kept, and an archived card cannot be changed."""

    def __init__(self):
        super().__init__()
        self.cards = {}

    def register(self, *faults, **members):
        specification = {"InferenceSpecification": {"Containers": [CONTAINER]}}
        quality = {"ModelQuality": {"Statistics": {"S3Uri": f"{EXECUTION}/evaluate/evaluation/evaluation.json"}}}
        given = {"CustomerMetadataProperties": dict(METADATA), "ModelMetrics": quality, **specification, **members}
        return super().register(*faults, **given)

    def describe_model_card(self, **request):
        self._check("DescribeModelCard", request)
        if request["ModelCardName"] not in self.cards:
            raise refusal("DescribeModelCard", "Modelcard does not exist.", "ResourceNotFound")
        return self.cards[request["ModelCardName"]][-1]

    def create_model_card(self, **request):
        self._check("CreateModelCard", request)
        if request["ModelCardName"] in self.cards:
            raise refusal("CreateModelCard", "already exists", "ConflictException")
        self.cards[request["ModelCardName"]] = [request]

    def update_model_card(self, **request):
        self._check("UpdateModelCard", request)
        if {"Content", "ModelCardStatus"} <= set(request):
            raise refusal("UpdateModelCard", "You cannot update both content and status in a single call.")
        self.cards[request["ModelCardName"]].append({**self.cards[request["ModelCardName"]][-1], **request})

    def said(self, name="loadingbay-v1"):
        return json.loads(self.cards[name][-1]["Content"])


@pytest.fixture
def sagemaker():
    registry = Registry()
    registry.register()
    return registry


@pytest.fixture
def clients(sagemaker, s3, upload):
    upload("pipelines/loadingbay/abc/evaluate/evaluation/evaluation.json", json.dumps(EVALUATION).encode())
    return app.Clients(sagemaker, s3)


def write(clients, version=1):
    return app.write(FakeSageMaker.arn(version), clients)


def as_cloudformation(node):
    """A card's content with the names that CloudFormation's schema of it has; a person's own names stay."""

    def name(text):
        return "".join(part.capitalize() for part in text.split("_"))

    if isinstance(node, list):
        return [as_cloudformation(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {name(key): value if key == "custom_details" else as_cloudformation(value) for key, value in node.items()}


def test_a_registered_version_gets_a_card_that_waits_for_review(sagemaker, clients):
    assert write(clients) == {"card": "loadingbay-v1", "written": 1}
    (card,) = sagemaker.cards["loadingbay-v1"]
    assert card["ModelCardStatus"] == "PendingReview"
    said = sagemaker.said()
    assert said["model_package_details"]["model_package_arn"] == FakeSageMaker.arn(1)
    assert said["model_overview"]["model_artifact"] == [CONTAINER["ModelDataUrl"]]
    assert said["training_details"]["training_job_details"]["training_datasets"] == ["cifar-100, sha256 59ea"]
    assert said["additional_information"]["custom_details"]["threshold"] == "0.8965"


def test_its_figures_are_those_of_the_evaluation(sagemaker, clients):
    write(clients)
    (evaluation,) = sagemaker.said()["evaluation_details"]
    figures = {metric["name"]: metric for group in evaluation["metric_groups"] for metric in group["metric_data"]}
    numbers = {name: metric["value"] for name, metric in figures.items() if metric["type"] == "number"}
    assert numbers == {**EVALUATION["gate"], "nll": 0.2, "ece": 0.03, "brier": 0.1}
    assert figures["accuracy"]["notes"] == "95 % interval 0.8625 to 0.9657"
    assert figures["photos by class and answer"]["value"] == [[46.0, 4.0], [0.0, 50.0]]


def test_a_comparison_with_nothing_is_left_out_of_the_card(sagemaker, clients):
    gate = {**EVALUATION["gate"], "champion_accuracy": 0.0, "recent_accuracy": 0.0, "better_on_recent": 1.0}
    version = sagemaker.describe_model_package(ModelPackageName=FakeSageMaker.arn(1))

    content = describe(version, {**EVALUATION, "gate": gate})

    groups = {group["name"] for group in content["evaluation_details"][0]["metric_groups"]}
    assert groups == {"decision", "calibration", "out of distribution", "confusion matrix"}


def test_costs_are_on_the_card_unless_they_were_assumed(sagemaker):
    version = sagemaker.describe_model_package(ModelPackageName=FakeSageMaker.arn(1))
    costs = {
        "assumed": False,
        "wrong_bay": {"bicycle": 2.0, "motorcycle": 10.0},
        "review": 1.0,
        "of_a_thousand": 210.0,
        "champion": None,
        "curves": [{"best": {"cost": 90.0}}, {"best": {"cost": 100.0}}],
    }

    def card(**more):
        content = describe(version, {**EVALUATION, "costs": {**costs, **more}})
        groups = {one["name"]: one["metric_data"] for one in content["evaluation_details"][0]["metric_groups"]}
        return {metric["name"]: metric["value"] for metric in groups.get("cost of a thousand photos", [])}

    assert card() == {
        "with this version's thresholds": 210.0,
        "cheapest thresholds on the test photos": 190.0,
        "of a review": 1.0,
        "of a wrong bicycle": 2.0,
        "of a wrong motorcycle": 10.0,
    }
    assert card(champion={"of_a_thousand": 300.0})["with those of the version approved then"] == 300
    assert card(assumed=True) == {}


def test_the_training_job_is_named_by_the_artifacts_place(sagemaker, clients):
    write(clients)
    job = sagemaker.said()["training_details"]["training_job_details"]["training_arn"]
    assert job == "arn:aws:sagemaker:us-east-1:000000000000:training-job/pipelines-abc-Train-9x"


@pytest.mark.parametrize("containers", [[CONTAINER], [{"Image": "image"}], []])
def test_the_content_fits_awss_schema_of_a_model_card(sagemaker, clients, containers):
    sagemaker.packages[1]["InferenceSpecification"] = {"Containers": containers}
    sagemaker.decide(1, "Approved")
    sagemaker.metadata(1).update(verification="passed", verification_accuracy="0.95", verification_milliseconds="4.5")
    sagemaker.packages[1]["ApprovalDescription"] = "first"
    write(clients)
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::SageMaker::ModelCard").schema
    validator = Draft7Validator({"$ref": "#/definitions/Content", "definitions": schema["definitions"]})
    content = as_cloudformation(sagemaker.said())
    assert [error.message for error in validator.iter_errors(content)] == []
    assert list(validator.iter_errors({**content, "Unknown": 1})), "a schema that refuses nothing shows nothing"


def test_an_approval_is_written_into_the_card_with_who_gave_it(sagemaker, clients):
    write(clients)
    sagemaker.decide(1, "Approved")
    sagemaker.metadata(1)["approved_by"] = "arn:aws:iam::000000000000:user/ada"
    write(clients)
    statuses = [card["ModelCardStatus"] for card in sagemaker.cards["loadingbay-v1"]]
    assert statuses == ["PendingReview", "PendingReview", "Approved"], "first the content, then the status"
    assert sagemaker.said()["model_package_details"]["model_approval_status"] == "Approved"
    assert sagemaker.said()["additional_information"]["custom_details"]["approved_by"].endswith("user/ada")


def test_a_rejected_version_can_be_approved_after_all(sagemaker, clients):
    for status, expected in (("Rejected", "Draft"), ("Approved", "Approved")):
        sagemaker.decide(1, status)
        write(clients)
        assert sagemaker.cards["loadingbay-v1"][-1]["ModelCardStatus"] == expected


def test_an_event_that_comes_twice_writes_nothing(sagemaker, clients):
    write(clients)
    assert write(clients)["written"] == 0
    assert len(sagemaker.cards["loadingbay-v1"]) == 1


def test_what_a_person_wrote_into_the_card_stays(sagemaker, clients):
    write(clients)
    said = sagemaker.said()
    said["intended_uses"]["risk_rating"] = "Medium"
    said["business_details"] = {"business_problem": "drivers at the wrong bay"}
    said["additional_information"]["custom_details"]["contact"] = "ada"
    sagemaker.update_model_card(ModelCardName="loadingbay-v1", Content=json.dumps(said))
    sagemaker.decide(1, "Approved")
    write(clients)
    now = sagemaker.said()
    assert now["intended_uses"]["risk_rating"] == "Medium"
    assert now["business_details"] == said["business_details"]
    assert now["additional_information"]["custom_details"]["contact"] == "ada"
    assert now["additional_information"]["custom_details"]["approval"] == "Approved"


def test_a_decision_between_reading_and_writing_is_written_as_well(sagemaker, clients):
    """Of two deliveries at the same time the one that writes last may have read first."""
    create = sagemaker.create_model_card

    def late(**request):
        create(**request)
        sagemaker.decide(1, "Approved")

    sagemaker.create_model_card = late
    assert write(clients)["written"] == 3
    assert sagemaker.cards["loadingbay-v1"][-1]["ModelCardStatus"] == "Approved"


def test_a_card_that_another_delivery_just_made_is_brought_up_to_date(sagemaker, clients):
    create = sagemaker.create_model_card

    def raced(**request):
        create(**{**request, "ModelCardStatus": "Draft"})
        create(**request)

    sagemaker.create_model_card = raced
    write(clients)
    assert sagemaker.cards["loadingbay-v1"][-1]["ModelCardStatus"] == "PendingReview"


def test_a_card_that_never_keeps_what_is_written_fails_the_delivery(sagemaker, clients):
    sagemaker.update_model_card = lambda **_: None
    write(clients)
    sagemaker.decide(1, "Approved")
    with pytest.raises(app.StillChanging, match="loadingbay-v1"):
        write(clients)


def test_an_archived_card_stays_as_it_is(sagemaker, clients):
    write(clients)
    sagemaker.update_model_card(ModelCardName="loadingbay-v1", ModelCardStatus="Archived")
    sagemaker.decide(1, "Approved")
    assert write(clients)["written"] == 0


def test_a_version_that_is_gone_has_no_card_written(sagemaker, clients):
    assert write(clients, version=7) == {"card": "loadingbay-v7", "written": 0}


@pytest.mark.parametrize("body", [None, b"{", b"[1]"])
def test_without_a_readable_evaluation_the_card_has_no_figures(sagemaker, clients, s3, body):
    key = "pipelines/loadingbay/abc/evaluate/evaluation/evaluation.json"
    s3.delete_object(Bucket=BUCKET, Key=key)
    if body is not None:
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    write(clients)
    assert sagemaker.said()["evaluation_details"] == []


def test_a_refused_evaluation_fails_the_delivery(sagemaker, clients):
    class Refusing:
        def get_object(self, **_):
            raise refusal("GetObject", "no", "AccessDenied")

    with pytest.raises(ClientError, match="AccessDenied"):
        write(app.Clients(sagemaker, Refusing()))


def test_a_new_card_is_encrypted_by_the_stages_key(sagemaker, clients):
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    write(app.Clients(sagemaker, clients.s3, key))
    sagemaker.decide(1, "Approved")
    write(app.Clients(sagemaker, clients.s3, key))
    created, updated = sagemaker.requests("CreateModelCard"), sagemaker.requests("UpdateModelCard")
    assert created[0]["SecurityConfig"] == {"KmsKeyId": key}
    assert "SecurityConfig" not in updated[0], "only a new card takes a key"


def test_the_handler_takes_the_event_as_sagemaker_sends_it(sagemaker, clients, recorded, monkeypatch):
    event = recorded("model_package_approved")
    monkeypatch.setattr(app, "_boto3_clients", lambda: (sagemaker, clients.s3))
    assert app.handler(event, None)["card"] == f"loadingbay-v{event['detail']['ModelPackageVersion']}"


def test_a_matrix_of_more_classes_than_a_card_takes_is_left_out():
    classes = [f"c{n}" for n in range(21)]
    matrix = {"multiclass_classification_metrics": {"confusion_matrix": {name: {name: 1} for name in classes}}}
    version = {
        "ModelPackageArn": FakeSageMaker.arn(1), "ModelPackageVersion": 1, "ModelPackageGroupName": "loadingbay",
        "ModelPackageStatus": "Completed", "ModelApprovalStatus": "Approved",
        "CreationTime": datetime(2026, 11, 3, tzinfo=UTC), "InferenceSpecification": {"Containers": [CONTAINER]},
    }  # fmt: skip
    assert describe(version, matrix)["evaluation_details"] == []
    assert merged(describe(version, {}), {}) == describe(version, {})


def test_the_cards_name_is_the_one_that_the_command_line_looks_for():
    from pipelines import aws

    assert app.card_name(FakeSageMaker.arn(3)) == aws.model_card("loadingbay", 3)
