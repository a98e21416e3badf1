"""What stops a run: each problem carries one sentence for the person at the terminal, and becomes exit status 3."""


class SuiteError(Exception):
    """The harness, its input or the protocol is at fault; never the contract."""


class InvalidInputError(SuiteError):
    """A file or an option of the caller cannot be used; the message names it and the key."""


class HarnessError(SuiteError):
    """The suite could not do its part of the work, or the server broke the protocol in a way no clause covers."""


class UnobservableError(Exception):
    """Nothing that this server shows tells whether it keeps the clause."""
