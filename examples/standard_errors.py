"""Standard errors of a fit: the Hessian of a likelihood, inverted, against the information matrix by hand.

Counts that depend on two covariates, as a Poisson regression. At the maximum, minus the Hessian of the log-likelihood
is the observed information, and the roots of the diagonal of its inverse are the standard errors. By hand that matrix
is X' diag(mean) X.
"""

import numpy as np
import sympy as sp
from scipy.optimize import minimize

import symgrad

n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, y, w = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
score = sp.Sum(X[i, j] * w[j], (j, 0, d - 1))
negative_log_likelihood = sp.Sum(sp.exp(score) - y[i] * score + sp.loggamma(y[i] + 1), (i, 0, n - 1))

rng = np.random.default_rng(0)
true = np.array([0.5, -0.4, 0.8])
data = np.column_stack([np.ones(2000), rng.normal(size=(2000, 2))])
counts = rng.poisson(np.exp(data @ true)).astype(float)

kernel = symgrad.compile(negative_log_likelihood, wrt=w)
objective = kernel.objective(X=data, y=counts)
found = minimize(
    objective,
    objective.pack(w=np.zeros(3)),
    jac=True,
    hess=objective.hess,
    method="trust-exact",
    options={"gtol": 1e-9},
)
weights = objective.unpack(found.x)["w"]
errors = symgrad.standard_errors(kernel, {"X": data, "y": counts, "w": weights})["w"]

information = (data.T * np.exp(data @ weights)) @ data
by_hand = np.sqrt(np.diag(np.linalg.inv(information)))
for name, weight, error, truth in zip(("constant", "first", "second"), weights, errors, true, strict=True):
    print(f"{name:8s} {weight:8.4f} +- {error:.4f}   (made with {truth})")
print(f"largest difference from the information matrix by hand: {np.abs(errors / by_hand - 1).max():.0e}")
assert np.allclose(errors, by_hand, rtol=1e-9)
assert (np.abs(weights - true) < 4 * errors).all()
