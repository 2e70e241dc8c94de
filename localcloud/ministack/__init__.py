"""All that touches MiniStack's private names: an upgrade of MiniStack is a change of this folder.

private_names       checks that the installed MiniStack has the private names that are used
imports             what MiniStack imports for nothing, kept out
emulator            MiniStack within this process: S3, Lambda, Step Functions, EventBridge, CloudFormation, Logs, SQS
patches             where MiniStack does not behave as AWS does
json_requests       requests of AWS JSON, straight to their service
repeated            what MiniStack works out again and again: the parts of ARNs, the time, random ids
list_tokens         tokens that no list gave
definitions         definitions of state machines, checked when they are created
asl/                how executions of state machines run, in place of MiniStack's interpreter
definition_rules    rules on the fields of a state together
templates           templates of CloudFormation, checked before a stack is touched
map_runs            distributed Map of Step Functions
execution_logs      events of executions in log groups
function_logs       what invocations of functions wrote
encryption          S3 objects put with aws:kms and no key
alarms              evaluation of CloudWatch alarms
queue_metrics       how many messages wait in queues, and how long, as CloudWatch metrics
event_entries       events that PutEvents does not take
function_limits     the size of what functions are given and answer, their variables and their time
function_errors     errors of functions that no handler raised
lambda_workers      how many Lambda workers there are
worker_calls        how a Lambda worker is sent an event, answers and prints
threads             threads that are used again
schedules           SageMaker pipelines as targets of schedules and rules
integrations        SageMaker as CloudFormation resources and Step Functions integrations
sagemaker_tasks     SageMaker's operations as tasks of state machines
sagemaker_types     models, endpoints and pipelines as CloudFormation resources
iam_evaluator       decisions of IAM policies
resource_policies   whether a resource's policy lets another account in
access_keys         access keys that were given out, and those that functions act as their roles with
iam_services        roles enforced on calls to the emulator's services

What is acknowledged is on disk:

persistence         when MiniStack's state files are written
state_files         one file a service, written whole
durable             the stores for what comes all the time, opened together
database            a SQLite file with one writer
clock               jumps of the machine's clock
queues              SQS with its messages in SQLite
execution_store     executions of state machines in SQLite
executions          Step Functions on the execution store
metrics             data points of CloudWatch in SQLite, kept together
invocations         asynchronous invocations of Lambda functions
log_store           log lines in SQLite
logs                CloudWatch Logs on the log store
s3_commits          puts to S3 that one step commits
s3_loading          the objects that are on disk, found at the start in one walk
s3_folders          which folders of objects have not changed since a start
s3_keys             objects and versions by key, in order
s3_lists            pages of S3's lists
s3_files            the bytes of a large object as a range of its file
s3_paths            where the file of an object is
s3_requests         long work of requests to S3 in threads
s3_large            large objects read from their files
s3_ranges           ranges and parts of objects and of their versions
s3_uploads          uploads in parts, on disk
s3_completion       what makes an object of an upload's parts
s3_checksums        checksums of objects that were uploaded in parts
crc                 CRC-32C and CRC-64/NVME by numpy
interrupted_stacks  CloudFormation stacks whose change a kill interrupted
"""
