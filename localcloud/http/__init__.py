"""The port: what arrives over HTTP, and SageMaker's JSON protocol.

front       the ASGI application: our own paths, the guard against browsers, MiniStack behind them
protocol    AWS JSON 1.1 for SageMaker's control plane
shapes      requests checked and answers shaped by botocore's service model
operations  the documentation page of the operations that are served
"""
