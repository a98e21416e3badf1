"""The executable contract: a pytest plugin and the tests of every clause, for any model server."""
