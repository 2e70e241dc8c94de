"""What a stage runs on: its CloudFormation stack, and the local cloud where that is the target.

- `local_cloud`: starts, finds and stops the local cloud of a folder
- `locks`: one command at a time
- `up`: brings up cloud and stack, as parts on a screen
- `package`: makes content-addressed S3 objects of the local paths in a SAM template
- `deploy`: creates or updates the stack by change set
- `destroy`: lists and deletes all that belongs to a stage
"""
