"""symgrad: a SymPy expression in, a fused value-and-gradient Numba kernel out."""

from .compiler import compile, emit
from .errors import ParseError, ShapeError, SymgradError, UnsupportedExpression, VerificationError
from .estimates import standard_errors
from .kernel.kernel import Kernel
from .lambdified import lambdify
from .language.parse import Problem, parse
from .lower.user_gates import gate
from .nonlinear_programs import nlp
from .reductions import family
from .result import Result
from .solvers import ode, residuals

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
    "family",
    "gate",
    "lambdify",
    "nlp",
    "ode",
    "parse",
    "residuals",
    "standard_errors",
]
