"""The application template: what it promises to whoever deploys it."""

import json
import os
import re

import pytest
import yaml
from samtranslator.yaml_helper import yaml_parse

from tests.workflow.application import TEMPLATE, actions, as_list, expanded, machine, resources, statements, template
from tests.workflow.dependencies import resolved

SNAPSHOT = TEMPLATE.parents[1] / "tests" / "workflow" / "expanded_template.json"
ROLES = sorted(resources("AWS::IAM::Role"))
FUNCTIONS = sorted(resources("AWS::Lambda::Function"))


def test_every_parameter_has_a_default_and_a_description():
    for name, parameter in template()["Parameters"].items():
        assert "Default" in parameter, name
        assert parameter.get("Description"), name


@pytest.mark.parametrize("file", ["template.yaml", "cicd.yaml", "network.yaml"])
def test_every_number_has_a_range(file):
    for name, parameter in (
        yaml_parse(TEMPLATE.with_name(file).read_text(encoding="utf-8")).get("Parameters", {}).items()
    ):
        if parameter["Type"] == "Number":
            assert "AllowedValues" in parameter or {"MinValue", "MaxValue"} <= set(parameter), name


WHOLE = re.compile(r"must be a whole number from ([\d,]+) to ([\d,]+)")


def test_whole_numbers_are_exactly_those_of_their_range():
    """CloudFormation's type Number takes fractions, with which the functions would fail after the deployment."""
    found = {}
    for name, parameter in template()["Parameters"].items():
        if said := WHOLE.fullmatch(parameter.get("ConstraintDescription", "")):
            low, high = (int(text.replace(",", "")) for text in said.groups())
            found[name] = parameter
            allowed = re.compile(parameter["AllowedPattern"], re.ASCII)
            assert [n for n in range(high + 200) if allowed.fullmatch(str(n))] == list(range(low, high + 1)), name
            assert not any(map(allowed.fullmatch, ("", "-1", "2.5", "1_0", "\u0661", "1e1", f"{high}0")))
            assert low <= int(parameter["Default"]) <= high
    read = {"EndpointInstanceCount", "KeepVersions", "BakeSeconds", "RecentTestPercent", "MaxLabelledPhotos"}
    assert read <= set(found)


def test_the_outputs_are_those_that_the_command_line_reads():
    assert set(template()["Outputs"]) == {
        "BucketName",
        "ImageRepositoryUri",
        "PipelineRoleArn",
        "MonitoringRoleArn",
        "WatchStreamArn",
        "ModelPackageGroupName",
        "EndpointName",
        "InferenceStateMachineArn",
        "BulkStateMachineArn",
        "ReviewQueueUrl",
        "DataCaptureUri",
        "SubnetIds",
        "SecurityGroupIds",
        "JobNetworkIsolation",
        "JobTrafficEncryption",
        "SpotTraining",
        "KmsKeyArn",
    }


def test_the_template_has_no_yaml_aliases_as_cloudformation_demands():
    tokens = yaml.scan(TEMPLATE.read_text())
    assert not [token for token in tokens if isinstance(token, (yaml.AliasToken, yaml.AnchorToken))]


def test_every_star_resource_has_its_reason_in_the_line_above():
    lines = TEMPLATE.read_text().splitlines()
    stars = [number for number, line in enumerate(lines) if re.search(r'Resource: "?\*"?$|^\s+- "\*"$', line)]
    assert stars
    for number in stars:
        assert lines[number - 1].strip().startswith("# `*`:"), f"line {number + 1}"


@pytest.mark.parametrize("role", ROLES)
def test_no_role_has_an_action_with_a_star(role):
    assert not [action for action in actions(role) if "*" in action]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_can_be_bounded(role):
    assert resources("AWS::IAM::Role")[role]["PermissionsBoundary"]["Fn::If"][0] == "HasBoundary"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_passes_only_a_role_of_this_stack_and_only_to_sagemaker(role):
    for statement in statements(role):
        if "iam:PassRole" in as_list(statement["Action"]):
            assert statement["Resource"]["Fn::GetAtt"][0] in {"PipelineRole", "MonitoringRole", "EndpointRole"}
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_no_two_functions_share_a_role():
    roles = [json.dumps(function["Role"]) for function in resources("AWS::Lambda::Function").values()]
    assert len(roles) == len(set(roles)) == len(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_logs_into_a_group_with_retention(function):
    group = resources("AWS::Lambda::Function")[function]["LoggingConfig"]["LogGroup"]["Ref"]
    assert resources("AWS::Logs::LogGroup")[group]["RetentionInDays"] == {"Ref": "RetentionDays"}


def test_the_bucket_is_encrypted_versioned_private_and_for_tls_only():
    (bucket,) = resources("AWS::S3::Bucket").values()
    assert bucket["BucketEncryption"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (policy,) = resources("AWS::S3::BucketPolicy").values()
    # With the defaults nobody else is let in.
    (statement,) = resolved(policy["PolicyDocument"]["Statement"], holds=False)
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2


def test_an_endpoint_runs_only_on_the_models_instance_types():
    registered = re.search(
        r"inference_instances=\[([^]]*)\]", (TEMPLATE.parents[1] / "pipelines" / "steps.py").read_text()
    )
    allowed = template()["Parameters"]["EndpointInstanceType"]["AllowedValues"]
    assert set(allowed) == set(re.findall(r'"([^"]+)"', registered.group(1)))


def function_roles() -> set[str]:
    return {function["Role"]["Fn::GetAtt"][0] for function in resources("AWS::Lambda::Function").values()}


def attached(policy_name: str) -> set[str]:
    (policy,) = [p for p in resources("AWS::IAM::Policy").values() if p["PolicyName"] == policy_name]
    return {role["Ref"] for role in policy["Roles"]}


def test_whoever_touches_encrypted_data_may_use_the_key():
    needing = {role for role in ROLES if any(re.match(r"s3:|sqs:SendMessage", action) for action in actions(role))}
    assert attached("use-key") == needing | function_roles()


def test_the_key_of_encrypted_disks_is_handed_on_to_aws_only():
    """Jobs get their key from the pipeline's role, endpoints from DeployModel's, model cards from WriteModelCard's."""
    assert attached("hand-key-on") == {"PipelineRole", "MonitoringRole", "DeployModelRole", "WriteModelCardRole"}
    (policy,) = [p for p in resources("AWS::IAM::Policy").values() if p["PolicyName"] == "hand-key-on"]
    (grant,) = [s for s in policy["PolicyDocument"]["Statement"] if "kms:CreateGrant" in as_list(s["Action"])]
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_whoever_runs_in_the_vpc_may_join_it():
    assert attached("join-network") == {"PipelineRole", "MonitoringRole", "EndpointRole"}
    for role in function_roles():  # test_creation_order.py says why these have it in themselves
        policies = resources("AWS::IAM::Role")[role]["Policies"]
        assert [p["Fn::If"][0] for p in policies if "Fn::If" in p] == ["HasNetwork"], role
    for name, function in resources("AWS::Lambda::Function").items():
        condition, inside, outside = function["VpcConfig"]["Fn::If"]
        assert (condition, outside) == ("HasNetwork", {"Ref": "AWS::NoValue"}), name
        assert set(inside) == {"SubnetIds", "SecurityGroupIds"}, name


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::Lambda::Function", "KmsKeyArn"),
    ],
)
def test_everything_that_can_hold_a_photo_or_a_name_of_one_takes_the_key(kind, member):
    for name, properties in resources(kind).items():
        assert properties[member]["Fn::If"][:2] == ["HasKey", {"Ref": "KmsKeyArn"}], name


def test_every_dead_letter_is_counted_by_an_alarm():
    queues = {name for name in resources("AWS::SQS::Queue") if "DeadLetters" in name}
    assert queues == {"DeadLetters", "ReviewDeadLetters"}
    watched = {
        json.dumps(dimension["Value"])
        for alarm in resources("AWS::CloudWatch::Alarm").values()
        for dimension in alarm["Dimensions"]
        if alarm["Namespace"] == "AWS/SQS"
    }
    assert watched == {json.dumps({"Fn::GetAtt": [name, "QueueName"]}) for name in queues}


def test_only_the_function_that_calls_the_endpoint_is_held_back():
    held = {n for n, f in resources("AWS::Lambda::Function").items() if "ReservedConcurrentExecutions" in f}
    assert held == {"ClassifyImage"}


def test_a_stage_that_shares_images_may_run_them_and_has_no_repository():
    assert expanded()["Resources"]["Images"]["Condition"] == "OwnImages"
    pulled = {json.dumps(s["Resource"]) for s in statements("EndpointRole") if "ecr:BatchGetImage" in s["Action"]}
    (resource,) = map(json.loads, pulled)
    named = {
        "Account": {"Fn::If": ["HasImageAccount", {"Ref": "ImageAccount"}, {"Ref": "AWS::AccountId"}]},
        "Repository": {"Fn::If": ["OwnImages", {"Ref": "Name"}, {"Ref": "ImageRepository"}]},
    }
    assert resource["Fn::Sub"][1] == template()["Outputs"]["ImageRepositoryUri"]["Value"]["Fn::Sub"][1] == named


def test_a_task_outlives_its_function_whose_own_error_is_the_one_seen():
    functions = resources("AWS::Lambda::Function")
    for name, state in machine()["States"].items():
        if name in functions:
            assert functions[name]["Timeout"] < state["TimeoutSeconds"], name


def test_every_alarm_tells_the_topic_and_is_quiet_without_data():
    alarms = resources("AWS::CloudWatch::Alarm")
    assert len(alarms) >= 6
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}], name
        # Between two periods of monitoring there are no data, and what was found stands.
        assert alarm["TreatMissingData"] == ("ignore" if name == "Drift" else "notBreaching"), name


def test_a_failed_execution_of_this_stages_pipeline_reaches_the_topic():
    """The detail is that of the event as SageMaker sends it: camel case, the status with a capital."""
    rule = resources("AWS::Events::Rule")["PipelineFailed"]
    assert set(rule["EventPattern"]["detail"]) == {"pipelineArn", "currentPipelineExecutionStatus"}
    assert rule["EventPattern"]["detail"]["currentPipelineExecutionStatus"] == ["Failed"]
    pipelines = [arn["Fn::Sub"].rpartition(":")[2] for arn in rule["EventPattern"]["detail"]["pipelineArn"]]
    assert pipelines == ["pipeline/${Name}", "pipeline/${Name}-monitoring"]
    assert rule["Targets"][0]["Arn"] == {"Ref": "Alarms"}
    (policy,) = resources("AWS::SNS::TopicPolicy").values()
    publishers = {said["Principal"]["Service"] for said in policy["PolicyDocument"]["Statement"]}
    assert publishers == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}


@pytest.mark.parametrize("name", ["DataBucket", "Images", "ModelPackageGroup"])
def test_what_holds_data_outlives_the_stack_but_not_a_creation_that_failed(name):
    resource = expanded()["Resources"][name]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_no_object_that_a_version_needs_is_deleted_by_its_age():
    (bucket,) = resources("AWS::S3::Bucket").values()
    rules = bucket["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == {"data-capture/", "bulk-results/", "monitoring/", "transforms/", "checkpoints/"}
    moving = {rule["Prefix"] for rule in rules if "Transitions" in rule}
    assert moving == {"pipelines/", "promoted/", "code/"}


def test_no_image_is_pushed_under_a_name_that_is_written_over():
    (images,) = resources("AWS::ECR::Repository").values()
    assert images["ImageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    (exclusion,) = images["ImageTagMutabilityExclusionFilters"]
    assert exclusion["ImageTagMutabilityExclusionFilterValue"] == "cache"


def test_the_dashboard_is_json_and_shows_only_metrics_that_someone_emits():
    (dashboard,) = resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(re.sub(r"\$\{[\w.:]+\}", "0", dashboard["DashboardBody"]["Fn::Sub"]))["widgets"]
    shown = {(metric[0], metric[1]) for widget in widgets for metric in widget["properties"]["metrics"]}
    ours = {name for namespace, name in shown if namespace == "LoadingBay"}
    code = "".join(path.read_text() for path in (TEMPLATE.parents[1] / "lambdas").rglob("*.py"))
    assert ours
    assert all(f'"{name}"' in code for name in ours)


def test_what_the_template_becomes_is_what_was_reviewed():
    """After a wanted change, write it anew: `REWRITE_SNAPSHOTS=1 .venv/bin/python -m pytest tests/workflow`."""
    now = json.dumps(expanded(), indent=1, sort_keys=True) + "\n"
    if os.environ.get("REWRITE_SNAPSHOTS"):
        SNAPSHOT.write_text(now)
    assert now == SNAPSHOT.read_text(), "what CloudFormation gets has changed: see the docstring of this test"


def test_whoever_makes_the_endpoint_scale_may_do_what_aws_asks_for():
    """https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html, with named resources.

    The service-linked role is the account's, made once: the parameter says how.
    """
    asked = {
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
    }
    assert asked <= actions("DeployModelRole")
    assert "create-service-linked-role" in template()["Parameters"]["EndpointMaxInstanceCount"]["Description"]


def test_the_endpoints_role_reads_artifacts_and_no_photo():
    (reading,) = [said for said in statements("EndpointRole") if "s3:GetObject" in as_list(said["Action"])]
    assert reading["Resource"] == {"Fn::Sub": "${DataBucket.Arn}/*/model.tar.gz"}


@pytest.mark.parametrize("name", ["template.yaml", "cicd.yaml"])
def test_no_name_of_a_resource_covers_a_longer_name_of_a_stage(name):
    """`prod*` would be `production` too; `prod-*` is not."""
    assert re.findall(r".*\$\{(?:Name|Stage)\}\*.*", (TEMPLATE.parent / name).read_text()) == []


@pytest.mark.parametrize("role", ["DeployModelRole", "EndpointRole"])
def test_whoever_watches_an_update_may_list_alarms_as_cloudwatch_checks_it(role):
    """A second version is never deployed without it: the watch is on by default."""
    (listing,) = [said for said in statements(role) if "cloudwatch:DescribeAlarms" in as_list(said["Action"])]
    assert listing["Resource"] == "*"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("rate(1 hour)", True), ("rate(15 minutes)", True), ("rate(2 days)", True), ("cron(0 6 * * ? *)", True),
        ("cron(0/15 8-18 ? * MON-FRI *)", True),
        ("hourly", False), ("rate(0 hours)", False), ("rate(-5 minutes)", False), ("rate(x)", False),
        ("rate(1 week)", False), ("rate(1.5 hours)", False), ("cron(1 2 3)", False), ("cron(0 6 * * ? * *)", False),
    ],
)  # fmt: skip
def test_a_schedule_that_would_never_start_is_refused(expression, allowed):
    pattern = template()["Parameters"]["MonitoringSchedule"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, expression)) is allowed
