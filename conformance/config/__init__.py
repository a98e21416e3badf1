"""The config family: which configurations are served, and which are refused."""
