"""SDK v2: a step waits for an answer to its message in a queue, which this program gives."""

import json

import boto3
from common import name, role, session
from sagemaker.workflow.callback_step import CallbackOutput, CallbackOutputTypeEnum, CallbackStep
from sagemaker.workflow.condition_step import ConditionStep
from sagemaker.workflow.conditions import ConditionGreaterThan
from sagemaker.workflow.fail_step import FailStep
from sagemaker.workflow.pipeline import Pipeline

sqs, client = boto3.client("sqs"), boto3.client("sagemaker")
queue = sqs.create_queue(QueueName=f"{name}-queue")["QueueUrl"]
wait = CallbackStep(
    name="Wait",
    sqs_queue_url=queue,
    inputs={"question": "how many"},
    outputs=[CallbackOutput(output_name="answer", output_type=CallbackOutputTypeEnum.Integer)],
)
check = ConditionStep(
    name="Check",
    conditions=[ConditionGreaterThan(left=wait.properties.Outputs["answer"], right=41)],
    if_steps=[],
    else_steps=[FailStep(name="TooFew", error_message="too few")],
)
pipeline = Pipeline(name=name, steps=[wait, check], sagemaker_session=session)
pipeline.upsert(role_arn=role)
execution = pipeline.start()
(message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
body = json.loads(message["Body"])
assert body["arguments"] == {"question": "how many"}, body
client.send_pipeline_execution_step_success(
    CallbackToken=body["token"], OutputParameters=[{"Name": "answer", "Value": "42"}]
)
execution.wait(delay=1, max_attempts=60)
print(execution.arn)
