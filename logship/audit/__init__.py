"""Whether what was produced is what is stored, and whether a container is set up so that it can be."""
