"""Lambda WriteModelCard: keeps a model card for each version in the registry, from its registration on.

    app      the handler: reads version, evaluation and card, and writes the card where it says something else
    content  what the card says: pure

Only the standard library and boto3, both part of the Lambda runtime, are imported: the folder is the whole deployable.
"""
