"""Continuous delivery: the buildspec's commands and the template that runs them."""

import json
import re
import shutil
import subprocess
import sys

import botocore.session
import pytest
import yaml
from botocore.validate import ParamValidator
from samtranslator.yaml_helper import yaml_parse

from lambdas.deploy_model import verification
from pipelines.sources import Sources, image_tag
from tests.workflow.application import ROOT

BUILDSPEC = yaml.safe_load((ROOT / "buildspec.yml").read_text())
IMAGE = (ROOT / "workflow" / "image.sh").read_text()
CICD_FILE = ROOT / "workflow" / "cicd.yaml"
RESOURCES = yaml_parse(CICD_FILE.read_text())["Resources"]
COMMANDS = [command for phase in BUILDSPEC["phases"].values() for command in phase["commands"]]
PROMOTION = yaml.safe_load((ROOT / "workflow" / "promote.yml").read_text())
OF_KIND = {resource["Type"]: resource["Properties"] for resource in RESOURCES.values()}


@pytest.mark.parametrize(
    "command", [*COMMANDS, *(said for phase in PROMOTION["phases"].values() for said in phase["commands"])]
)
def test_every_command_is_sound_bash(command):
    subprocess.run(["bash", "-n", "-c", command], check=True, timeout=120)


@pytest.mark.parametrize("document", [BUILDSPEC, PROMOTION], ids=["push", "promotion"])
def test_a_phase_that_fails_ends_the_build(document):
    assert {phase["on-failure"] for phase in document["phases"].values()} == {"ABORT"}


def last_command(folder, upserted, newest="arn:of:the:last", **variables):
    """Runs the buildspec's last command where the pipeline's commands say this; the calls that they got."""
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    document = json.dumps({"result": upserted, "newest_execution": newest})
    python = f"""#!/bin/sh
[ "$1" = -c ] && exec {sys.executable} "$@"
echo "$@" >> {folder}/calls
[ "$3" = upsert ] && echo '{document}' || echo arn:of:an:execution
"""
    (tools / "python").write_text(python)
    (tools / "python").chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "INPUT_DATA": "", "image": "", **variables}
    done = subprocess.run(
        ["bash", "-c", COMMANDS[-1]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, (folder / "calls").read_text().splitlines()


def test_a_commit_that_leaves_the_definition_as_it_was_starts_no_training(tmp_path):
    said, calls = last_command(tmp_path, "unchanged")
    assert calls == ["-m pipelines upsert --json"]
    assert "no execution is started" in said


def test_a_changed_definition_starts_a_training_on_the_last_data(tmp_path):
    said, calls = last_command(tmp_path, "updated")
    assert calls == ["-m pipelines upsert --json", "-m pipelines start"]
    assert "Started arn:of:an:execution" in said


def test_the_first_build_without_data_starts_nothing_and_says_how(tmp_path):
    said, calls = last_command(tmp_path, "created", newest=None)
    assert calls == ["-m pipelines upsert --json"]
    assert "loadingbay run" in said


def test_what_a_definition_is_made_of_has_no_document_in_it(tmp_path):
    """The code and the image by their hashes, and nothing of docs/, README or tests/."""
    for folder in ("processing", "training", "container"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert (Sources.read(tmp_path), image_tag(tmp_path)) == (Sources.read(ROOT), image_tag(ROOT))


def test_the_readmes_test_command_runs_before_anything_is_deployed():
    assert COMMANDS.index("make test") < next(i for i, command in enumerate(COMMANDS) if "deploy" in command)


def test_every_make_target_that_is_called_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command.split()[1] for command in COMMANDS if command.startswith("make ")} <= targets


def test_every_module_and_file_that_is_named_exists():
    text = "\n".join([*COMMANDS, IMAGE])
    modules = re.findall(r"python -m (\w+)", text)
    files = re.findall(r"(?:--file|bash) (\w\S+/\S+?)\)?(?= |$)", text, re.MULTILINE)
    assert modules
    assert files
    assert all((ROOT / module / "__main__.py").exists() for module in modules)
    assert all((ROOT / file).exists() for file in files)


def _image(tmp_path, docker, **variables):
    """Runs the image's script in a machine whose `docker` is this script."""
    engine = tmp_path / "docker"
    engine.write_text(f"#!/bin/sh\n{docker}\n")
    engine.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}
    return subprocess.run(
        ["bash", ROOT / "workflow" / "image.sh"], env=environment, capture_output=True, text=True, check=False
    )


def test_without_a_docker_engine_a_local_build_skips_the_image(tmp_path):
    done = _image(tmp_path, "exit 1", CODEBUILD_LOCAL_BUILD="true", CODEBUILD_BUILD_ID="x")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No Docker engine answers here" in done.stderr


def test_without_a_docker_engine_a_build_on_aws_fails(tmp_path):
    done = _image(tmp_path, "exit 1", CODEBUILD_BUILD_ID="x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PrivilegedMode" in done.stderr


def test_with_an_engine_and_no_registry_the_image_is_built_and_stays(tmp_path):
    done = _image(tmp_path, f'echo "$@" >> {tmp_path}/asked', CODEBUILD_LOCAL_BUILD="true")
    assert (done.returncode, done.stdout) == (0, "")
    build = (tmp_path / "asked").read_text().splitlines()[1]
    assert re.fullmatch(r"buildx build --file container/Dockerfile --tag loadingbay:[0-9a-f]{16} --load \.", build)


def test_no_image_is_pulled_from_docker_hub_whose_limits_codebuild_shares():
    dockerfile = (ROOT / "container" / "Dockerfile").read_text()
    base = re.findall(r"^ARG PYTHON_IMAGE=(\S+)", dockerfile, re.MULTILINE)
    built_on = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE))
    builder = re.findall(r"--driver-opt image=(\S+)", IMAGE)
    assert built_on == {"${PYTHON_IMAGE}"}
    assert len(base) == len(builder) == 1
    assert all(image.startswith("public.ecr.aws/") for image in base + builder)


def test_the_layer_cache_can_be_exported_under_a_tag_that_may_change():
    """https://docs.docker.com/build/cache/backends/registry/: not with Docker's built-in driver."""
    assert "--driver docker-container" in IMAGE
    assert "buildx build --builder loadingbay" in IMAGE
    (to,) = re.findall(r'--cache-to "([^"]+)"', IMAGE)
    assert {"type=registry", "ref=$repository:cache", "mode=max", "image-manifest=true"} <= set(to.split(","))
    template = yaml_parse((ROOT / "workflow" / "template.yaml").read_text())["Resources"]["Images"]["Properties"]
    (exclusion,) = template["ImageTagMutabilityExclusionFilters"]
    assert exclusion["ImageTagMutabilityExclusionFilterValue"] == "cache"


def test_a_push_to_the_branch_starts_the_pipeline():
    pipeline = OF_KIND["AWS::CodePipeline::Pipeline"]
    assert pipeline["PipelineType"] == "V2"
    condition, (trigger,), _ = pipeline["Triggers"]["Fn::If"]
    assert condition == "Trains"
    assert trigger["GitConfiguration"]["Push"] == [{"Branches": {"Includes": [{"Ref": "Branch"}]}}]


def test_nothing_is_promoted_before_a_person_agreed():
    stages = OF_KIND["AWS::CodePipeline::Pipeline"]["Stages"]
    condition, agree, _ = stages[1]["Fn::If"]
    assert condition == "Promotes"
    assert agree["Actions"][0]["ActionTypeId"]["Category"] == "Approval"
    assert [action["ActionTypeId"]["Provider"] for action in stages[2]["Actions"]] == ["CodeBuild"]


def test_a_promotion_is_asked_about_when_a_version_passed():
    pattern = RESOURCES["PromotionDue"]["Properties"]["EventPattern"]
    assert RESOURCES["PromotionDue"]["Condition"] == "Promotes"
    assert pattern["source"] == [verification.EVENT_SOURCE]
    assert pattern["detail-type"] == [verification.EVENT_TYPE]
    assert pattern["detail"] == {"Stage": [{"Ref": "PromoteFrom"}]}
    own = {"Fn::If": ["FromElsewhere", {"Ref": "PromoteFromAccount"}, {"Ref": "AWS::AccountId"}]}
    assert pattern["account"] == [own], "a bus may take the events of other accounts"


def test_the_version_of_the_event_is_asked_about_and_promoted():
    (target,) = RESOURCES["PromotionDue"]["Properties"]["Targets"]
    event = {"detail": {"Stage": "staging", "ModelPackageArn": "arn:of/7", "ModelPackageVersion": 7}}
    (path,) = target["InputTransformer"]["InputPathsMap"].values()
    named = event["detail"][path.removeprefix("$.detail.")]
    given = json.loads(target["InputTransformer"]["InputTemplate"].replace("<arn>", json.dumps(named)))
    # As the request of StartPipelineExecution has them.
    request = {"name": "production-delivery", **given}
    shape = botocore.session.get_session().get_service_model("codepipeline")
    report = ParamValidator().validate(request, shape.operation_model("StartPipelineExecution").input_shape)
    assert not report.has_errors(), report.generate_report()
    pipeline = OF_KIND["AWS::CodePipeline::Pipeline"]
    (variable,) = pipeline["Variables"]["Fn::If"][1]
    assert given["variables"] == [{"name": variable["Name"], "value": "arn:of/7"}]
    said = json.dumps(pipeline["Stages"])
    assert said.count(f"#{{variables.{variable['Name']}}}") == 2
    assert '--version "$MODEL_PACKAGE_ARN"' in PROMOTION["phases"]["build"]["commands"][-1]


def test_a_connection_to_an_enterprise_server_has_its_host():
    connection = OF_KIND["AWS::CodeConnections::Connection"]
    assert connection["ProviderType"]["Fn::If"][0] == connection["HostArn"]["Fn::If"][0] == "HasHost"
    rules = yaml_parse(CICD_FILE.read_text())["Rules"]
    assert {"EnterpriseServerHasItsHost", "OnlyEnterpriseServerHasAHost"} <= set(rules)


@pytest.mark.parametrize("role", ["PipelineRole", "BuildRole"])
def test_a_connection_may_be_used_under_both_names_of_its_service(role):
    policies = [policy for policy in RESOURCES[role]["Properties"]["Policies"] if "Fn::If" not in policy]
    statements = [said for policy in policies for said in policy["PolicyDocument"]["Statement"]]
    (using,) = [said for said in statements if "codeconnections:UseConnection" in said["Action"]]
    prefixes = [{action for action in using["Action"] if action.startswith(prefix)} for prefix in ("codec", "codes")]
    new, old = ({action.partition(":")[2] for action in actions} for actions in prefixes)
    assert new == old
    assert len(using["Resource"]) == 2


def test_the_build_runs_the_file_of_its_kind_and_both_are_there():
    condition, *files = OF_KIND["AWS::CodeBuild::Project"]["Source"]["BuildSpec"]["Fn::If"]
    assert (condition, files) == ("Trains", ["buildspec.yml", "workflow/promote.yml"])
    assert all((ROOT / file).is_file() for file in files)


def test_the_build_gets_every_variable_that_the_buildspec_names():
    given = {item["Name"] for item in OF_KIND["AWS::CodeBuild::Project"]["Environment"]["EnvironmentVariables"]}
    assert given >= set(BUILDSPEC["env"]["variables"])
    passed_on = re.findall(r"\$\{([A-Z_]+):\+", json.dumps([BUILDSPEC, PROMOTION]))
    assert {"PROMOTE_FROM_ACCOUNT", "PROMOTE_TO_ACCOUNT", "KMS_KEY_ARN"} <= set(passed_on) <= given
    assert {"Name": "LOADINGBAY_CLOUD", "Value": "aws"} in OF_KIND["AWS::CodeBuild::Project"]["Environment"][
        "EnvironmentVariables"
    ]


def test_a_delivery_and_a_build_that_fail_are_told_of():
    rules = {name: RESOURCES[name]["Properties"] for name in ("DeliveryFailed", "BuildFailed")}
    assert rules["DeliveryFailed"]["EventPattern"]["detail"]["pipeline"] == [
        OF_KIND["AWS::CodePipeline::Pipeline"]["Name"]
    ]
    assert rules["BuildFailed"]["EventPattern"]["detail"]["project-name"] == [
        OF_KIND["AWS::CodeBuild::Project"]["Name"]
    ]
    assert all(rule["Targets"][0]["Arn"] == {"Ref": "Failures"} for rule in rules.values())


def test_every_star_resource_has_its_reason_in_the_line_above():
    lines = CICD_FILE.read_text().splitlines()
    stars = [number for number, line in enumerate(lines) if re.search(r'Resource: "\*"$', line)]
    assert stars
    for number in stars:
        assert lines[number - 1].strip().startswith("# `*`:"), f"line {number + 1}"


def test_no_action_has_a_star_but_the_denied_one():
    assert set(re.findall(r"\w+:\w*\*$", CICD_FILE.read_text(), re.MULTILINE)) == {"s3:*"}
