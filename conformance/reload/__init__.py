"""The reload family: what changes in the source, changes what is served, in time and without harm."""
