"""What can go wrong with a service of the stack."""

INSTALL = "pip install 'claimhub[stack]'"


class StackError(Exception):
    """A service does not start, stop or answer. The text names its log."""


class MissingPart(StackError):
    """A part the service is made of is not on this machine and cannot be fetched. The text names what mends it."""
