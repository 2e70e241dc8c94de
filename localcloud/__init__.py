"""SageMaker and the AWS services around it on one machine: `python -m localcloud serve --home DIR`."""
