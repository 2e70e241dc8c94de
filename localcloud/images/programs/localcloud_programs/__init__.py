"""What runs inside the environments that stand for AWS's images; it imports nothing of the local cloud.

- `serving`: the model server with the functions model_fn, input_fn, predict_fn and output_fn of AWS's containers
- `serving_models`: the same server with several models, loaded and unloaded as it is told
- `sklearn_serving`: how scikit-learn's container reads a request
- `pytorch_serving`: a TorchScript module, or a pipeline of Hugging Face's transformers
- `tensorflow_serving`: a SavedModel behind TensorFlow Serving's REST format
- `xgboost_serving`: these functions for a model that XGBoost's algorithm mode has made
- `xgboost_training`: XGBoost's algorithm mode, and script mode by AWS's own toolkit
- `xgboost_data`: the CSV, libsvm and Parquet files of both
- `monitor`: the model monitor's analyzer, and its parts `monitor_data`, `monitor_statistics`, `monitor_violations`,
  `monitor_quality`
- `clarify`: SageMaker Clarify, and its parts `clarify_data`, `clarify_predictor`, `clarify_bias`, `clarify_shap`,
  `clarify_drift`

Beside it, `sagemaker_containers` and `sagemaker_xgboost_container` hold what scripts import from AWS's packages of
these names.
"""
