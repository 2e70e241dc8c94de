"""Deploys and removes the CloudFormation stack of a stage, and starts and stops the local cloud.

- `local_cloud`: starts, finds and stops the local cloud of a folder
- `locks`: one command at a time
- `up`: brings up cloud and stack, as parts on a screen
- `package`: makes content-addressed S3 objects of the local paths in a SAM template
- `deploy`: creates or updates the stack by change set
- `destroy`: lists and deletes all that belongs to a stage
"""
