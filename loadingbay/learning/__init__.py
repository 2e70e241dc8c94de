"""Labels that people give: collects them, and trains and compares versions with them.

- `labels`: what photos really showed, stored in S3 in SageMaker's Ground Truth form
- `review`: the queue of photos that the model was not sure of, one at a time
- `retraining`: asks the function that trains with the labels, or what it would do and why
- `traffic`, `threshold`: labelled answers of the version in service; what another threshold would cost on them
- `new_threshold`, `repacking`: registers the network with another threshold; its artifact with another model.json
- `periods`: what the monitoring pipeline found, period by period, and the alarm
- `watcher`: the schedule, the pipeline and the endpoint of monitoring, and what is missing of them
- `comparison`: a version beside the approved one, on the old test and on recent photos
- `live_comparison`: a shadow beside the version in service, on the live requests that both got
- `requests`: which inference ids belong to requests that were made
"""
