"""SDK v3: functions under @step, a condition on what one returns, and a function under @remote."""

import sys

from common import name, role
from sagemaker.core.remote_function import remote
from sagemaker.core.workflow.conditions import ConditionGreaterThan
from sagemaker.core.workflow.parameters import ParameterInteger
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.function_step import step
from sagemaker.mlops.workflow.pipeline import Pipeline

IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/functions:v3"
WHERE = {"image_uri": IMAGE, "instance_type": "ml.m5.large", "role": role}


@step(name="Double", **WHERE)
def double(number: int) -> int:
    print("doubling", number)
    return 2 * number


@step(name="Add", **WHERE)
def add(left: int, right: int) -> int:
    return left + right


@remote(**WHERE)
def divide(left: float, right: float) -> float:
    return left / right


number = ParameterInteger(name="Number", default_value=4)
total = add(double(number), 3)
check = ConditionStep(
    name="Check",
    conditions=[ConditionGreaterThan(left=total, right=10)],
    if_steps=[],
    else_steps=[FailStep(name="TooFew", error_message="too few")],
)
pipeline = Pipeline(name=name, parameters=[number], steps=[check])
pipeline.upsert(role_arn=role)
execution = pipeline.start()
execution.wait(delay=1, max_attempts=300)
if execution.result("Add") != 11:
    sys.exit(f"Add gave {execution.result('Add')}")
if divide(9, 2) != 4.5:
    sys.exit("divide gave another result")
print(execution.arn)
