"""Lambda WatchStream: what the monitoring pipeline does beside its job, one task an invocation.

    app         the handler: collect, publish or announce
    collecting  which captures, labels and evaluation the Monitor job reads, as a manifest
    periods     what earlier periods said, and which violations last: pure
    queue       how long the oldest photo in the review queue has waited
    sampling    a sample of the accepted answers goes to the review queue
    metrics     the figures of a period as CloudWatch metrics
    reading     S3 objects and the version in service

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""
