"""A small real model server that keeps every promise of the contract; it imports none of the other packages."""
