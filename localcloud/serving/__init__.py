"""Runs SageMaker endpoints: model server processes, requests to them, and data capture.

manager     deploys, updates, deletes and restores endpoints; knows which servers answer for each
deployment  what an endpoint serves, as its document keeps it
fleet       the servers of one deployment: variants, their instances, and restarts
instance    one model server process
shift       the steps in which an update moves requests to new servers
serverless  what a serverless variant accepts
invoke      InvokeEndpoint: forwards requests to the servers
asynchronous  InvokeEndpointAsync: requests whose answers go to S3
capture     data capture: writes requests and responses to S3
metrics     publishes the endpoints' metrics to CloudWatch
"""
