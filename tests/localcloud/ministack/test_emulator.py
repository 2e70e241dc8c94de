"""The patched MiniStack over HTTP: what it does here and does not do unpatched."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.waiting import ended, soon

ROLE = "arn:aws:iam::000000000000:role/any"
CODE = """
import os, time

class ThresholdNotMet(Exception):
    pass

def handler(event, context):
    if event.get("raise"):
        raise ThresholdNotMet("0.61 is below 0.83")
    return {"pid": os.getpid(), "environment": dict(os.environ)}
"""


def create_function(cloud: Any, name: str, code: str = CODE) -> str:
    """Create a Lambda function of this code; its ARN."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("app.py", code)
    answer = cloud.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.11",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": data.getvalue()},
        Timeout=20,
        Environment={"Variables": {"OWN": "variable"}},
    )
    arn: str = answer["FunctionArn"]
    return arn


def call(cloud: Any, name: str, event: dict[str, Any]) -> tuple[str | None, Any]:
    answer = cloud.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return answer.get("FunctionError"), json.loads(answer["Payload"].read())


def run_machine(cloud: Any, name: str, definition: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Run a state machine to its end; what DescribeExecution answers then."""
    states = cloud.client("stepfunctions")
    machine = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
    execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(given))
    return ended(states, execution["executionArn"])


def test_an_error_keeps_its_name_and_the_worker_stays_warm(cloud: Any) -> None:
    create_function(cloud, "named-error")
    _, first = call(cloud, "named-error", {})

    failed, error = call(cloud, "named-error", {"raise": True})
    _, second = call(cloud, "named-error", {})

    assert failed
    assert (error["errorType"], error["errorMessage"]) == ("ThresholdNotMet", "0.61 is below 0.83")
    assert "raise ThresholdNotMet" in "".join(error["stackTrace"])
    assert first["pid"] == second["pid"]


def test_a_state_machine_catches_a_named_error(cloud: Any) -> None:
    arn = create_function(cloud, "caught")
    definition = {
        "StartAt": "Check",
        "States": {
            "Check": {
                "Type": "Task",
                "Resource": arn,
                "End": True,
                "Catch": [{"ErrorEquals": ["ThresholdNotMet"], "ResultPath": "$.error", "Next": "Review"}],
            },
            "Review": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
        },
    }

    execution = run_machine(cloud, "caught", definition, **{"raise": True})

    assert (execution["status"], execution["error"]) == ("FAILED", "ThresholdNotMet")
    assert json.loads(execution["cause"])["errorMessage"] == "0.61 is below 0.83"


def test_a_function_sees_its_own_variables_and_none_of_the_servers(cloud: Any) -> None:
    create_function(cloud, "variables")

    environment = call(cloud, "variables", {})[1]["environment"]

    assert environment["OWN"] == "variable"
    assert environment["AWS_ENDPOINT_URL"] == cloud.url
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert environment["AWS_SECRET_ACCESS_KEY"] != cloud.secret
    hidden = {"SECRET_OF_THE_SHELL", "STATE_DIR", "S3_DATA_DIR", "GATEWAY_PORT", "PERSIST_STATE", "DOCKER_HOST"}
    assert not hidden & set(environment)


def test_a_function_of_a_rule_is_tried_again_when_it_fails(cloud: Any, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    code = f"""
def handler(event, context):
    with open({str(marks)!r}, "a") as file:
        file.write(event["detail-type"] + "\\n")
    if len(open({str(marks)!r}).readlines()) < 2:
        raise RuntimeError("not yet")
"""
    arn = create_function(cloud, "retried", code)
    events = cloud.client("events")
    events.put_rule(Name="retried", EventPattern=json.dumps({"source": ["tests"]}))
    events.put_targets(Rule="retried", Targets=[{"Id": "1", "Arn": arn}])

    events.put_events(Entries=[{"Source": "tests", "DetailType": "try", "Detail": "{}"}])

    assert soon(lambda: marks.exists() and marks.read_text() == "try\ntry\n")


def test_clients_cannot_put_events_of_aws(cloud: Any) -> None:
    answer = cloud.client("events").put_events(Entries=[{"Source": "aws.sagemaker", "DetailType": "x", "Detail": "{}"}])

    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"


def test_a_stack_can_have_a_model_package_group(cloud: Any) -> None:
    template = {
        "Resources": {
            "Group": {
                "Type": "AWS::SageMaker::ModelPackageGroup",
                "Properties": {
                    "ModelPackageGroupName": "of-a-stack",
                    "Tags": [{"Key": "a", "Value": "b"}],
                    "ModelPackageGroupPolicy": {"Version": "2012-10-17", "Statement": []},
                },
            }
        },
        "Outputs": {
            "Arn": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupArn"]}},
            "Ref": {"Value": {"Ref": "Group"}},
        },
    }
    stacks, sagemaker = cloud.client("cloudformation"), cloud.client("sagemaker")

    stacks.create_stack(StackName="with-group", TemplateBody=json.dumps(template))
    stacks.get_waiter("stack_create_complete").wait(StackName="with-group", WaiterConfig={"Delay": 1})

    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package-group/of-a-stack"
    outputs = {
        o["OutputKey"]: o["OutputValue"] for o in stacks.describe_stacks(StackName="with-group")["Stacks"][0]["Outputs"]
    }
    assert outputs == {"Arn": arn, "Ref": arn}
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    policy = sagemaker.get_model_package_group_policy(ModelPackageGroupName="of-a-stack")["ResourcePolicy"]
    assert json.loads(policy) == {"Version": "2012-10-17", "Statement": []}
    stacks.delete_stack(StackName="with-group")
    stacks.get_waiter("stack_delete_complete").wait(StackName="with-group", WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_model_package_group(ModelPackageGroupName="of-a-stack")


def test_a_missing_private_name_stops_the_start_with_its_name(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from localcloud.settings import Settings
from localcloud.ministack import emulator
settings = Settings(Path({str(tmp_path)!r}), 4747, Path("x"), Path("y"))
os.environ.update(emulator.environment(settings))
import ministack.services.eventbridge as module
del module._put_events
emulator.Emulator(settings)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "the private name ministack.services.eventbridge._put_events is missing" in done.stderr
    assert "ministack==1.5.33" in done.stderr


def test_it_starts_in_a_locale_that_is_not_utf_8(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from localcloud.settings import Settings
from localcloud.ministack import emulator
settings = Settings(Path({str(tmp_path)!r}), 4747)
os.environ.update(emulator.environment(settings))
emulator.Emulator(settings)
"""
    locale = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=locale)
    assert done.returncode == 0, done.stderr


def test_modules_that_are_not_used_are_not_imported(tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from localcloud.settings import Settings
from localcloud.ministack import emulator
settings = Settings(Path({str(tmp_path)!r}), 4747)
os.environ.update(emulator.environment(settings))
from localcloud.assembly import Assembly
cloud = Assembly(settings)
def there(*names):
    return [name for name in sys.modules if name.partition(".")[0] in names and sys.modules[name]]
print(there("aiohttp", "boto3", "h11", "hypercorn", "jsonata", "jsonpath", "yaml"))
import samtranslator.translator.transform
print(there("docker", "lark"))
sys.stdout.flush()
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n[]\n", done.stderr


def test_a_template_with_aliases_is_refused_at_once(cloud: Any) -> None:
    stacks = cloud.client("cloudformation")
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10))  # 9 to the 10th values
    template = f"l0: &l0 [x, x, x, x, x, x, x, x, x]\n{levels}Resources: {{}}\n"

    with pytest.raises(ClientError, match="YAML aliases are not allowed in CloudFormation templates"):
        stacks.create_stack(StackName="aliases", TemplateBody=template)
