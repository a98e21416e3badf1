"""Faulty servers, by the family of clauses that they were written for."""
