"""Which signature of a SavedModel is used."""

from collections.abc import Iterable


def choose_signature(there: Iterable[str], wanted: str | None) -> str:
    """Return the signature to use: the configured one, else the only one, else `predict`, else `serving_default`.

    Raises ValueError with what there is.
    """
    names = sorted(there)
    if wanted is not None:
        if wanted in names:
            return wanted
        raise ValueError(f"signature_key: the model has no signature '{wanted}'; it has {', '.join(names) or 'none'}")
    if len(names) == 1:
        return names[0]
    for name in ("predict", "serving_default"):
        if name in names:
            return name
    if not names:
        raise ValueError("the model has no signatures")
    raise ValueError(f"the model has several signatures, set signature_key to one of {', '.join(names)}")
