"""The search over the parameters of training: what `loadingbay tune` does.

- `space`: which values may be tried
- `trials`: runs trials side by side, each a pipeline execution, and lets Optuna choose the next
- `record`: reads trials back from SageMaker
- `figures`: Optuna's figures of a search, as SVG
- `study`: prepares a search, runs it, registers the best trial if asked, and shows the table
"""
