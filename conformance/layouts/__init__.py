"""The layouts family: which trees are models, and which versions they have."""
