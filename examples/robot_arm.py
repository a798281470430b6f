"""Forward kinematics of a robot's arm with its 6 x 6 Jacobian, and the inverse by Newton's method.

The arm is a UR5 of Universal Robots, by its published table of Denavit and Hartenberg. Six outputs (position, roll,
pitch, yaw) of six angles: their values and their Jacobian are one kernel, and what they share is computed once.
"""

import numpy as np
import sympy as sp

import symgrad

# a, alpha, d of each joint, in metres.
TABLE = [
    (0, sp.pi / 2, 0.089159),
    (-0.425, 0, 0),
    (-0.39225, 0, 0),
    (0, sp.pi / 2, 0.10915),
    (0, -sp.pi / 2, 0.09465),
    (0, 0, 0.0823),
]


def pose(angles: tuple[sp.Symbol, ...]) -> sp.Matrix:
    """Where the hand is, and how it is turned."""
    frame = sp.eye(4)
    for (a, alpha, d), angle in zip(TABLE, angles, strict=True):
        c, s = sp.cos(angle), sp.sin(angle)
        c_alpha, s_alpha = sp.cos(alpha), sp.sin(alpha)
        frame = frame * sp.Matrix(
            [
                [c, -s * c_alpha, s * s_alpha, a * c],
                [s, c * c_alpha, -c * s_alpha, a * s],
                [0, s_alpha, c_alpha, d],
                [0, 0, 0, 1],
            ]
        )
    roll, pitch, yaw = sp.atan2(frame[2, 1], frame[2, 2]), sp.asin(-frame[2, 0]), sp.atan2(frame[1, 0], frame[0, 0])
    return sp.Matrix([frame[0, 3], frame[1, 3], frame[2, 3], roll, pitch, yaw])


angles = sp.symbols("q1:7")
kernel = symgrad.compile(pose(angles), args=angles)
operations, entries = kernel.stats["operations"], len(kernel.graph.derivatives)
print(f"{operations} operations for the pose and its {entries} derivatives that are not 0")

q = np.array([0.3, -0.9, 1.1, 0.4, 0.7, -0.2])
value, jacobian = kernel(*q)
step = 1e-6
differences = np.column_stack(
    [(kernel(*(q + way)).value - kernel(*(q - way)).value).ravel() / (2 * step) for way in step * np.eye(6)]
)
error = np.abs(jacobian.reshape(6, 6) - differences).max()
print(f"Jacobian against central differences: {error:.0e}")
assert error < 1e-8

# Inverse kinematics: the angles at which the hand is 5 cm higher, with the same orientation.
target = value.ravel() + np.array([0.0, 0.0, 0.05, 0.0, 0.0, 0.0])
steps = 0
while steps < 20:
    value, jacobian = kernel(*q)
    miss = target - value.ravel()
    if np.abs(miss).max() < 1e-12:
        break
    steps += 1
    q = q + np.linalg.solve(jacobian.reshape(6, 6), miss)
print(f"5 cm higher after {steps} steps of Newton's method: {np.round(q, 4)}")
assert np.abs(target - kernel(*q).value.ravel()).max() < 1e-12

# A thousand poses at once: how far each is from a singular one.
many = np.random.default_rng(0).uniform(-1.5, 1.5, (6, 1000))
conditions = np.linalg.cond(kernel(*many).jacobian.reshape(1000, 6, 6))
print(f"condition numbers of 1000 poses: median {np.median(conditions):.0f}, largest {conditions.max():.0f}")
