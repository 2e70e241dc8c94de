"""The model server of the image: SageMaker's HTTP contract around the handler that ships in the model artifact.

How it is put together, one concept a file:

    settings     what can be set, read once from the environment
    supervisor   parent: owns the port, hands each connection to the worker with the fewest, replaces dead workers
    loader       imports the handler once and forks workers from it: a new worker is ready in a moment
    worker       one process: event loop for HTTP, one thread for the model
    connection   one HTTP/1.1 connection (httptools parses): limits, timeouts, pipelining, orderly closing
    application  what a request means: /ping, /invocations, /execution-parameters, /metrics
    batcher      the queue in front of the model: the next batch is whatever queued while the last one ran
    exchange     one request and its answer
    handler      `code/inference.py` of the artifact, loaded and warmed up
    replies      answers as bytes
    negotiation  the Accept header
    metrics      counters in memory shared by all processes, shown in Prometheus' format
    channel      messages between the processes
    logs, cli    the log, and the command `serve`

Imports point down this list, from `supervisor` to `replies`.
"""
