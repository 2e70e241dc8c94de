"""The artifact's handler as an MLflow pyfunc model: `python mlflow_model.py ARTIFACT TARGET` saves it."""

import base64
import sys

import mlflow
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Classifier(PythonModel):
    """A list of base64 photos in, a list of answers out: MLflow's protocol is JSON."""

    def load_context(self, context):
        """Import the handler from the artifact."""
        sys.path.insert(0, context.artifacts["model"] + "/code")
        import inference

        self.handler, self.model = inference, inference.model_fn(context.artifacts["model"])

    def predict(self, context, model_input):
        """One answer for each photo."""
        import numpy as np

        photos = [base64.b64decode(text) for text in np.ravel(model_input)]
        images = np.concatenate([self.handler.input_fn(photo, "image/png") for photo in photos])
        answers = self.handler.predict_fn(images, self.model)
        classes = self.model.classes
        probabilities = answers[:, : len(classes)]
        return [{"label": classes[int(row.argmax())], "confidence": float(row.max())} for row in probabilities]


set_model(Classifier())

if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[2], python_model=__file__, artifacts={"model": sys.argv[1]}, pip_requirements=[])
