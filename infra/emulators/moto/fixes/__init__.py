"""What moto lacks so that Terraform's AWS provider applies a stack, and then plans no changes.

Each module mends one service, and says of each change what goes wrong without it.
"""

import functools


def instead(owner, name):
    """Decorates what stands instead of owner.name, and gets the original as its first argument."""

    def decorate(replacement):
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(*args, **kwargs):
            return replacement(original, *args, **kwargs)

        setattr(owner, name, method)
        return replacement

    return decorate


def missing(owner):
    """Decorates a method that the owner lacks; where it has one by now, that stays."""

    def decorate(function):
        if not hasattr(owner, function.__name__):
            setattr(owner, function.__name__, function)
        return function

    return decorate


def state(backend, name):
    """Returns a dict that goes when the backend is reset."""
    return backend.__dict__.setdefault("hito_" + name, {})
