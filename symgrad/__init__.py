"""symgrad: a SymPy expression in, a fused value-and-gradient Numba kernel out."""

from .compiler import compile, emit
from .errors import ParseError, ShapeError, SymgradError, UnsupportedExpression, VerificationError
from .kernel import Kernel, Result
from .own import gate
from .parse import Problem, parse

__version__ = "0.1.0"

__all__ = [
    "Kernel",
    "ParseError",
    "Problem",
    "Result",
    "ShapeError",
    "SymgradError",
    "UnsupportedExpression",
    "VerificationError",
    "__version__",
    "compile",
    "emit",
    "gate",
    "parse",
]
