"""The folder of `sagemaker_containers.beta.framework`."""
