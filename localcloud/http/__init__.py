"""The port: what arrives over HTTP, and SageMaker's JSON protocol.

front       the ASGI application: signed requests only, our own paths, MiniStack behind them
guard       which requests are not served at all
signature   Signature Version 4 of requests
chunks      signatures of a body's single chunks
connections one connection of the server under the port, and how many there may be
body        bodies read up to a limit
members     types of what requests to the services around SageMaker carry
errors      the port's own errors in the form of each protocol
protocol    AWS JSON 1.1 for SageMaker's control plane
operations  the documentation page of the operations that are served
"""
