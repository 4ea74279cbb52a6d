"""The targets: one module, one law, one folder of the corpus."""
