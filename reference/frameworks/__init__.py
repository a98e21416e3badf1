"""How a model of each framework is loaded and run; each module is imported only where its framework is used."""
