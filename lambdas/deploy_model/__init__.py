"""Lambda DeployModel: brings the endpoint to the newest approved version, once that version is verified.

The function runs on each change of a model package's or an endpoint's state and on a schedule. It decides from what
SageMaker says at that moment, never from the event's contents alone, so events may come late, twice or in any order.

    app           the handler, and the loop of plan and execution
    environment   settings and clients, from the function's environment variables
    trigger       the event, parsed: what it is about
    state         the values that a plan is made from: settings, versions, endpoints
    reading       the state, read from SageMaker
    plan          what to do: pure
    actions       what can be done: the actions of a plan
    dry_run       the plans that would follow one another: pure
    requests      the requests to SageMaker for model, endpoint and deployment: pure
    execution     the actions, carried out
    verification  the newest version on its trial endpoint: asks VerifyEndpoint, writes down the verdict
    history       one object in S3 for each change of what the endpoint serves
    metrics       the data point that the alarm "deployment stuck" watches

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""
