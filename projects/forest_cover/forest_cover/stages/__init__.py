"""The stages of the pipeline, one module each; ``dvc.yaml`` says in which order they run."""
