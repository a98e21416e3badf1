"""Faulty servers: the reference with one named change each, proof that the suite can fail for the right reason."""
