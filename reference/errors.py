"""What can go wrong, as types: the HTTP layer turns each into one status code."""


class ConfigurationError(Exception):
    """The project cannot be served as it is; the message is the one line its author sees."""


class SourceError(Exception):
    """The source did not give a complete answer, so nothing is known about what it holds now."""


class ContentChangedError(Exception):
    """A listed file is no longer there as it was listed: list again before using it."""


class RefusedError(SourceError):
    """The source answered and refused (no permission, no such bucket); asking again soon will not help."""


class UnknownModelError(LookupError):
    """No such model, or no such version of it (404)."""


class InputError(ValueError):
    """The input does not fit the request or the model's signature (400)."""


class LoadError(RuntimeError):
    """The model is there, but its content cannot be loaded (500)."""


class UnavailableError(RuntimeError):
    """Nothing can be said yet: before the first complete scan, or the source is away (503)."""


class MovedError(UnavailableError):
    """The source has moved on since the catalog that was followed; the next one says what there is."""


class LinkError(UnavailableError):
    """The keeper's process cannot be reached."""
