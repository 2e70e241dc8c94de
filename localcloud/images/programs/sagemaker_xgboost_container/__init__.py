"""What scripts import from AWS's XGBoost container, which is not on the package index.

- `data_utils`: files of a channel as a DMatrix
- `encoder`: a request's body as a DMatrix
- `distributed`: one training on several instances
"""
