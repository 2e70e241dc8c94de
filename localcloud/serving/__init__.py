"""Runs SageMaker endpoints: model server processes, requests to them, and data capture.

manager     deploys, updates, deletes and restores endpoints; knows which servers answer for each
deployment  what an endpoint serves, as its document keeps it
fleet       the variants of one deployment, their instances, and restarts
variant     one running variant, and why one does not start
preparation  role, environments and models of a variant, before its servers start
instance    the model servers of a model's containers, side by side
model_server  one model server process
model_data  downloads and unpacks model archives
loaded_models  which of many models a server has in memory
shift       the steps in which an update moves requests to new servers
serverless  what a serverless variant accepts
invoke      InvokeEndpoint: forwards requests to the servers
answers     what is asked of the containers of an instance, and what they answer
exchange    HTTP with model servers, through all containers of an instance
asynchronous  InvokeEndpointAsync: requests whose answers go to S3
capture     data capture: writes requests and responses to S3
metrics     publishes the endpoints' metrics to CloudWatch
"""
