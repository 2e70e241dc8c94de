"""Jobs and pipeline steps act in the name of their role, and only as it allows."""

import json
import time
import uuid
from typing import Any

import pytest

from tests.localcloud.ministack.iam_roles import ALLOW_S3, SAGEMAKER, Roles, document, refusal, trust
from tests.localcloud.pipeline_kit import BUCKET, Kit

ALLOW_LOGS = {"Action": "logs:*", "Resource": "*"}
STEP = {"Action": ["sagemaker:CreateProcessingJob"], "Resource": f"{SAGEMAKER}:processing-job/*"}


# Jobs and steps


def test_a_jobs_files_are_read_and_written_in_its_roles_name(roles: Roles, kit: Kit) -> None:
    script = """
import boto3, pathlib
print(boto3.client("sts").get_caller_identity()["Arn"])
(pathlib.Path("/opt/ml/processing/out") / "a").write_text("a")
"""
    role = roles.make(ALLOW_S3, ALLOW_LOGS)
    name = kit.processing_job(script, RoleArn=role)
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    assert kit.get("out/job/a") == b"a"
    kit.wait_log(name, f"arn:aws:sts::000000000000:assumed-role/{role.rpartition('/')[2]}/SageMaker")


@pytest.mark.parametrize(("lacks", "says"), [("s3:GetObject", "cannot be downloaded"), ("s3:PutObject", "uploaded")])
def test_a_job_whose_role_lacks_an_action_fails_and_names_it(roles: Roles, kit: Kit, lacks: str, says: str) -> None:
    script = "open('/opt/ml/processing/out/a', 'w').write('a')"
    role = roles.make(ALLOW_S3, {"Effect": "Deny", "Action": lacks, "Resource": "*"})
    job = kit.wait_job(kit.processing_job(script, RoleArn=role))
    assert job["ProcessingJobStatus"] == "Failed"
    assert says in job["FailureReason"]
    assert (
        f'is not authorized to perform: {lacks} on resource: "arn:aws:s3:::{BUCKET}/{kit.prefix}/'
        in job["FailureReason"]
    )


def test_what_a_job_calls_is_held_to_its_role(roles: Roles, kit: Kit) -> None:
    script = "import boto3; boto3.client('sqs').create_queue(QueueName='mine')"
    job = kit.wait_job(kit.processing_job(script, RoleArn=roles.make(ALLOW_S3)))
    assert job["ProcessingJobStatus"] == "Failed"
    assert "not authorized to perform: sqs:CreateQueue" in job["FailureReason"]


def test_credentials_of_a_job_are_worth_nothing_once_it_ended(roles: Roles, kit: Kit) -> None:
    script = """
import json, os, pathlib
names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
(pathlib.Path("/opt/ml/processing/out") / "keys").write_text(json.dumps([os.environ[name] for name in names]))
"""
    kit.wait_job(kit.processing_job(script, RoleArn=roles.make(ALLOW_S3)))
    kept = roles.client("s3", *json.loads(kit.get("out/job/keys")))
    assert refusal(lambda: kept.list_objects_v2(Bucket=BUCKET))[0] == "InvalidAccessKeyId"


def test_a_role_that_does_not_trust_sagemaker_runs_no_job(roles: Roles, kit: Kit) -> None:
    role = roles.make(ALLOW_S3, service="lambda.amazonaws.com")
    job = kit.wait_job(kit.processing_job("", RoleArn=role))
    assert (
        f"Could not assume role {role}. Please ensure that the role exists and allows principal" in job["FailureReason"]
    )


def test_a_role_that_trusts_sagemaker_of_another_account_runs_no_job(roles: Roles, kit: Kit) -> None:
    condition = {"StringEquals": {"aws:SourceAccount": "111111111111"}}
    role = roles.make(ALLOW_S3, trusted=trust("sagemaker.amazonaws.com", Condition=condition))
    assert "Could not assume role" in kit.wait_job(kit.processing_job("", RoleArn=role))["FailureReason"]


def test_an_image_that_the_role_may_not_pull_does_not_run(roles: Roles, kit: Kit) -> None:
    image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/bay:1"
    request = kit.processing("job", "")["Arguments"]
    request["AppSpecification"]["ImageUri"] = image
    kit.sm.create_processing_job(ProcessingJobName=kit.prefix, RoleArn=roles.make(ALLOW_S3), **request)
    reason = kit.wait_job(kit.prefix)["FailureReason"]
    assert "Cannot pull algorithm container" in reason
    assert "ecr:GetAuthorizationToken" in reason


def test_a_job_whose_role_may_not_write_logs_runs_without_one(roles: Roles, kit: Kit) -> None:
    name = kit.processing_job("print('words')", RoleArn=roles.make(ALLOW_S3))
    assert kit.wait_job(name)["ProcessingJobStatus"] == "Completed"
    time.sleep(0.5)  # lines are seen within 0.3 s
    assert kit.log(name) == []


def test_a_bucket_may_shut_a_role_out(roles: Roles, kit: Kit) -> None:
    bucket = f"shut-{uuid.uuid4().hex[:8]}"
    kit.s3.create_bucket(Bucket=bucket)
    kit.s3.put_bucket_policy(Bucket=bucket, Policy=document(
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*",
         "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::*:assumed-role/role-*"}}},
    ))  # fmt: skip
    s3 = roles.session({"Action": "s3:*", "Resource": "*"})("s3")
    code, message = refusal(lambda: s3.put_object(Bucket=bucket, Key="a", Body=b""))
    assert (code, "with an explicit deny in a resource-based policy" in message) == ("AccessDenied", True)


def pipeline_role(roles: Roles, *statements: dict[str, Any]) -> str:
    role = roles.make()
    roles.allow_passing_itself(role, ALLOW_S3, ALLOW_LOGS, *statements)
    return role


def run(kit: Kit, role: str) -> dict[str, Any]:
    """The step of a pipeline of one, in the name of a role."""
    text = json.dumps({"Version": "2020-12-01", "Steps": [kit.processing("Work", "print('done')")]})
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=text, RoleArn=role)
    arn = kit.start()
    kit.wait(arn)
    return kit.steps(arn)["Work"]


def test_a_pipeline_runs_in_the_name_of_its_role(roles: Roles, kit: Kit) -> None:
    assert run(kit, pipeline_role(roles, STEP))["StepStatus"] == "Succeeded"


def test_a_step_that_the_role_may_not_start_fails_and_names_the_action(roles: Roles, kit: Kit) -> None:
    step = run(kit, pipeline_role(roles))
    assert step["StepStatus"] == "Failed"
    assert step["FailureReason"].startswith(
        "ClientError: Failed to invoke sagemaker:CreateProcessingJob. Error Details: "
    )
    assert "because no identity-based policy allows the sagemaker:CreateProcessingJob action" in step["FailureReason"]


def test_a_pipeline_whose_role_may_not_pass_itself_starts_no_job(roles: Roles, kit: Kit) -> None:
    assert "iam:PassRole" in run(kit, roles.make(ALLOW_S3, STEP))["FailureReason"]


def test_what_a_condition_reads_from_s3_is_read_in_the_pipelines_name(roles: Roles, kit: Kit) -> None:
    result = kit.put("result.json", '{"accuracy": 0.9}')
    read = {"Std:JsonGet": {"S3Uri": result, "Path": "accuracy"}}
    check = {
        "Name": "Gate",
        "Type": "Condition",
        "Arguments": {
            "Conditions": [{"Type": "GreaterThanOrEqualTo", "LeftValue": read, "RightValue": 0.5}],
            "IfSteps": [],
            "ElseSteps": [],
        },
    }
    text = json.dumps({"Version": "2020-12-01", "Steps": [check]})
    role = pipeline_role(roles)
    kit.sm.create_pipeline(PipelineName=kit.prefix, PipelineDefinition=text, RoleArn=role)
    arn = kit.start()
    assert kit.wait(arn)["PipelineExecutionStatus"] == "Succeeded"
    roles.allow_passing_itself(role, ALLOW_LOGS)
    arn = kit.start()
    kit.wait(arn)
    assert "not authorized to perform: s3:GetObject" in kit.steps(arn)["Gate"]["FailureReason"]
