"""The package that inference scripts of AWS's scikit-learn examples import, in terms of its successors.

The last release of `sagemaker-containers` needs a protobuf that goes with none of them, so it cannot be installed.
"""
