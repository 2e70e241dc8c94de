"""Packaging the template: local paths become content-addressed objects, the same bytes each time."""

import io
import json
import os
import zipfile

import pytest

from loadingbay.errors import WorkError
from loadingbay.stack.package import package

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Name: {Type: String, Default: loadingbay}
Resources:
  Check:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../lambdas/check/
      Environment: {Variables: {NAME: !Sub "${Name}-x", OTHER: !GetAtt Queue.Arn}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: inference.asl.json}
  Queue:
    Type: AWS::SQS::Queue
  Remote:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: s3://elsewhere/code.zip}
"""


@pytest.fixture
def template(tmp_path):
    """The file of a template, with the folder of a function beside it."""
    (tmp_path / "workflow").mkdir()
    (tmp_path / "lambdas" / "check" / "__pycache__").mkdir(parents=True)
    (tmp_path / "lambdas" / "check" / "app.py").write_text("def handler(event, context): ...\n")
    (tmp_path / "lambdas" / "check" / "routes.json").write_text("{}")
    (tmp_path / "lambdas" / "check" / "__pycache__" / "app.pyc").write_bytes(b"x")
    (tmp_path / "workflow" / "inference.asl.json").write_text('{"StartAt": "x"}')
    path = tmp_path / "workflow" / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def test_local_paths_become_places_in_the_bucket(template):
    packed = package(template, "artifacts")
    resources = json.loads(packed.template)["Resources"]
    keys = {source.name: source.key for source in packed.objects}
    assert resources["Check"]["Properties"]["CodeUri"] == {"Bucket": "artifacts", "Key": keys["check.zip"]}
    assert resources["Machine"]["Properties"]["DefinitionUri"] == {
        "Bucket": "artifacts",
        "Key": keys["inference.asl.json"],
    }


def test_what_is_in_s3_already_is_left_alone(template):
    resources = json.loads(package(template, "artifacts").template)["Resources"]
    assert resources["Remote"]["Properties"]["CodeUri"] == "s3://elsewhere/code.zip"


def test_the_short_forms_of_yaml_become_the_long_ones_of_json(template):
    variables = json.loads(package(template, "b").template)["Resources"]["Check"]["Properties"]["Environment"]
    assert variables["Variables"] == {"NAME": {"Fn::Sub": "${Name}-x"}, "OTHER": {"Fn::GetAtt": ["Queue", "Arn"]}}


def test_the_same_files_give_the_same_package_whenever_they_were_written(template):
    before = package(template, "artifacts")
    os.utime(template.parent.parent / "lambdas" / "check" / "app.py", (1, 1))
    assert package(template, "artifacts") == before


def test_a_changed_lambda_gives_another_template(template):
    before = package(template, "artifacts").template
    (template.parent.parent / "lambdas" / "check" / "app.py").write_text("changed = True\n")
    assert package(template, "artifacts").template != before


def test_a_zip_holds_the_sources_and_no_caches(template):
    source = next(s for s in package(template, "b").objects if s.name == "check.zip")
    with zipfile.ZipFile(io.BytesIO(source.content)) as archive:
        assert archive.namelist() == ["check/app.py", "check/routes.json"]
        assert archive.read("check/routes.json") == b"{}"


def test_a_path_that_leads_nowhere_is_named_with_its_resource(template):
    template.write_text(TEMPLATE.replace("../lambdas/check/", "../lambdas/gone/"))
    with pytest.raises(WorkError, match=r"Check\.CodeUri: there is no .*gone"):
        package(template, "b")


@pytest.mark.parametrize("text", ["Resources: [", "just words", "{}"])
def test_a_file_that_is_no_template_is_refused_by_name(template, text):
    template.write_text(text)
    with pytest.raises(WorkError, match=r"template\.yaml"):
        package(template, "b")


def test_the_projects_own_template_can_be_packaged(request):
    packed = package(request.config.rootpath / "workflow" / "template.yaml", "artifacts")
    assert "../lambdas" not in packed.template
    assert {s.name for s in packed.objects} >= {"deploy_model.zip", "check_confidence.zip", "inference.asl.json"}
