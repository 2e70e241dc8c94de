"""Lambda Retrain: starts a training with what people labelled, when a change of the stream lasts.

The function runs when the drift alarm changes, and on a schedule because labels come later than the alarm. It decides
from what S3 and SageMaker say at that moment, never from the event, so events may come late, twice or in any order.

    app        the handler: reading, plan, execution
    plan       whether to train, and why: pure
    dataset    the labelled photos as a data set named by its content, with a part that is never trained on: pure
    reading    the state that a plan is made from
    execution  writes the data set, claims the alarm, starts the pipeline

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""
