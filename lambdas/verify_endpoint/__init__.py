"""Lambda VerifyEndpoint: sends a version's labelled photos to the endpoint that it is tried on, and judges the answers.

    app      the handler: reads the photos, sends them, measures the time
    verdict  what follows from the answers: pure

DeployModel calls it and acts on the verdict. Only the standard library and boto3, both part of the Lambda runtime, are
imported: the folder is the whole deployable.
"""
