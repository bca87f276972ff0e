"""What torch.compile takes as given while it reads the cells' code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def once_traced(function: Function) -> Function:
    """A function of constants, whose result torch.compile asks for while it traces and keeps: it does not look inside.

    As `torch.compiler.assume_constant_result`, which would import the compiler, two to three seconds, on every import
    of the cells.
    """
    cast(Any, function)._dynamo_marked_constant = True
    return function
