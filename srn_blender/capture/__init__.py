"""Rigs, cameras, passes and the dataset on disk: everything that turns objects into posed views."""
