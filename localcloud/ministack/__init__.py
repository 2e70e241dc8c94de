"""All that touches MiniStack's private names: an upgrade of MiniStack is a change of this folder.

private_names       looks the private names up at the start; a missing one is named
emulator            MiniStack within this process: S3, Lambda, Step Functions, EventBridge, CloudFormation, Logs, SQS
patches             where MiniStack does not behave as AWS does
map_runs            distributed Map of Step Functions
alarms              evaluation of CloudWatch alarms
interrupted_stacks  CloudFormation stacks whose change ended with a kill
integrations        SageMaker as CloudFormation resources and Step Functions integrations
persistence         the emulator's state on disk
iam_evaluator       decisions of IAM policies
iam_services        roles enforced on calls to the emulator's services
"""
