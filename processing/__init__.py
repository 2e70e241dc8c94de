"""The jobs of the pipelines that process data: a package a job, and beside them what more than one job uses.

    stage           photos in, records for training and testing out       python3 -m processing.stage
    evaluate        scores a model artifact on the test records           python3 -m processing.evaluate
    monitor         figures and pictures of what an endpoint answered     python3 -m processing.monitor

    job             how every job begins and ends: JSON it reads, exit status, and the sentence that says why it failed
    datasets        the data set between the jobs: photos in records, and dataset.json
    recordio        MXNet's RecordIO format, without MXNet
    evaluation      evaluation.json
    statistics      statistics.json, and how much one differs from another
    photos          what counts as a photo: PNG and JPEG, within limits
    photo_features  what a photo looks like in four numbers
    captions        any text, safe to draw
    gunzip          compressed archives, with limits

A job runs from one file: a zip of its package and of the modules here that it imports (pipelines/sources.py packs it).
Jobs never import each other, so that a change of one leaves the others' steps in the cache.
"""
