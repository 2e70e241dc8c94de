"""Runs SageMaker pipelines: reads the definition JSON and nothing else.

`definition` parses it, `validate` refuses what cannot run, `references` finds and resolves `Get` and `Std:*`, `graph`
plans what may start, `conditions`, `caching` and `retries` are the documented rules. All of these are pure.
`scheduler` and `steps` do the work, and `records` keeps every change of state in SQLite before anyone is told of it.
"""
