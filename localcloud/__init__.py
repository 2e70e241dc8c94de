"""SageMaker and the AWS services around it on one machine: `python -m localcloud serve --home DIR`.

- `__main__`: the command; `clients` finds, starts and stops a local cloud, and sets AWS's tools up for it
- `server`, `assembly`: one local cloud: claims home and port, makes its parts, starts and stops them in order
- `http`: the port: signatures, SageMaker's protocol, errors
- `resources`: SageMaker's operations, a module for each resource
- `engine`: runs executions of pipelines
- `jobs`: runs processing, training, transform and tuning jobs
- `serving`: runs endpoints; `containers` says what runs for a model
- `cloud`: what all of these are given of the cloud they belong to
- `iam`: what a role may do
- `api`: errors, shapes and lists of the operations
- `state`: what is stored on disk and published; `settings`: the command line's options and the paths of a home
- `images`: the environments that stand for container images
- `sandbox`: runs commands as isolated processes
- `ministack`: the services around SageMaker, which MiniStack gives
"""
