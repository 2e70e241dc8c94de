"""Runs SageMaker training and processing jobs as local processes, each with its own directory as /opt/ml.

service         queues jobs, limits how many run at once, and stores their states
run             runs one job: download of inputs, processes, upload of outputs
processing      the parts of a run that are specific to processing jobs
training        the parts of a run that are specific to training jobs
transform       the parts of a run that are specific to transform jobs
transform_client  what a transform job runs: sends its files to the model server
tuning          runs tuning jobs, which start training jobs
search_space    proposes hyperparameters, and says which training jobs to stop early
tuning_requests  validates a request for a tuning job, and makes those of its training jobs
requests        validates a Create request and makes the job's document from it
layout          the directories and configuration files below /opt/ml
transfer        downloads from S3, uploads to it, and mirrors a directory while a job runs
archive         writes reproducible tar.gz files
removal         removes the directories of jobs that have ended, in the background
failure         makes the FailureReason of a failed job
metrics         reads metrics from log lines by regular expression
events          publishes state changes to EventBridge

The processes themselves are started by `localcloud.sandbox`.
"""
