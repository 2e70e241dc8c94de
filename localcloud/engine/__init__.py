"""Runs SageMaker pipelines from their definition JSON, as SageMaker documents it.

Pure, without clock, store or network:
definition    parses a definition into records
members       names the members that SageMaker does not have
references    finds and resolves Get, Std:Join and Std:JsonGet
validate      refuses a definition that could not run, when the pipeline is created
specimens     replaces references in a request by possible values, for the checks of validate
step_types    the table of step types: operations, members, shapes
graph         which steps may start, given the status of the others
parameters    types of the parameters of an execution
conditions    evaluates conditions
caching       the key and the age of a cached result
baselines     what a check step compares with, and where that is kept
retries       which failures are retried, and when
lineage       which data, code and jobs made which model

The work:
service       all executions of one local cloud, from its start to its stop
scheduler     one execution in a thread of its own
steps         creates jobs, models and model packages, and reads their results
checks        the jobs of check steps: their baseline, their violations
outside       invokes Lambda functions, sends callbacks, and waits for endpoints
deployments   creates endpoint configurations, and creates or updates endpoints
scope         where references get their values in one execution
records       stores executions and steps, and publishes their events
"""
