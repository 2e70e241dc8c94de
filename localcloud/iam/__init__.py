"""Identities and permissions: who sends a request, and whether IAM's policies allow it (with `--enforce-iam`).

clients     boto3 clients with given credentials
access      which actions on which resources a request needs
identities  the account's owner, or a role with temporary credentials
visitors    the owner of another account, held to the policies of this one's resources
"""
