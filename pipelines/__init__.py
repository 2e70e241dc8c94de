"""The SageMaker pipeline, and what brings it up to date and starts it.

- `definition`: builds the pipeline's definition; `builds` keeps what was built on disk
- `steps`: the steps of that pipeline, one function each; `figures` names what they report
- `monitoring`, `pretraining`: build the definitions of the pipelines that watch the stream, and that make weights to
  start from; `documents` has what both are made of
- `new_threshold`: makes the pipeline that registers a network with another threshold
- `settings`: what it is built from
- `sdk`: imports the SageMaker SDK, without credentials
- `parameters`: the table of pipeline parameters; `costs` reads those that say what mistakes cost, `numbers` numbers
- `sources`: the code that jobs run, as content-addressed objects in S3
- `derived`: parameters that are worked out, such as the version that a new one must not be worse than
- `aws`: what commands need to know about AWS's answers
- `executions`: upserts the pipeline, starts, follows and stops executions; `training_log` reads epochs from their log
- `promote`: registers the approved version of one stage in another
- `__main__`: `python -m pipelines`, the commands that a build runs
"""
