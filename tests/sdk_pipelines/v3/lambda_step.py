"""SDK v3: a function that the SDK deploys decides, with what it returns, which way the pipeline goes."""

from common import HERE, name, role, run, session
from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.parameters import ParameterInteger
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.pipeline import Pipeline

count = ParameterInteger(name="Count", default_value=3)
function = Lambda(
    function_name=f"{name}-count",
    execution_role_arn=role,
    script=str(HERE / "source" / "count.py"),
    handler="count.handler",
    timeout=30,
    session=session,
)
outputs = [
    LambdaOutput(output_name="verdict", output_type=LambdaOutputTypeEnum.String),
    LambdaOutput(output_name="doubled", output_type=LambdaOutputTypeEnum.Integer),
]
ask = LambdaStep(name="Ask", lambda_func=function, inputs={"count": count, "factor": 2}, outputs=outputs)
again = LambdaStep(
    name="Again",
    lambda_func=function,
    inputs={"count": ask.properties.Outputs["doubled"], "factor": 5},
    outputs=outputs,
)
check = ConditionStep(
    name="Check",
    conditions=[ConditionEquals(left=ask.properties.Outputs["verdict"], right="enough")],
    if_steps=[again],
    else_steps=[FailStep(name="TooFew", error_message="too few")],
)
run(Pipeline(name=name, parameters=[count], steps=[ask, check], sagemaker_session=session))
