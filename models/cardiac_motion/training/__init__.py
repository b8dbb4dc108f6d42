"""Training of the models: data made as it is needed, recipes, and one `fit` for all."""
