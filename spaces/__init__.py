"""The space of candidates: architectures, pruning, number formats, runtimes and artefacts."""
